"""The content of an ``environment.yml`` as the Python API changes it: texts as they were written, in their order.

``hermetic.spec`` reads and judges every text; here they are only kept apart, so that a person finds their own
words again in what is saved. Included requirements files (``-r``, ``-c``) are taken in, options of pip become
one value, and texts with URLs are kept in canonical form, because that one holds no credentials.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hermetic.errors import Place
from hermetic.platforms import PLATFORMS
from hermetic.spec.environment_yml import parse_environment_yml
from hermetic.spec.matchspec import canonical_match, channel_name
from hermetic.spec.model import MAIN, PipOptions, PipRequirement, Spec
from hermetic.spec.pep508 import Origin, local_path
from hermetic.spec.requirements_txt import Requirements, read_lines
from hermetic.spec.selectors import comment_selector, key_selector
from hermetic.spec.serialize import environment_yml, option_lines, pip_line, selector_comment, yaml_quoted, yaml_scalar
from hermetic.spec.yaml_nodes import Items, Node, Scalar, Table, read_yaml

FILE_NAME = "conda_dependencies.yml"


@dataclass(frozen=True)
class Entry:
    """A requirement as it was written, and the platforms that it holds for (none: all)."""

    text: str
    platforms: tuple[str, ...] = ()


@dataclass
class Document:
    """What an ``environment.yml`` says. Relative paths in it start from the folder that its owner knows."""

    name: str = ""
    channels: list[str] = field(default_factory=list)
    conda: list[Entry] = field(default_factory=list)
    pip: list[Entry] = field(default_factory=list)
    options: PipOptions = PipOptions()
    constraints: list[Entry] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    platforms: list[str] = field(default_factory=list)
    category: str = MAIN


def read_document(text: str, path: Path) -> tuple[Document, list[str]]:
    """Read the text of an ``environment.yml`` that stands at ``path``; give warnings too. Raises SpecError."""
    found = parse_environment_yml(text, path, root=path.parent)
    root = read_yaml(text, str(path))
    assert isinstance(root, Table)
    document = Document(
        name=found.name,
        channels=_channels(root),
        options=found.spec.options,
        variables=dict(found.spec.variables),
        platforms=list(found.spec.platforms),
    )
    if "category" in root.entries:
        document.category = _text(root.entries["category"][1])
    walk = _Walk(document, text.split("\n"), path)
    if "dependencies" in root.entries:
        walk.dependencies(root.entries["dependencies"][1], None)
    limits = [item for item in found.spec.constraints if item.place and item.place.file == str(path)]
    document.constraints += [Entry(item.text, item.platforms) for item in limits]
    document.constraints = list(dict.fromkeys(document.constraints))
    return document, found.warnings


def document_of(spec: Spec, name: str = "") -> Document:
    """Give the document that says what a Spec says of channels, requirements and variables."""
    return read_document(environment_yml(spec, name, lossy=True), Path(FILE_NAME))[0]


def document_text(document: Document) -> str:
    """Give the document as YAML; reading it again gives an equal document."""
    lines = [f"name: {yaml_scalar(document.name)}"] if document.name else []
    if document.category != MAIN:
        lines.append(f"category: {yaml_scalar(document.category)}")
    lines += _block("channels", [Entry(item) for item in document.channels])
    lines += _block("platforms", [Entry(item) for item in document.platforms])
    dependencies = _items("  ", document.conda)
    if pip := [*(Entry(line) for line in option_lines(document.options)), *document.pip]:
        dependencies += ["  - pip:", *_items("      ", pip)]
    lines += ["dependencies:", *dependencies] if dependencies else ["dependencies: []"]
    lines += _block("pip-constraints", document.constraints)
    if document.variables:
        lines += ["variables:", *(f"  {name}: {yaml_quoted(value)}" for name, value in document.variables.items())]
    return "\n".join(lines) + "\n"


def document_values(document: Document) -> dict[str, Any]:
    """Give the document as the plain values that a YAML reader would give; selectors stand as ``sel(...)`` keys."""
    dependencies = _values(document.conda)
    if pip := [*option_lines(document.options), *_values(document.pip)]:
        dependencies.append({"pip": pip})
    values: dict[str, Any] = {
        "name": document.name,
        "category": "" if document.category == MAIN else document.category,
        "channels": list(document.channels),
        "platforms": list(document.platforms),
        "dependencies": dependencies,
        "pip-constraints": _values(document.constraints),
        "variables": dict(document.variables),
    }
    return {name: value for name, value in values.items() if value or name == "dependencies"}


def document_spec(document: Document, root: Path) -> Spec:
    """Give the document's Spec; its relative paths start from ``root``. It has no places: it stands in no file."""
    spec = parse_environment_yml(document_text(document), root / FILE_NAME, root=root).spec
    return replace(
        spec,
        conda=tuple(replace(item, place=None) for item in spec.conda),
        pip=tuple(replace(item, place=None) for item in spec.pip),
        constraints=tuple(replace(item, place=None) for item in spec.constraints),
    )


def rebased(document: Document, old: Path, new: Path) -> Document:
    """Give the document with its relative paths starting from ``new`` instead of ``old``."""
    if old == new:
        return document
    origin = Origin(prefix=Path(os.path.relpath(old, new)).as_posix())

    def moved(text: str) -> str:
        found = pip_lines([text], new, prefix=origin.prefix).pip
        return pip_entry(found[0]).text if found and found[0].url.startswith(".") else text

    return replace(
        document,
        channels=[local_path(item, origin) if item.startswith(".") else item for item in document.channels],
        pip=[replace(entry, text=moved(entry.text)) for entry in document.pip],
        options=replace(
            document.options,
            find_links=tuple(
                local_path(item, origin) if item.startswith(".") else item for item in document.options.find_links
            ),
        ),
    )


def conda_entry(text: str, platforms: tuple[str, ...] = (), place: Place | None = None) -> tuple[str, Entry]:
    """Give a conda requirement's package name, and its entry. Raises SpecError for what is none."""
    found = canonical_match(text, place)
    kept = found.text if "://" in text else text.partition(" #")[0].strip()
    return found.name, Entry(kept, platforms)


def pip_lines(lines: Iterable[str], root: Path, *, prefix: str = ".", place: Place | None = None) -> Requirements:
    """Read lines of a requirements file that stand nowhere on disk; included files are searched from ``root``."""
    origin = Origin(place, prefix)
    return read_lines(((line, origin) for line in lines), root / "requirements.txt", root)


def pip_entry(requirement: PipRequirement, text: str = "") -> Entry:
    """Give a pip requirement's entry, in the words of ``text`` where they can be kept."""
    text = text.partition(" #")[0].strip()
    if not text or "://" in text or requirement.url:
        text = pip_line(requirement)
    if requirement.url and "://" not in requirement.url and not requirement.editable:
        # pip knows local files by path alone; their names stand in the file names
        bare = pip_line(replace(requirement, name=""))
        found = pip_lines([bare], Path()).pip[0]
        if replace(found, platforms=requirement.platforms, category=requirement.category) == requirement:
            text = bare
    return Entry(text, requirement.platforms)


class _Walk:
    """Takes the texts out of a document that the spec's parser has found to be right."""

    def __init__(self, document: Document, lines: list[str], path: Path) -> None:
        self.document = document
        self.lines = lines
        self.path = path

    def dependencies(self, node: Node, platforms: frozenset[str] | None, *, pip: bool = False) -> None:
        for item in node.items if isinstance(node, Items) else [node]:
            if isinstance(item, Scalar):
                if item.kind != "null":
                    self.requirement(item, _both(platforms, self.selected(item)), pip=pip)
                continue
            assert isinstance(item, Table)
            for name, (key, value) in item.entries.items():
                limit = _both(platforms, self.selected(key) if value.line > key.line else None)
                chosen = key_selector(name, Place(str(self.path), key.line))
                self.dependencies(value, _both(limit, chosen), pip=pip or name == "pip")

    def selected(self, node: Scalar) -> frozenset[str] | None:
        if node.end_line != node.line:
            return None
        return comment_selector(self.lines[node.line - 1][node.end_column :], Place(str(self.path), node.line))

    def requirement(self, node: Scalar, platforms: frozenset[str] | None, *, pip: bool) -> None:
        if platforms is not None and not platforms:
            return
        chosen = () if platforms is None or len(platforms) == len(PLATFORMS) else tuple(sorted(platforms))
        place = Place(str(self.path), node.line)
        if not pip:
            entry = conda_entry(node.text, chosen, place)[1]
            if entry not in self.document.conda:
                self.document.conda.append(entry)
            return
        found = pip_lines([node.text], self.path.parent, place=place)
        plain = not node.text.lstrip().startswith("-")
        for item in found.pip:
            entry = pip_entry(replace(item, platforms=chosen), node.text if plain else "")
            if entry not in self.document.pip:
                self.document.pip.append(entry)
        self.document.constraints += [Entry(item.text, chosen) for item in found.constraints]


def _channels(root: Table) -> list[str]:
    if "channels" not in root.entries:
        return []
    return list(dict.fromkeys(channel_name(_text(item)) for item in _sequence(root.entries["channels"][1])))


def _sequence(node: Node) -> Iterator[Node]:
    yield from node.items if isinstance(node, Items) else ()


def _text(node: Node) -> str:
    assert isinstance(node, Scalar)
    return node.text.strip()


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _block(key: str, entries: list[Entry]) -> list[str]:
    return [f"{key}:", *_items("  ", entries)] if entries else []


def _items(indent: str, entries: Iterable[Entry]) -> list[str]:
    return [f"{indent}- {yaml_scalar(entry.text)}{selector_comment(entry.platforms)}" for entry in entries]


def _values(entries: Iterable[Entry]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        words = selector_comment(entry.platforms).strip().removeprefix("# [").removesuffix("]")
        if words:
            found += [{f"sel({word.strip('()')})": entry.text} for word in words.split(" or ")]
        else:
            found.append(entry.text)
    return found
