"""What stays behind though the channels have something newer, and which requirements hold it.

The newest release that the channels list is held against what is declared and what is locked. That is what a person
would look at first; where requirements hold a package only together, that is said, and not which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hermetic.errors import Place
from hermetic.lock.conda_solver import ChannelAt, RattlerSolver
from hermetic.lock.diff import newer
from hermetic.lock.graph import match_name
from hermetic.lock.incremental import ALL
from hermetic.lock.matching import meets, record_of, records_of
from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.lock.names import normal_name
from hermetic.platforms import NOARCH
from hermetic.spec.model import Spec

if TYPE_CHECKING:
    from rattler import PackageRecord

_SHOWN = 3


@dataclass(frozen=True, order=True)
class Hold:
    """What holds a package: a requirement, of the spec (with its place) or of a locked package (``by``).

    With ``missing`` it is the newest release itself that requires what is not locked; ``missing`` is what is. Without
    a requirement, it is all of them together.
    """

    by: str = ""
    requirement: str = ""
    missing: str = ""
    place: Place | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the hold as JSON values."""
        place = {"file": self.place.file, "line": self.place.line} if self.place else None
        return {"by": self.by, "requirement": self.requirement, "missing": self.missing, "place": place}


@dataclass(frozen=True)
class Held:
    """A package that stays at ``version`` though there is ``newest``, on the platforms where it is held alike."""

    name: str
    version: str
    newest: str
    holds: tuple[Hold, ...]
    platforms: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give what is held as JSON values."""
        return {
            "name": self.name, "version": self.version, "newest": self.newest,
            "holds": [hold.to_dict() for hold in self.holds], "platforms": list(self.platforms),
        }  # fmt: skip


async def held_back(
    spec: Spec,
    locks: Iterable[PlatformLock],
    update: Sequence[str],
    *,
    channels: Sequence[ChannelAt],
    solver: RattlerSolver,
    exclude_newer: datetime | None,
) -> tuple[Held, ...]:
    """Tell which conda packages stay behind their channel: of those named, or with ``*`` of those declared.

    Raises what reading repodata raises.
    """
    named = {normal_name(name) for name in update}
    at = {channel.name: channel for channel in channels}
    folded: dict[tuple[str, str, str, tuple[Hold, ...]], list[str]] = {}
    for lock in locks:
        asked = spec.for_platform(lock.platform)
        declared = {requirement.name for requirement in asked.conda}
        looked = [
            package
            for package in lock.conda
            if package.channel in at
            and (package.name in declared if ALL in update else normal_name(package.name) in named)
        ]
        for channel in sorted({package.channel for package in looked}):
            packages = {package.name: package for package in looked if package.channel == channel}
            listed: dict[str, list[CondaPackage]] = {}
            for subdir in (lock.platform, NOARCH):
                for record in await solver.records(at[channel], subdir, list(packages)):
                    if _counts(record, exclude_newer):
                        listed.setdefault(record.name, []).append(record)
            for name, package in packages.items():
                best = _newest(package, listed.get(name, ()))
                if best:
                    holds = tuple(_holds(package, best, lock, asked))
                    folded.setdefault((name, package.version, best[0].version, holds), []).append(lock.platform)
    return tuple(
        Held(name, version, newest, holds, tuple(platforms))
        for (name, version, newest, holds), platforms in sorted(folded.items(), key=lambda item: item[0][:3])
    )


def _counts(record: CondaPackage, exclude_newer: datetime | None) -> bool:
    """Tell whether a solver looks at a record as at others: not too new, and not put aside by its features."""
    limit = exclude_newer.timestamp() * 1000 if exclude_newer else None
    return not record.track_features and (limit is None or 0 < record.timestamp <= limit)


def _newest(package: CondaPackage, listed: Iterable[CondaPackage]) -> list[CondaPackage]:
    """Give all builds of the newest version that is newer than a package."""
    best: list[CondaPackage] = []
    for record in listed:
        if not newer(package, record):
            continue
        if best and record.version == best[0].version:
            best.append(record)
        elif not best or newer(best[0], record):
            best = [record]
    return best


def _holds(package: CondaPackage, best: Sequence[CondaPackage], lock: PlatformLock, spec: Spec) -> Iterator[Hold]:
    """Find what speaks against every build of the newest version."""
    found = [
        Hold("", requirement.match, place=requirement.place)
        for requirement in spec.conda
        if requirement.name == package.name and not _admitted(best, requirement.match)
    ]
    for other in lock.conda:
        if other.name != package.name:
            found += [
                Hold(f"{other.name} {other.version}", requirement)
                for requirement in (*other.depends, *other.constrains)
                if match_name(requirement) == package.name and not _admitted(best, requirement)
            ]
    if not found:
        locked = records_of(lock)
        ways = [list(_lacks(build, locked)) for build in best]
        found = [_traced(hold, spec) for hold in min(ways, key=len)]
    yield from found[:_SHOWN] or [Hold()]


def _admitted(builds: Sequence[CondaPackage], requirement: str) -> bool:
    return any(meets(record_of(build), requirement) is not False for build in builds)


def _lacks(build: CondaPackage, locked: Mapping[str, PackageRecord]) -> Iterator[Hold]:
    """Find what a build needs otherwise than it is locked; what is not locked at all could be added."""
    for requirement in build.depends:
        name = match_name(requirement)
        record = locked.get(name)
        if record is None and not name.startswith("__"):
            continue
        if meets(record, requirement) is False:
            is_here = f"{name} {record.version}" if record else f"no {name}"
            yield Hold(f"{build.name} {build.version}", requirement, is_here)


def _traced(hold: Hold, spec: Spec) -> Hold:
    """Name the declared requirement on what is missing, too, if there is one that limits it."""
    name = match_name(hold.requirement)
    declared = next((r for r in spec.conda if r.name == name and r.match != name), None)
    return Hold(hold.by, hold.requirement, hold.missing, declared.place) if declared else hold
