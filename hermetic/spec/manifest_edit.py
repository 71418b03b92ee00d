"""Adding and removing requirements in any spec file that people write; text in, text out.

A requirement of the same name is replaced where it stands, with its comment; a new one joins the end of its
list. What is not touched stays as it is. Written is what the user typed, after it has been understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hermetic.errors import Place, SpecError, UsageError
from hermetic.spec.manifest import DEFAULT, FILE_NAME
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import PipRequirement
from hermetic.spec.pep508 import Origin, normal_name
from hermetic.spec.requirements_txt import read_lines
from hermetic.spec.text import quoted

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class _Target:
    """What is edited: a kind of file, its conda or its pip side, and in a manifest one environment."""

    path: Path
    pip: bool
    environment: str

    @property
    def place(self) -> Place:
        return Place(str(self.path))

    @property
    def kind(self) -> str:
        if self.path.name == FILE_NAME:
            return "manifest"
        if self.path.suffix == ".toml":
            return "pyproject"
        return "yaml" if self.path.suffix in {".yml", ".yaml"} else "requirements"

    def name_of(self, text: str) -> str:
        return pip_name(text) if self.pip else conda_name(text)


def add_requirements(
    text: str, path: Path, requirements: Sequence[str], *, pip: bool = False, environment: str = DEFAULT
) -> str:
    """Give the text of the spec file ``path`` with conda (or pip) requirements added, or replaced by name.

    A name alone says nothing new of what is there already, so that keeps its bounds. ``environment`` names the one in
    a ``hermetic.toml``; other files have only one. Raises SpecError for a requirement that cannot be understood and
    for one that this kind of file cannot hold.
    """
    target = _Target(path, pip, environment)
    body, restore = _line_feeds(text)
    for requirement in requirements:
        new = requirement.strip()
        name = _understood(new).name if pip else canonical_match(new).name
        if _NAME.fullmatch(new) and name in declared(body, path, pip=pip, environment=environment):
            continue
        body = _add(body, target, new, name)
    return restore(body)


def remove_requirements(
    text: str, path: Path, names: Sequence[str], *, pip: bool = False, environment: str = DEFAULT
) -> str:
    """Give the text of the spec file ``path`` without the conda (or pip) requirements of these names.

    Raises UsageError, with what was probably meant, for a name that is not declared in this file itself.
    """
    target = _Target(path, pip, environment)
    body, restore = _line_feeds(text)
    known = declared_names(body, path, pip=pip, environment=environment)
    for name in names:
        wanted = normal_name(name.strip()) if pip else name.strip().lower()
        if wanted not in known:
            side = "pip" if pip else "conda"
            raise UsageError(
                f"{quoted(name)} is no {side} requirement of this file",
                place=target.place,
                remedy=_meant(body, target, name.strip(), known),
            )
        body = _remove(body, target, wanted)
    return restore(body)


def _meant(text: str, target: _Target, name: str, known: list[str]) -> str:
    """Tell where a requirement is, which is not where it was looked for, or what was probably meant."""
    other = declared_names(text, target.path, pip=not target.pip, environment=target.environment)
    if (name.lower() if target.pip else normal_name(name)) in other:
        return "it is conda's: leave --pip out" if target.pip else "it is pip's: use --pip"
    if target.kind == "requirements":
        from hermetic.spec.requirements_txt import logical_lines

        for _, line in logical_lines(text):
            included = re.fullmatch(r"(?:-r|--requirement)[\s=]*(\S+)", line.strip())
            path = target.path.parent / included[1] if included else None
            if (
                path
                and path.is_file()
                and normal_name(name)
                in declared_names(path.read_text(encoding="utf-8", errors="replace"), path, pip=True)
            ):
                return f"{path} has it, which this file includes: edit that"
    close = get_close_matches(normal_name(name) if target.pip else name.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"it declares: {', '.join(known) or 'none'}"


def declared_names(text: str, path: Path, *, pip: bool = False, environment: str = DEFAULT) -> list[str]:
    """Give the normalised names that a spec file itself declares, includes not followed, sorted."""
    return sorted(declared(text, path, pip=pip, environment=environment))


def declared(text: str, path: Path, *, pip: bool = False, environment: str = DEFAULT) -> dict[str, str]:
    """Give what a spec file itself declares, includes not followed: normalised name -> the text that stands there.

    Of several requirements of one name, the texts stand together; those without a name are left out.
    """
    target = _Target(path, pip, environment)
    text, _ = _line_feeds(text)
    if target.kind == "yaml":
        from hermetic.spec.yaml_edit import yaml_items

        items = yaml_items(text, str(path), pip=pip)
    elif target.kind == "requirements":
        items = [line for _, _, line in _requirement_lines(text)] if pip else []
    else:
        items = [str(item) for found in _toml_lists(_toml(text, path), target) for item in found]
    found: dict[str, list[str]] = {}
    for item in items:
        if name := target.name_of(item):
            found.setdefault(name, []).append(item)
    return {name: ", ".join(texts) for name, texts in found.items()}


def conda_name(text: str) -> str:
    """Give the name of a conda requirement, empty if the text is none."""
    try:
        return canonical_match(text).name
    except SpecError:
        return ""


def pip_name(text: str) -> str:
    """Give the normalised name of a pip requirement, with its options if any, empty if it has none."""
    try:
        found = read_lines(iter([(text, Origin())]), Path(), Path()).pip
    except (SpecError, OSError):
        return ""
    return found[0].name if len(found) == 1 else ""


def _understood(text: str) -> PipRequirement:
    found = read_lines(iter([(text, Origin())]), Path(), Path()).pip
    if len(found) != 1:
        raise SpecError(f"{quoted(text)} is no pip requirement", remedy="write name>=1, name @ URL or -e ./path")
    return found[0]


def _line_feeds(text: str) -> tuple[str, Callable[[str], str]]:
    """Give a text with line feeds alone, and what gives an edited one the line ends that the file has."""
    windows = "\r\n" in text

    def restore(edited: str) -> str:
        if edited and not edited.endswith("\n"):
            edited += "\n"
        return edited.replace("\n", "\r\n") if windows else edited

    return text.replace("\r\n", "\n"), restore


def _add(text: str, target: _Target, new: str, name: str) -> str:
    if target.kind == "yaml":
        from hermetic.spec.yaml_edit import yaml_add, yaml_items, yaml_replace

        file = str(target.path)
        if name:
            text, done = yaml_replace(text, file, name, new, pip=target.pip, name_of=target.name_of)
            if done:
                return text
        elif new in yaml_items(text, file, pip=target.pip):
            return text
        return yaml_add(text, file, new, pip=target.pip)
    if target.kind == "requirements":
        return _add_line(text, target, new, name)
    document = _toml(text, target.path)
    items = _toml_list(document, target, create=True)
    places = [index for index, item in enumerate(items) if name and target.name_of(str(item)) == name]
    if places:
        items[places[0]] = new
    elif new not in items:
        items.append(new)
    return _dumped(document)


def _remove(text: str, target: _Target, name: str) -> str:
    if target.kind == "yaml":
        from hermetic.spec.yaml_edit import yaml_remove

        return yaml_remove(text, str(target.path), name, pip=target.pip, name_of=target.name_of)[0]
    if target.kind == "requirements":
        lines = text.split("\n")
        for start, end, line in reversed(_requirement_lines(text)):
            if pip_name(line) == name:
                del lines[start - 1 : end]
        return "\n".join(lines)
    document = _toml(text, target.path)
    for items in _toml_lists(document, target):
        for index in reversed(range(len(items))):
            if target.name_of(str(items[index])) == name:
                del items[index]
    return _dumped(document)


def _add_line(text: str, target: _Target, new: str, name: str) -> str:
    if not target.pip:
        raise SpecError(
            "a requirements file holds pip requirements only",
            place=target.place,
            remedy="use --pip, or declare the environment in hermetic.toml or environment.yml",
        )
    lines = text.split("\n")
    for start, end, line in _requirement_lines(text):
        if name and pip_name(line) == name:
            comment = re.search(r"\s+#.*$", lines[start - 1]) if start == end else None
            lines[start - 1 : end] = [new + (comment[0] if comment else "")]
            return "\n".join(lines)
    body = text.rstrip("\n")
    return f"{body}\n{new}\n" if body else f"{new}\n"


def _requirement_lines(text: str) -> list[tuple[int, int, str]]:
    """Give first line, last line and text of every requirement of a requirements file."""
    from hermetic.spec.requirements_txt import logical_lines

    found = []
    raw = text.split("\n")
    for start, line in logical_lines(text):
        end = start
        while end < len(raw) and raw[end - 1].endswith("\\") and not raw[end - 1].lstrip().startswith("#"):
            end += 1
        if not line.startswith("-") or line.startswith(("-e", "--editable")):
            found.append((start, end, line))
    return found


def _toml(text: str, path: Path) -> Any:
    import tomlkit

    from hermetic.spec.toml_file import parse_toml

    parse_toml(text, path)  # for its error, with the line
    return tomlkit.parse(text)


def _dumped(document: Any) -> str:
    import tomlkit

    return tomlkit.dumps(document)


def _toml_lists(document: Any, target: _Target) -> list[Any]:
    """Give the lists of a TOML document that hold such requirements: a manifest's wheels have one of their own."""
    lists = [_toml_list(document, target, create=False)]
    if target.kind == "manifest" and target.pip:
        lists.append(_toml_list(document, target, create=False, key="wheels"))
    return lists


def _toml_list(document: Any, target: _Target, *, create: bool, key: str = "pip") -> Any:
    """Give the list of a TOML document that holds the requirements; made where it is missing, if ``create``.

    ``key`` is a manifest's list of pip requirements that is meant.
    """
    import tomlkit

    keys: tuple[str, ...] = ("project", "dependencies")
    if target.kind == "manifest":
        keys = ("environments", target.environment, key if target.pip else "dependencies")
    elif not target.pip and create:
        raise SpecError(
            "[project] dependencies are pip requirements",
            place=target.place,
            remedy="use --pip, or declare the environment in hermetic.toml",
        )
    elif not target.pip:
        return []
    table = document
    for depth, step in enumerate(keys[:-1]):
        if step not in table:
            if not create:
                return []
            table[step] = tomlkit.table(is_super_table=target.kind == "manifest" and depth == 0)
        table = table[step]
    if keys[-1] not in table:
        if not create:
            return []
        table[keys[-1]] = tomlkit.array()
    items = table[keys[-1]]
    if not isinstance(items, list):
        raise SpecError(f"{keys[-1]} is a list", place=target.place, remedy=f'write {keys[-1]} = ["..."]')
    return items
