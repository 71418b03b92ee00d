"""Edits of what is declared, as text: what was written into which file, and what was chosen for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermetic.report.locks import outcome_text
from hermetic.spec.pep508 import normal_name

if TYPE_CHECKING:
    from hermetic.lock.model import CondaPackage, Lock, Wheel
    from hermetic.project.editing import Edit


def edit_text(edit: Edit, *, colour: bool = False) -> str:
    """Draw an edit: a line for each requirement, then what locking came to."""
    lines = []
    for name, before, now in edit.changes:
        chosen = chosen_text(edit.outcome.lock, name) if edit.outcome and now else ""
        what = f"{before} -> {now}" if before and now else now or f"{before} removed"
        if now == before:
            what = f"{now} stands there already"
        lines.append(f"{edit.file}: {what}{f' ({chosen})' if chosen else ''}")
    if not edit.changes:
        lines.append(f"{edit.file} is written")
    if edit.outcome:
        lines.append(outcome_text(edit.outcome, colour=colour))
    return "\n".join(lines)


def chosen_text(lock: Lock, name: str) -> str:
    """Tell which version of a package was chosen, on which platforms where they differ."""
    found: dict[str, list[str]] = {}
    for platform, locked in sorted(lock.platforms.items()):
        packages: list[CondaPackage | Wheel] = [*locked.conda, *locked.wheels]
        for package in packages:
            if package.name == name or normal_name(package.name) == name:
                found.setdefault(package.version, []).append(platform)
    if len(found) == 1 and len(next(iter(found.values()))) == len(lock.platforms):
        return f"{name} {next(iter(found))}"
    return ", ".join(f"{name} {version} for {', '.join(platforms)}" for version, platforms in found.items())
