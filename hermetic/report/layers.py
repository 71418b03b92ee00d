"""The layers of an image, and what they cost, as text."""

from __future__ import annotations

from hermetic.plan.layer_costs import TO_MAKE, Cost, LayerReport
from hermetic.report.text import columns, counted, paint, size

_NAMED = 3  # packages of a layer that are named when nothing has changed


def layers_text(report: LayerReport, *, colour: bool = False) -> str:
    """Draw an image's layers from the top to the bottom: what is in them, and what is sent and extracted.

    A size with ``~`` is that of the archives, as long as the layer is not made.
    """
    header = ("layer", "size", "state", "push", "extract", "packages")
    rows = [header, *(_cells(cost) for cost in reversed(report.layers))]
    lines = columns(rows)
    painted = [paint(lines[0], "faint", colour=colour)]
    for line, cost in zip(lines[1:], reversed(report.layers), strict=True):
        style = "changed" if cost.push else "name" if cost.extract else "faint"
        painted.append(paint(line, style, colour=colour))
    about = "" if report.exact else "about "
    layers = counted(len(report.layers), "layer")
    pushed = counted(sum(cost.push for cost in report.layers), "layer")
    extracted = counted(sum(cost.extract for cost in report.layers), "layer")
    parts = (
        f"{layers}, {about}{size(report.size)}",
        f"to push: {pushed}, {about}{size(report.push_bytes)}",
        f"to extract: {extracted}, {about}{size(report.extract_bytes)}",
    )
    painted += ["", "; ".join(parts)]
    if report.compared:
        moved = [f"  {name}: {old} -> {new}" for name, old, new in report.moved]
        painted += [f"{counted(len(moved), 'package')} changed layers", *moved] if moved else []
    return "\n".join(painted)


def _cells(cost: Cost) -> tuple[str, ...]:
    row = cost.row
    return (
        row.name,
        f"{'~' if row.state == TO_MAKE else ''}{size(row.size)}",
        row.state,
        "push" if cost.push else "",
        "extract" if cost.extract else "",
        "; ".join(cost.changes) or _packages(cost),
    )


def _packages(cost: Cost) -> str:
    names = sorted(cost.row.packages)
    if len(names) == 1:
        version = cost.row.packages[names[0]][0]
        return f"{names[0]} {version}"
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
