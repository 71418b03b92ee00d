"""A solver's explanation, cut to what a person reads: a tree keeps its shape, not every one of its branches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_SIBLINGS = 3
"""Branches shown of each node; the rest repeat the same reason for other versions."""
_LINES = 40

_INDENT = re.compile(r"^(?:[│ ] {2})*(?:[├└]─ )?")


@dataclass
class _Node:
    text: str
    children: list[_Node] = field(default_factory=list)


def shorten(text: str) -> list[str]:
    """Give the lines of an explanation, with at most a few branches of each node and a few lines in all.

    Text that is no tree passes as it is.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    short = [line for root in _parse(lines) for line in _draw(root)]
    return short if len(short) <= _LINES else [*short[:_LINES], f"... and {len(short) - _LINES} lines more"]


def _parse(lines: list[str]) -> list[_Node]:
    roots: list[_Node] = []
    path: list[_Node] = []
    for line in lines:
        indent = _INDENT.match(line)
        depth = len(indent[0]) // 3 if indent else 0
        node = _Node(line[len(indent[0]) :] if indent else line)
        depth = min(depth, len(path))
        del path[depth:]
        (path[-1].children if path else roots).append(node)
        path.append(node)
    return roots


def _draw(node: _Node) -> Iterator[str]:
    yield node.text
    yield from _branches(node)


def _branches(node: _Node) -> Iterator[str]:
    shown = node.children if len(node.children) <= _SIBLINGS + 1 else node.children[:_SIBLINGS]
    hidden = len(node.children) - len(shown)
    for number, child in enumerate(shown, 1):
        last = number == len(shown) and not hidden
        yield f"{'└' if last else '├'}─ {child.text}"
        for line in _branches(child):
            yield f"{' ' if last else '│'}  {line}"
    if hidden:
        yield f"└─ ... and {hidden} more like these"
