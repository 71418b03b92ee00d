"""A workspace, as text: what was declared, what it consists of, and the keys of its file server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermetic.report.text import columns, counted, paint

if TYPE_CHECKING:
    from hermetic.workspace.declaring import Declared
    from hermetic.workspace.health import Health, Part
    from hermetic.workspace.serving.keys import KeyRing


def declared_text(declared: Declared) -> str:
    """Tell what was written and made."""
    address = declared.address
    said = f"{'made' if declared.created else 'found'} the workspace {address.name}"
    where = address.database.partition("://")[0] if address.database else str(address.folder)
    file = f"{'wrote' if declared.written else 'declared in'} {declared.file}"
    return f"{said} ({where}), {file}\n  next: hermetic environment scaffold -n NAME -d DIR, or hermetic wheel add FILE"


def health_text(health: Health, *, colour: bool = False) -> str:
    """Draw a workspace's parts, one a line, and what is wrong with each below it."""
    lines = [f"{paint(health.name, 'name', colour=colour)}  {paint(health.file, 'faint', colour=colour)}"]
    rows = columns([(part.name, _where(part)) for part in health.parts if part.where or part.trouble], indent="  ")
    shown = [part for part in health.parts if part.where or part.trouble]
    for row, part in zip(rows, shown, strict=True):
        lines.append(row)
        if part.trouble:
            lines.append("    " + paint(part.trouble.replace("\n", " "), "removed", colour=colour))
    return "\n".join(lines)


def _where(part: Part) -> str:
    counts = ", ".join(_count(name, number) for name, number in part.counts.items())
    return f"{part.where}  {counts}".strip()


def _count(name: str, number: int) -> str:
    return counted(number, name.removesuffix("s"), name) if name.endswith("s") else f"{number} {name}"


def keys_text(ring: KeyRing, *, colour: bool = False) -> str:
    """Draw a file server's keys, one a line, and the artefacts that are revoked."""
    rows = []
    for item in ring.keys:
        state = f"revoked {item.revoked_at[:10]}" if item.revoked_at else "signs" if item.id == ring.signing else "good"
        style = "removed" if item.revoked_at else "added"
        rows.append((item.id, item.created_at[:10], paint(state, style, colour=colour), item.note))
    lines = columns(rows)
    if ring.revoked:
        lines += ["revoked artefacts:", *(f"  {item}" for item in sorted(ring.revoked))]
    return "\n".join(lines) or "no keys yet; the first is made when something is signed or served"
