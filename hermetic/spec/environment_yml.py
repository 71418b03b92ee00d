"""conda's ``environment.yml`` (CEP 24), with the extensions of conda-lock and micromamba that people use.

Keys: name, channels, dependencies, variables, prefix (conda); platforms, category, pip-repositories,
allow-pypi-requests (conda-lock); pip-constraints (ours: what ``pip -c FILE`` says, so that a file need not travel
with its constraints file); ``# [selector]`` and ``sel(linux):`` on dependencies. Any other key is an error, where
CEP 24 would warn: a ``platform:`` that is overlooked locks for the wrong machines.

The channels are those of the file and no others, as in conda-lock, so ``nodefaults`` says nothing new.

conda-lock has a parser for these files. It is not used: its import costs half a second, it knows no line
numbers, drops ``- -e .``, loses the version that a file asks of pip itself, and resolves selectors for the
platforms of the moment. A test holds this one to the same requirements on every file that both can read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from hermetic.errors import Place, SpecError, UsageError
from hermetic.platforms import PLATFORMS, check_platform
from hermetic.spec.matchspec import canonical_match, channel_name
from hermetic.spec.model import MAIN, CondaRequirement, PipOptions, PipRequirement, Spec
from hermetic.spec.passwords import check_variable, spec_url
from hermetic.spec.pep508 import Origin, local_path, path_prefix, pip_requirement
from hermetic.spec.requirements_txt import Requirements, read_lines
from hermetic.spec.selectors import comment_selector, key_selector
from hermetic.spec.text import quoted, read_text
from hermetic.spec.urls import carries_secret, is_url
from hermetic.spec.yaml_nodes import Items, Node, Scalar, Table, read_yaml

_KEYS = (
    "name", "channels", "dependencies", "variables", "prefix",
    "platforms", "category", "pip-repositories", "allow-pypi-requests", "pip-constraints",
)  # fmt: skip
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CATEGORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_NODEFAULTS = "nodefaults"


@dataclass
class EnvironmentFile:
    """What one ``environment.yml`` says."""

    spec: Spec
    name: str = ""
    files: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)


def read_environment_yml(path: Path, *, root: Path | None = None) -> EnvironmentFile:
    """Read an ``environment.yml``. Local paths become relative to ``root`` (its own folder by default).

    Raises SpecError with file, line and remedy.
    """
    return parse_environment_yml(read_text(path), path, root=root or path.parent)


def parse_environment_yml(text: str, path: Path, *, root: Path) -> EnvironmentFile:
    """Read the text of an ``environment.yml`` that stands at ``path``; files it includes are read from disk."""
    return _Reader(text, path, root).read()


class _Reader:
    """Walks the document; every message has the line of the node that it is about."""

    def __init__(self, text: str, path: Path, root: Path) -> None:
        self.lines = text.split("\n")
        self.text = text
        self.path = path
        self.root = root
        self.prefix = path_prefix(path, root)
        self.category = MAIN
        self.conda: list[CondaRequirement] = []
        self.pip_lines: list[tuple[str, Origin]] = []
        self.warnings: list[str] = []
        self.places: dict[str, Place] = {}

    def place(self, node: Node) -> Place:
        return Place(str(self.path), node.line)

    def error(self, message: str, node: Node, remedy: str) -> SpecError:
        return SpecError(message, place=self.place(node), remedy=remedy)

    def read(self) -> EnvironmentFile:
        root = read_yaml(self.text, str(self.path))
        remedy = "write the keys channels: and dependencies:, as 'conda env create' reads them"
        if root is None:
            raise SpecError("the file is empty", place=Place(str(self.path)), remedy=remedy)
        if not isinstance(root, Table):
            raise self.error("an environment file is a mapping", root, remedy)
        for name, (key, _) in root.entries.items():
            if name not in _KEYS:
                close = get_close_matches(name, _KEYS, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(_KEYS)}"
                raise self.error(f"unknown key {quoted(name)}", key, hint)
        if not {"dependencies", "channels"} & set(root.entries):
            raise self.error("neither dependencies: nor channels: stand here", root, remedy)
        values = {name: value for name, (_, value) in root.entries.items()}
        self.category = self.read_category(values.get("category"))
        for item in self.items(values.get("dependencies"), "dependencies"):
            self.dependency(item, None)
        requirements = read_lines(iter(self.pip_lines), self.path, self.root)
        requirements.options = self.repositories(values, requirements)
        spec = Spec(
            channels=self.channels(values.get("channels")),
            conda=tuple(self.conda),
            pip=tuple(requirements.pip),
            constraints=(*requirements.constraints, *self.constraints(values.get("pip-constraints"))),
            options=requirements.options,
            variables=self.variables(values.get("variables")),
            platforms=self.platforms(values.get("platforms")),
        )
        name = self.word(values["name"], "name") if "name" in values else ""
        files = [self.path, *requirements.files]
        if requirements.index_place:
            self.places["index"] = requirements.index_place
        return EnvironmentFile(spec, name, files, [*self.warnings, *requirements.warnings], self.places)

    def items(self, node: Node | None, name: str) -> list[Node]:
        """Give a key's list; a key without a value is an empty list, as conda takes it."""
        if node is None or (isinstance(node, Scalar) and node.kind == "null"):
            return []
        if not isinstance(node, Items):
            raise self.error(f"{name} is a list", node, f"write each entry of {name} in a line of its own, after '- '")
        return node.items

    def word(self, node: Node, what: str) -> str:
        if not isinstance(node, Scalar) or node.kind == "null" or not node.text.strip():
            raise self.error(f"{what} is a text", node, "write one word, in quotation marks if need be")
        return node.text.strip()

    def selected(self, node: Node) -> frozenset[str] | None:
        """Give the platforms that the comment behind a node selects."""
        if not isinstance(node, Scalar) or node.end_line != node.line:
            return None
        return comment_selector(self.lines[node.line - 1][node.end_column :], self.place(node))

    def unselected(self, node: Node, what: str) -> None:
        if self.selected(node) is not None:
            raise self.error(
                f"a platform selector on {what}",
                node,
                f"{what} hold for all platforms; put the selector on a dependency",
            )

    def dependency(self, node: Node, platforms: frozenset[str] | None, *, pip: bool = False) -> None:
        """Read an entry of dependencies, or of ``- pip:``; ``platforms`` limits it already (None: all)."""
        what = "a pip requirement" if pip else "a dependency"
        if isinstance(node, Scalar):
            if node.kind == "null" or not node.text.strip():
                raise self.error(f"{what} is empty", node, "remove the '-', or write a requirement after it")
            if node.kind != "str":
                raise self.error(
                    f"{what} {quoted(node.text)} is read as {node.kind} by YAML", node, "put it in quotation marks"
                )
            self.requirement(node, _both(platforms, self.selected(node)), pip=pip)
        elif isinstance(node, Table):
            for name, (key, value) in node.entries.items():
                limit = _both(platforms, self.selected(key) if value.line > key.line else None)
                chosen = key_selector(name, self.place(key))
                if chosen is not None:
                    children = value.items if isinstance(value, Items) else [value]
                    for child in children:
                        self.dependency(child, _both(limit, chosen), pip=pip)
                elif name == "pip" and not pip:
                    for child in self.items(value, "pip"):
                        self.dependency(child, limit, pip=True)
                else:
                    raise self.error(
                        f"unknown key {quoted(name)} in {'pip' if pip else 'dependencies'}", key,
                        "write a requirement, '- pip:' with a list below, or '- sel(linux): requirement'",
                    )  # fmt: skip
        else:
            raise self.error(f"{what} is no list", node, "write one requirement after each '-'")

    def requirement(self, node: Scalar, platforms: frozenset[str] | None, *, pip: bool) -> None:
        if platforms is not None and not platforms:
            return  # sel(win) within # [linux] holds nowhere
        chosen = _named(platforms)
        if pip:
            self.pip_lines.append((node.text, Origin(self.place(node), self.prefix, chosen, self.category)))
        else:
            match = canonical_match(node.text, self.place(node), platforms=chosen, category=self.category)
            self.conda.append(match)

    def channels(self, node: Node | None) -> tuple[str, ...]:
        found: list[str] = []
        for item in self.items(node, "channels"):
            self.unselected(item, "channels")
            text = self.word(item, "a channel")
            if carries_secret(text):
                self.warnings.append(
                    f"{self.place(item)}: the secret in the URL is not kept; write ${{VARIABLE}} in its place"
                )
            name = channel_name(text, self.place(item))
            if name.startswith("."):
                name = local_path(name, Origin(prefix=self.prefix))
            if name != _NODEFAULTS and name not in found:
                found.append(name)
        return tuple(found)

    def constraints(self, node: Node | None) -> Iterator[PipRequirement]:
        """Give the entries of ``pip-constraints``: limits on the versions of packages that others may require."""
        for item in self.items(node, "pip-constraints"):
            chosen = self.selected(item)
            if chosen is not None and not chosen:
                continue
            origin = Origin(self.place(item), self.prefix, _named(chosen), self.category)
            found = pip_requirement(self.word(item, "a constraint"), origin)
            if found.extras or not found.name:
                raise self.error("a constraint limits the version of a named package", item, "write name>=1,<2")
            yield found

    def platforms(self, node: Node | None) -> tuple[str, ...]:
        found = []
        for item in self.items(node, "platforms"):
            self.unselected(item, "platforms")
            try:
                found.append(check_platform(self.word(item, "a platform")))
            except UsageError as error:
                raise self.error(error.message, item, error.remedy or "") from None
        return tuple(found)

    def variables(self, node: Node | None) -> tuple[tuple[str, str], ...]:
        if node is None or (isinstance(node, Scalar) and node.kind == "null"):
            return ()
        if not isinstance(node, Table):
            raise self.error("variables is a mapping", node, "write NAME: value below it")
        found = []
        for name, (key, value) in node.entries.items():
            if not _VARIABLE.match(name):
                raise self.error(f"{quoted(name)} is no variable's name", key, "use letters, digits and _")
            if not isinstance(value, Scalar) or value.kind == "null":
                raise self.error(f"the variable {name} has no text", value, f'write {name}: "value"')
            if "\n" in value.text or "\0" in value.text:
                raise self.error(f"the variable {name} has more than one line", value, "write it in one line")
            check_variable(name, value.text, self.place(value))
            self.unselected(value, "variables")
            found.append((name, value.text))
            self.places[f"variable {name}"] = self.place(key)
        return tuple(found)

    def read_category(self, node: Node | None) -> str:
        if node is None:
            return MAIN
        text = self.word(node, "category")
        if not _CATEGORY.match(text):
            raise self.error(f"{quoted(text)} is no category", node, "use one word, such as main, dev or test")
        return text

    def repositories(self, values: dict[str, Node], requirements: Requirements) -> PipOptions:
        """Add conda-lock's ``pip-repositories`` (further indexes) and ``allow-pypi-requests`` (the default one)."""
        options = requirements.options
        urls = []
        for item in self.items(values.get("pip-repositories"), "pip-repositories"):
            text = self.word(item, "a repository")
            if not is_url(text):
                raise self.error("a repository is a URL", item, "write https://host/simple")
            if carries_secret(text):
                self.warnings.append(
                    f"{self.place(item)}: the secret in the URL is not kept; write ${{VARIABLE}} in its place"
                )
            urls.append(spec_url(text, self.place(item), fragment=False).rstrip("/"))
        allow = values.get("allow-pypi-requests")
        if allow is not None and not (isinstance(allow, Scalar) and allow.kind == "bool"):
            raise self.error("allow-pypi-requests is true or false", allow, "write true or false")
        if isinstance(allow, Scalar) and allow.text.lower() in {"false", "no", "off"} and not options.index:
            options = replace(options, index=urls.pop(0)) if urls else replace(options, no_index=True)
        return replace(options, extra_indexes=tuple(dict.fromkeys([*options.extra_indexes, *urls])))


def _named(platforms: frozenset[str] | None) -> tuple[str, ...]:
    """Give selected platforms as a requirement holds them: none for all."""
    return () if platforms is None or len(platforms) == len(PLATFORMS) else tuple(sorted(platforms))


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
