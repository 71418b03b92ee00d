"""What verifying and comparing images found, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hermetic.report.text import columns, counted, paint, size

if TYPE_CHECKING:
    from hermetic.outputs.oci.diff import FileDifference, ImageDiff
    from hermetic.outputs.oci.verify import ImageFinding
    from hermetic.project.image_verifying import ImageCheck

_SHOWN = 100
_FILES = 30
_STYLE = {"added": "added", "lost": "removed", "removed": "removed"}
_MARK = {"added": "+", "removed": "-", "changed": "~"}


def image_check_text(check: ImageCheck, *, colour: bool = False) -> str:
    """Draw a check of an image: one line if all is well, else a line for each difference, up to 100."""
    if not check.findings:
        how = "" if check.exact else ", though packed in another way"
        of = f" ({', '.join(check.platforms)})" if len(check.platforms) > 1 else ""
        return f"{check.name}: {check.image}{of} is what its lock says, layer by layer and file by file{how}"
    lines = []
    for platform, findings in check.platforms.items():
        of = f" for {platform}" if len(check.platforms) > 1 else ""
        if not findings:
            lines.append(f"{check.name}: {check.image}{of} is what its lock says")
            continue
        lines.append(f"{check.name}: {check.image}{of} differs from its lock in {counted(len(findings), 'place')}")
        lines += columns([_row(finding, colour=colour) for finding in findings[:_SHOWN]], "  ")
        if len(findings) > _SHOWN:
            lines.append(f"  ... and {len(findings) - _SHOWN} more; --json lists all")
        if {finding.path for finding in findings} & {"User", "Labels"}:
            lines.append("  if it was built with --user or --label, say the same here: the lock does not hold them")
    return "\n".join(lines)


def _row(finding: ImageFinding, *, colour: bool) -> tuple[str, str, str, str]:
    layer = "image" if finding.layer < 0 else f"layer {finding.layer}"
    if finding.name:
        layer += f" ({finding.name})"
    return paint(finding.kind, _STYLE.get(finding.kind, "changed"), colour=colour), layer, finding.path, finding.detail


def image_diff_text(diff: ImageDiff, *, colour: bool = False) -> str:
    """Draw what differs between two images: packages, settings, layers, and the first 30 files."""
    if not diff:
        return f"{diff.old} and {diff.new} hold the same ({diff.platform})"
    lines = [f"{diff.old} -> {diff.new} ({diff.platform})"]
    for title, rows in (
        ("packages", [(p.kind, p.name, _move(p.old, p.new), p.manager) for p in diff.packages]),
        ("settings", [(s.kind, s.name, _move(s.old, s.new)) for s in diff.settings]),
        ("layers", [(one.kind, f"{one.number}", size(one.size), one.diff_id[:19], one.made_by) for one in diff.layers]),
    ):
        if rows:
            lines.append(f"  {title}")
            marked = [(paint(_MARK[kind], _STYLE.get(kind, "changed"), colour=colour), *rest) for kind, *rest in rows]
            lines += columns(marked, "    ")
    if diff.shared:
        lines.append(f"    {counted(diff.shared, 'layer')} the same")
    if diff.files:
        lines.append(f"  files ({_counts(diff.files)})")
        rows = [
            (paint(_MARK[one.kind], _STYLE.get(one.kind, "changed"), colour=colour), one.path, _sizes(one), one.detail)
            for one in diff.files[:_FILES]
        ]
        lines += columns(rows, "    ")
        if len(diff.files) > _FILES:
            lines.append(f"    ... and {len(diff.files) - _FILES} more; --json lists all")
    return "\n".join(lines)


def _move(old: str, new: str) -> str:
    return f"{old} -> {new}" if old and new else old or new


def _counts(files: Sequence[FileDifference]) -> str:
    counts = {kind: sum(1 for one in files if one.kind == kind) for kind in _MARK}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _sizes(one: FileDifference) -> str:
    if one.old is None or one.new is None or one.old == one.new:
        return size(one.new if one.new is not None else one.old or 0)
    return f"{size(one.old)} -> {size(one.new)}"
