"""Trees and reasons as text, and as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hermetic.lock.graph import Row, Why
from hermetic.report.text import counted, paint


def tree_text(rows: Sequence[Row], *, colour: bool = False) -> str:
    """Draw a tree, or a list. A package that was opened further up is marked ``(*)``, a wheel ``(pip)``."""
    if not rows:
        return "no packages"
    last = _last_of_their_branch(rows)
    open_branches: list[str] = []
    lines, starred = [], False
    for row, is_last in zip(rows, last, strict=True):
        del open_branches[max(row.depth - 1, 0) :]
        lead = "".join(open_branches)
        if row.depth:
            lead += "└── " if is_last else "├── "
            open_branches.append("    " if is_last else "│   ")
        kind, name = row.node
        asked = row.requirement.removeprefix(name).strip()
        lines.append(
            paint(lead, "faint", colour=colour)
            + f"{name} {row.version}"
            + (" (pip)" if kind == "pip" else "")
            + paint(f"  {asked}" if asked else "", "faint", colour=colour)
            + (" (*)" if row.again else "")
        )
        starred |= row.again
    if starred:
        lines += ["", "(*) shown above with what it needs"]
    return "\n".join(lines)


def tree_value(rows: Sequence[Row]) -> dict[str, Any]:
    """Give a tree's rows as JSON values, in the order they are drawn; ``depth`` tells whose branch a row is."""
    return {
        "rows": [
            {
                "depth": row.depth,
                "kind": row.node[0],
                "name": row.node[1],
                "version": row.version,
                "requirement": row.requirement,
                "again": row.again,
            }
            for row in rows
        ]
    }


def why_text(answers: Sequence[Why], *, colour: bool = False) -> str:
    """Draw why packages are there: the shortest way from each of the user's requirements."""
    return "\n\n".join("\n".join(_why_lines(answer, colour=colour)) for answer in answers)


def why_value(answers: Sequence[Why]) -> dict[str, Any]:
    """Give reasons as JSON values."""
    return {
        "packages": [
            {
                "kind": answer.node[0],
                "name": answer.node[1],
                "version": answer.version,
                "reasons": [
                    [{"kind": node[0], "name": node[1], "requirement": text} for node, text in reason.steps]
                    for reason in answer.reasons
                ],
                "ways": answer.ways,
                "more_ways": answer.more,
            }
            for answer in answers
        ]
    }


def _why_lines(answer: Why, *, colour: bool) -> list[str]:
    kind, name = answer.node
    title = f"{paint(f'{name} {answer.version}', 'name', colour=colour)} ({kind})"
    asked = len({reason.steps[0] for reason in answer.reasons if reason.steps[0][1]})
    ways = f"{'more than ' if answer.more else ''}{counted(answer.ways, 'way')} from {counted(asked, 'requirement')}"
    if asked and answer.ways > len(answer.reasons):
        ways += "; the shortest of each (--all shows every way)"
    lines = [f"{title}: {ways if asked else 'not asked for by name'}"]
    for reason in answer.reasons:
        (root, text), *steps = reason.steps
        lines.append(f"  {text or root[1]}")
        lines += [
            f"  {'    ' * depth}{paint('└── ', 'faint', colour=colour)}{text or node[1]}"
            for depth, (node, text) in enumerate(steps)
        ]
    return lines


def _last_of_their_branch(rows: Sequence[Row]) -> list[bool]:
    """Tell of each row whether no sibling follows it."""
    found, followed = [], set[int]()
    for row in reversed(rows):
        followed = {depth for depth in followed if depth <= row.depth}
        found.append(row.depth not in followed)
        followed.add(row.depth)
    return found[::-1]
