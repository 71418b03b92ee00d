"""Bases as text: the catalogue, and what pinning one came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hermetic.lock.image_diff import base_text
from hermetic.report.text import brief, columns, counted, paint, size

if TYPE_CHECKING:
    from hermetic.lock.model import Base
    from hermetic.outputs.oci.bases import CatalogueEntry
    from hermetic.project.basing import BaseOutcome, PinnedBase


def catalogue_text(entries: Sequence[CatalogueEntry], known: Sequence[str] = (), *, colour: bool = False) -> str:
    """Draw the catalogue. ``known`` are the names of registries whose address this machine knows."""
    rows = [(entry.name, entry.reference, entry.os, entry.summary) for entry in entries]
    lines = columns([("NAME", "IMAGE", "SYSTEM", ""), *rows])
    lines[0] = paint(lines[0].rstrip(), "faint", colour=colour)
    for registry in dict.fromkeys(entry.registry for entry in entries if entry.registry):
        if registry not in known:
            lines.append(
                f"\nthe address of the registry {registry!r} is not known here: set it under [registries] in "
                f"hermetic's configuration, or HERMETIC_REGISTRIES={registry}=https://..."
            )
    return "\n".join(lines)


def catalogue_value(entries: Sequence[CatalogueEntry], known: Sequence[str] = ()) -> dict[str, Any]:
    """Give the catalogue as JSON values; ``usable`` tells whether its registry has an address here."""
    return {"bases": [{**e.to_dict(), "usable": not e.registry or e.registry in known} for e in entries]}


def outcome_text(outcome: BaseOutcome, *, colour: bool = False) -> str:
    """Tell what moved, platform by platform; platforms with the same answer stand together."""
    title = paint(outcome.name, "name", colour=colour)
    told: dict[str, list[str]] = {}
    for base in outcome.bases:
        told.setdefault(_moves(base, colour=colour), []).append(base.platform)
    lines = [f"{title}: {outcome.path}" + ("" if outcome.changed else ": nothing moved")]
    for text, platforms in told.items():
        head, *rest = text.splitlines()
        lines += [f"  {', '.join(platforms)}: {head}", *(f"    {line}" for line in rest)]
    return "\n".join(lines)


def _moves(base: PinnedBase, *, colour: bool) -> str:
    if base.before is None or base.before == base.after:
        return _whole(base.after)
    rows = [("~", what, f"{brief(old) or 'none'} -> {brief(new) or 'none'}") for what, old, new in base.differences]
    marks = {"": ("+", "added"), None: ("-", "removed")}
    table = []
    for _, what, move in rows:
        old, _, new = move.partition(" -> ")
        mark, style = marks[""] if old == "none" else marks[None] if new == "none" else ("~", "changed")
        table.append((mark, what, new if mark == "+" else old if mark == "-" else move, style))
    lines = columns([row[:3] for row in table])
    return "\n".join(
        [_whole(base.after), *(paint(line, row[3], colour=colour) for line, row in zip(lines, table, strict=True))]
    )


def _whole(base: Base) -> str:
    text = brief(base_text(base))
    if base.packages:
        text += f" ({counted(len(base.packages), 'package')}, {size(sum(p.size for p in base.packages))})"
    return text
