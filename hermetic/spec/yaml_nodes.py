"""YAML as nodes that know their lines, read so that no document can hurt.

PyYAML's own composer recurses in C and dies of a deeply nested document; this one is built on the parser's
events, has a depth limit, refuses duplicate keys (YAML 1.2, 3.2.1.3) and never expands an alias into copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hermetic.errors import Place, SpecError
from hermetic.spec.text import quoted

_MAX_DEPTH = 16
_MAX_NODES = 200_000


@dataclass
class Node:
    """A YAML node: where it starts (1-based line, 0-based column) and where it ends."""

    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0


@dataclass
class Scalar(Node):
    """A scalar: its text, and the type that YAML 1.1 gives it (``str``, ``int``, ``bool``, ``null``, ...)."""

    text: str = ""
    kind: str = "str"


@dataclass
class Items(Node):
    """A sequence; ``flow`` is one in brackets."""

    flow: bool = False
    items: list[Node] = field(default_factory=list)


@dataclass
class Table(Node):
    """A mapping with scalar keys, in the order of the file; ``flow`` is one in braces."""

    flow: bool = False
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)


def read_yaml(text: str, file: str) -> Node | None:
    """Give the one document of a YAML text, or None if it is empty. Raises SpecError for anything malformed."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(file, yaml).build(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        # What was begun and not ended is noticed too late: the place to look at is where it begins.
        unfinished = error.problem in {"could not find expected ':'", "found unexpected end of stream"}
        mark = (error.context_mark if unfinished else None) or error.problem_mark or error.context_mark
        raise SpecError(
            f"malformed YAML: {_explain(error.problem or error.context or 'it cannot be read', text, mark)}",
            place=Place(file, mark.line + 1 if mark else None),
            remedy="check indentation and quotation marks on this line and the one above",
        ) from None
    except yaml.YAMLError as error:
        raise SpecError(
            f"malformed YAML: {str(error).splitlines()[0]}", place=Place(file), remedy="save the file as UTF-8 text"
        ) from None


def _explain(problem: str, text: str, mark: Any) -> str:
    number = getattr(mark, "line", None)
    lines = text.split("\n")
    if (
        number is not None
        and number < len(lines)
        and "\t" in lines[number][: len(lines[number]) - len(lines[number].lstrip())]
    ):
        return "a tab indents this line; YAML indents with spaces"
    if problem == "could not find expected ':'":
        return "this line is neither a list entry ('- ...') nor 'key: value'"
    if problem == "found unexpected end of stream":
        return "a quotation mark on this line is never closed"
    return problem


class _Builder:
    """Builds nodes from a parser's events with a stack of its own."""

    def __init__(self, file: str, yaml: Any) -> None:
        self.file = file
        self.yaml = yaml
        self.anchors: dict[str, Node] = {}
        self.count = 0

    def error(self, message: str, line: int, remedy: str) -> SpecError:
        return SpecError(message, place=Place(self.file, line), remedy=remedy)

    def build(self, events: Iterable[Any]) -> Node | None:
        yaml = self.yaml
        root: Node | None = None
        stack: list[Items | Table] = []
        keys: list[Scalar | None] = []
        documents = 0
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.error("a second YAML document", line, "keep one document; remove the other ---")
                continue
            if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                stack.pop()
                keys.pop()
                continue
            node = self.node(event, line)
            if node is None:
                continue
            if stack:
                self.add(stack[-1], keys, node)
            else:
                root = node
            if isinstance(node, Items | Table) and not isinstance(event, yaml.AliasEvent):
                stack.append(node)
                keys.append(None)
                if len(stack) > _MAX_DEPTH:
                    raise self.error("nested too deep for a spec", line, "an environment file has four levels at most")
        return root

    def node(self, event: Any, line: int) -> Node | None:
        yaml = self.yaml
        node: Node
        column, end = event.start_mark.column, event.end_mark
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(line, column, end.line + 1, end.column, event.value, self.kind(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Items(line, column, end.line + 1, end.column, bool(event.flow_style))
        elif isinstance(event, yaml.MappingStartEvent):
            node = Table(line, column, end.line + 1, end.column, bool(event.flow_style))
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.error(f"*{quoted(event.anchor)[1:-1]} refers to nothing", line, "define it before, with &")
            found = self.anchors[event.anchor]
            if not isinstance(found, Scalar):
                raise self.error(
                    f"*{quoted(event.anchor)[1:-1]} repeats a list or a mapping",
                    line,
                    "write it out: hermetic takes anchors of scalars",
                )
            return Scalar(line, column, end.line + 1, end.column, found.text, found.kind)
        else:
            return None
        self.count += 1
        if self.count > _MAX_NODES:
            raise self.error("too large for a spec", line, "name the right file")
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def kind(self, event: Any) -> str:
        """Give the type of a scalar: quoted ones and those with an own tag are strings."""
        if not event.implicit[0]:
            return "str"
        return _resolve(event.value)

    def add(self, parent: Items | Table, keys: list[Scalar | None], node: Node) -> None:
        if isinstance(parent, Items):
            parent.items.append(node)
            return
        key = keys[-1]
        if key is None:
            if not isinstance(node, Scalar):
                raise self.error("a key that is a list or a mapping", node.line, "keys are plain words")
            if node.text in parent.entries:
                first = parent.entries[node.text][0].line
                raise self.error(
                    f"the key {quoted(node.text)} stands twice, first in line {first}", node.line, "merge the two"
                )
            keys[-1] = node
            return
        parent.entries[key.text] = (key, node)
        keys[-1] = None


def _resolve(text: str) -> str:
    """Give the type of a plain scalar under YAML 1.1, which conda's files are read with."""
    lowered = text.lower()
    if lowered in {"", "~", "null"}:
        return "null"
    if lowered in {"yes", "no", "on", "off", "true", "false"}:
        return "bool"
    digits = text.lstrip("+-").replace("_", "")
    if digits.isdecimal() and digits.isascii():
        return "int"
    if digits.replace(".", "", 1).isdecimal() and digits.isascii():
        return "float"
    return "str"
