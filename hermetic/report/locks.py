"""Locks as text: what moved, what differs, and whether they fit their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hermetic.lock.check import Finding
from hermetic.lock.diff import Change, LockDiff, Move, PlatformDiff
from hermetic.lock.graph import graph
from hermetic.lock.model import CondaPackage, PlatformLock, Wheel
from hermetic.report.text import brief, columns, counted, paint, size

if TYPE_CHECKING:
    from hermetic.project.checking import LockCheck
    from hermetic.project.locking import LockOutcome

_CHOSEN = 12
"""How many of the user's requirements are named with their versions."""
_MARKS = {Move.ADDED: "+", Move.REMOVED: "-"}
_STYLES = {Move.ADDED: "added", Move.REMOVED: "removed"}


def diff_text(diff: LockDiff, *, colour: bool = False) -> str:
    """Draw what differs between two locks; platforms that differ in the same way stand together."""
    if not diff:
        return "no differences"
    lines = [f"platform {name} was removed" for name in diff.removed]
    for platforms, rows in _alike(diff.platforms).items():
        parts = [part for part in diff.platforms if part.platform in platforms]
        fetch = "/".join(dict.fromkeys(size(part.fetch) for part in parts if part.fetch))
        names = ", ".join(f"{name} (new)" if name in diff.added else name for name in platforms)
        lines.append(paint(names, "name", colour=colour) + (f"  {fetch} to fetch" if fetch else ""))
        lines += _table(rows, colour=colour)
    lines += [f"platform {name} was added" for name in diff.added if name not in {p.platform for p in diff.platforms}]
    return "\n".join(lines)


def outcome_text(outcome: LockOutcome, *, colour: bool = False) -> str:
    """Tell what locking an environment came to: how much is locked, and every move of a pin."""
    held = sorted(outcome.lock.platforms.items())
    platforms = "; ".join(f"{name}: {contents(lock)}" for name, lock in held)
    title = f"{paint(outcome.name, 'name', colour=colour)}: {outcome.path}"
    if outcome.first:
        rows = [f"{name}: {contents(lock)}{_asked(lock, outcome.lock.spec)}" for name, lock in held]
        return "\n  ".join([f"{title} is made", *rows])
    moves = outcome.moves
    new = tuple(part for part in moves.platforms if part.platform not in moves.added)
    lines = [f"  {name} is new: {contents(outcome.lock.platforms[name])}" for name in moves.added]
    old = diff_text(LockDiff(new, removed=moves.removed), colour=colour) if new or moves.removed else ""
    lines += [f"  {line}" for line in old.splitlines()]
    return "\n".join([title, *lines]) if lines else f"{title}: nothing moved ({platforms})"


def _asked(lock: PlatformLock, spec: Mapping[str, Any]) -> str:
    """Name what the user asked for, with the version that was chosen."""
    packages = graph(lock, spec)
    chosen = [f"{node[1]} {packages.packages[node].version}" for node, requirement in packages.roots if requirement]
    more = f", ... and {len(chosen) - _CHOSEN} more" if len(chosen) > _CHOSEN else ""
    return f": {', '.join(chosen[:_CHOSEN])}{more}" if chosen else ""


def contents(lock: PlatformLock) -> str:
    """Tell in a few words what a platform's lock holds."""
    parts = [counted(len(lock.conda), "conda package")] if lock.conda else []
    parts += [counted(len(lock.wheels), "wheel")] if lock.wheels else []
    total = sum(package.size for package in lock.conda) + sum(wheel.size for wheel in lock.wheels)
    return f"{' and '.join(parts) or 'nothing'}, {size(total)}"


def findings_text(findings: Sequence[Finding]) -> str:
    """Draw findings, one a line, each with its place; a remedy stands below its finding."""
    lines = []
    for finding in findings:
        where = f"{finding.place}: " if finding.place else ""
        named = finding.platform and finding.platform not in finding.message
        lines.append(f"{where}{finding.message}{f' ({finding.platform})' if named else ''}")
        lines += [f"  {finding.remedy}"] if finding.remedy else []
    return "\n".join(lines)


def checks_text(checks: Sequence[LockCheck]) -> str:
    """Tell of each lock whether it fits its spec, and in what it does not."""
    lines, stale = [], []
    for check in checks:
        if not check.findings:
            lines.append(f"{check.name}: {check.path} fits its spec")
            continue
        lines.append(f"{check.name}: {check.path} does not fit its spec")
        lines += [f"  {line}" for line in findings_text(check.findings).splitlines()]
        if not all(finding.code.startswith("base-") for finding in check.findings):
            stale.append(check.name)
    if stale:
        lines.append(f"bring {'it' if len(stale) == 1 else 'them'} up to date with: hermetic lock {' '.join(stale)}")
    return "\n".join(lines)


def checks_value(checks: Sequence[LockCheck]) -> dict[str, Any]:
    """Give checks as JSON values."""
    return {"fits": not any(check.findings for check in checks), "locks": [check.to_dict() for check in checks]}


_Cells = tuple[str, ...]


def _alike(parts: Sequence[PlatformDiff]) -> dict[tuple[str, ...], list[tuple[Move | None, _Cells]]]:
    """Put platforms together that differ in the same way: {platforms: rows}."""
    by_rows: dict[tuple[tuple[Move | None, _Cells], ...], list[str]] = {}
    for part in parts:
        rows: list[tuple[Move | None, _Cells]] = [(change.move, _cells(change)) for change in part.changes]
        rows += [
            (None, ("~", what, f"{brief(old) or 'none'} -> {brief(new) or 'none'}")) for what, old, new in part.other
        ]
        by_rows.setdefault(tuple(rows), []).append(part.platform)
    return {tuple(platforms): list(rows) for rows, platforms in by_rows.items()}


def _table(rows: Sequence[tuple[Move | None, _Cells]], *, colour: bool) -> list[str]:
    lines = columns((cells for _, cells in rows), indent="  ")
    return [
        paint(line, _STYLES.get(move, "changed") if move else "changed", colour=colour)
        for line, (move, _) in zip(lines, rows, strict=True)
    ]


def _cells(change: Change) -> _Cells:
    mark = _MARKS.get(change.move, "~")
    old, new = change.old, change.new
    if old is None or new is None:
        package = old or new
        assert package is not None
        return mark, package.name, _full(package)
    if change.move in {Move.UP, Move.DOWN}:
        note = "  (down)" if change.move is Move.DOWN else ""
        return mark, change.name, f"{old.version} -> {new.version}{note}"
    if change.move is Move.KIND:
        renamed = f" ({old.name} -> {new.name})" if old.name != new.name else ""
        return mark, change.name, f"{_full(old)} -> {_full(new)}{renamed}"
    if change.move is Move.BUILD:
        return mark, change.name, f"{old.version}  {_build(old, new)} -> {_build(new, old)}"
    if change.move is Move.SOURCE:
        return mark, change.name, f"{old.version}  from {_source(old)} -> {_source(new)}"
    if change.move is Move.CONTENT:
        return mark, change.name, f"{old.version}  other bytes: {old.sha256[:12]} -> {new.sha256[:12]}"
    return mark, change.name, f"{old.version}  same bytes, other details"


def _full(package: CondaPackage | Wheel) -> str:
    if isinstance(package, CondaPackage):
        return f"{package.version} {package.build} ({package.channel})"
    return f"{package.version} (pip)"


def _build(package: CondaPackage | Wheel, other: CondaPackage | Wheel) -> str:
    """Give what tells two builds apart: the build string, else subdir and file name."""
    if isinstance(package, CondaPackage) and isinstance(other, CondaPackage):
        if package.build != other.build:
            return package.build
        return f"{package.subdir}/{package.file_name}"
    return package.file_name


def _source(package: CondaPackage | Wheel) -> str:
    if isinstance(package, CondaPackage):
        return package.channel
    return package.url or package.index or "the default index"
