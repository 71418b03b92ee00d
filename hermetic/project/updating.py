"""What an update comes to, as a whole: the moves of each environment, what is held back, and by what."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hermetic.errors import HermeticError, Place
from hermetic.events import SILENT, Reporter
from hermetic.lock.held import Held
from hermetic.lock.updates import PackageMove, PlatformUpdate, package_moves, platform_updates
from hermetic.project.locking import LockOutcome
from hermetic.project.project import Project, open_project


@dataclass(frozen=True)
class EnvironmentUpdate:
    """What an update does to one environment. ``path`` is relative to the project's folder.

    ``dates`` are the limits (RFC 3339, or empty) before which something must be published, before and now.
    """

    name: str
    path: str
    first: bool
    changed: bool
    moves: tuple[PackageMove, ...]
    platforms: tuple[PlatformUpdate, ...]
    held: tuple[Held, ...]
    dates: tuple[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Give the update as JSON values."""
        return {
            "name": self.name, "path": self.path, "first": self.first, "changed": self.changed,
            "moves": [move.to_dict() for move in self.moves],
            "platforms": {part.platform: part.to_dict() for part in self.platforms},
            "held": [held.to_dict() for held in self.held],
            "old_exclude_newer": self.dates[0], "exclude_newer": self.dates[1],
        }  # fmt: skip


def account(
    start: str | None,
    outcomes: Sequence[LockOutcome],
    *,
    update: Sequence[str] | None = None,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> tuple[EnvironmentUpdate, ...]:
    """Give the account of what locking came to. What the channels cannot be asked is left out, with a warning."""
    project = open_project(start)
    return tuple(_one(project, outcome, update, offline=offline, reporter=reporter) for outcome in outcomes)


def _one(
    project: Project, outcome: LockOutcome, update: Sequence[str] | None, *, offline: bool, reporter: Reporter
) -> EnvironmentUpdate:
    held: tuple[Held, ...] = ()
    if update:
        try:
            held = _held(project, outcome, update, offline=offline)
        except HermeticError as error:
            reporter.warn(f"{outcome.name}: what is held back is not told: {error.message}")
    return EnvironmentUpdate(
        outcome.name,
        Path(os.path.relpath(outcome.path, project.layout.root)).as_posix(),
        outcome.first,
        outcome.changed,
        package_moves(outcome.previous, outcome.lock, update),
        platform_updates(outcome.previous, outcome.lock),
        held,
        (outcome.previous.exclude_newer if outcome.previous else "", outcome.lock.exclude_newer),
    )


def _held(project: Project, outcome: LockOutcome, update: Sequence[str], *, offline: bool) -> tuple[Held, ...]:
    from hermetic.config import patience
    from hermetic.lock.channels import channels_of
    from hermetic.lock.conda_solver import RattlerSolver
    from hermetic.lock.held import held_back
    from hermetic.lock.resolve import cache_folder
    from hermetic.spec.times import parse_time

    spec = project.declaration(outcome.name).spec
    config = project.config(offline=offline)
    waits = patience()
    cache = cache_folder(config) / "repodata"
    solver = RattlerSolver(cache, offline=offline or config.offline, patience=waits.timeout, retries=waits.retries)
    limit = parse_time(outcome.lock.exclude_newer) if outcome.lock.exclude_newer else None
    locks = [lock for _, lock in sorted(outcome.lock.platforms.items())]
    channels = channels_of(spec, config)
    work = held_back(spec, locks, update, channels=channels, solver=solver, exclude_newer=limit)
    found = asyncio.run(work)
    if not (offline or config.offline):
        from hermetic.project.held_wheels import held_wheels

        found += held_wheels(spec, locks, update, config=config, exclude_newer=limit)
    return tuple(replace(item, holds=tuple(_near(hold, project.layout.root) for hold in item.holds)) for item in found)


def _near(hold: Any, root: Path) -> Any:
    """Give a hold whose place is named from the project's folder."""
    if not hold.place:
        return hold
    file = Path(os.path.relpath(root / hold.place.file, root)).as_posix()
    return replace(hold, place=Place(file, hold.place.line))
