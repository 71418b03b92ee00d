"""What differs between two locks, as data: ``hermetic.report`` draws it, ``hermetic lock`` prints it as moves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hermetic.lock.image_diff import image_differences
from hermetic.lock.model import CondaPackage, Lock, PlatformLock, Wheel
from hermetic.lock.names import provided


class Move(StrEnum):
    """How a package differs between two locks."""

    ADDED = "added"
    REMOVED = "removed"
    UP = "up"
    DOWN = "down"
    BUILD = "build"
    """Same version, another build."""
    SOURCE = "source"
    """Same version and build, from another channel, index or address."""
    CONTENT = "content"
    """Same name, version and build, other bytes: a publisher replaced a file."""
    KIND = "kind"
    """From conda to pip, or back."""
    DETAILS = "details"
    """Same bytes; what is said of them differs (edges, categories, licence)."""


@dataclass(frozen=True)
class Change:
    """One package's change. ``old`` and ``new`` are None where it was added or removed."""

    move: Move
    name: str
    old: CondaPackage | Wheel | None
    new: CondaPackage | Wheel | None

    def to_dict(self) -> dict[str, Any]:
        """Give the change as JSON values."""
        return {"move": str(self.move), "name": self.name, "old": _shown(self.old), "new": _shown(self.new)}


@dataclass(frozen=True)
class PlatformDiff:
    """What differs on one platform.

    ``changes`` are sorted by name; ``other`` names what else changed (variables, virtual packages, an image's base
    and layers), each as (what, old, new); ``fetch`` counts the bytes of archives that the new lock needs and the old
    one did not.
    """

    platform: str
    changes: tuple[Change, ...] = ()
    other: tuple[tuple[str, str, str], ...] = ()
    fetch: int = 0

    def __bool__(self) -> bool:
        return bool(self.changes or self.other)


@dataclass(frozen=True)
class LockDiff:
    """What differs between two locks: only platforms that differ stand in ``platforms``."""

    platforms: tuple[PlatformDiff, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.platforms or self.added or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """Give the diff as JSON values."""
        return {
            "platforms_added": list(self.added),
            "platforms_removed": list(self.removed),
            "platforms": {
                part.platform: {
                    "changes": [change.to_dict() for change in part.changes],
                    "other": [{"what": what, "old": old, "new": new} for what, old, new in part.other],
                    "fetch_bytes": part.fetch,
                }
                for part in self.platforms
            },
        }


def diff(old: Lock | None, new: Lock) -> LockDiff:
    """Tell what differs between two locks; without an old one, everything is added."""
    before = old.platforms if old else {}
    parts = []
    for platform, lock in sorted(new.platforms.items()):
        part = platform_diff(before.get(platform) or PlatformLock(platform, lock.virtual_packages), lock)
        if part:
            parts.append(part)
    return LockDiff(
        platforms=tuple(parts),
        added=tuple(sorted(set(new.platforms) - set(before))),
        removed=tuple(sorted(set(before) - set(new.platforms))),
    )


def platform_diff(old: PlatformLock, new: PlatformLock) -> PlatformDiff:
    """Tell what differs on one platform."""
    changes = sorted(_changes(old, new), key=lambda change: (change.name, change.move))
    before: list[CondaPackage | Wheel] = [*old.conda, *old.wheels]
    after: list[CondaPackage | Wheel] = [*new.conda, *new.wheels]
    had = {package.sha256 for package in before}
    return PlatformDiff(
        platform=new.platform,
        changes=tuple(changes),
        other=tuple(_other(old, new)),
        fetch=sum(package.size for package in after if package.sha256 not in had),
    )


def _changes(old: PlatformLock, new: PlatformLock) -> Iterator[Change]:
    conda = _pairs({p.name: p for p in old.conda}, {p.name: p for p in new.conda})
    wheels = _pairs({w.name: w for w in old.wheels}, {w.name: w for w in new.wheels})
    moved_to_pip = _moved(conda[0], wheels[1], old)
    moved_to_conda = {project: name for name, project in _moved(conda[1], wheels[0], new).items()}
    for name, project in moved_to_pip.items():
        yield Change(Move.KIND, project, conda[0].pop(name), wheels[1].pop(project))
    for project, name in moved_to_conda.items():
        yield Change(Move.KIND, name, wheels[0].pop(project), conda[1].pop(name))
    for removed, added, both in (conda, wheels):
        yield from (Change(Move.REMOVED, name, package, None) for name, package in removed.items())
        yield from (Change(Move.ADDED, name, None, package) for name, package in added.items())
        for name, (before, after) in both.items():
            move = _move(before, after)
            if move:
                yield Change(move, name, before, after)


def _pairs(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    return (
        {name: package for name, package in old.items() if name not in new},
        {name: package for name, package in new.items() if name not in old},
        {name: (old[name], new[name]) for name in old if name in new},
    )


def _moved(conda: dict[str, Any], wheels: dict[str, Any], lock: PlatformLock) -> dict[str, str]:
    """Match conda packages that are on one side only with wheels that are on the other side only."""
    names = {found.conda: found.name for found in provided(lock.conda) if found.name in wheels and found.conda in conda}
    return {name: names[name] for name in sorted(names)}


def _move(old: CondaPackage | Wheel, new: CondaPackage | Wheel) -> Move | None:
    if old == new:
        return None
    if old.version != new.version:
        return Move.UP if newer(old, new) else Move.DOWN
    if isinstance(old, CondaPackage) and isinstance(new, CondaPackage):
        same_build = (old.build, old.file_name, old.subdir) == (new.build, new.file_name, new.subdir)
        same_source = old.channel == new.channel
    else:
        assert isinstance(old, Wheel)
        assert isinstance(new, Wheel)
        same_build = old.file_name == new.file_name
        same_source = (old.index, old.url) == (new.index, new.url)
    if not same_build:
        return Move.BUILD
    if not same_source:
        return Move.SOURCE
    return Move.CONTENT if old.sha256 != new.sha256 else Move.DETAILS


def newer(old: CondaPackage | Wheel, new: CondaPackage | Wheel) -> bool:
    """Tell whether ``new`` has the higher version, by the rules of its kind (CEP 33 for conda, PEP 440 for wheels)."""
    try:
        if isinstance(new, Wheel):
            from packaging.version import Version

            return Version(new.version) > Version(old.version)
        from rattler import Version as CondaVersion

        return bool(CondaVersion(new.version) > CondaVersion(old.version))
    except Exception:  # noqa: BLE001  # each library has its own error for text that is no version; any order will do then
        return _numbers(new.version) > _numbers(old.version)


def _numbers(version: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|[a-z]+", version.lower())]


def _other(old: PlatformLock, new: PlatformLock) -> Iterator[tuple[str, str, str]]:
    before, after = dict(old.variables), dict(new.variables)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"variable {name}", before.get(name, ""), after.get(name, "")
    had = {text.split("=")[0]: text for text in old.virtual_packages}
    has = {text.split("=")[0]: text for text in new.virtual_packages}
    for name in sorted(had.keys() | has.keys()):
        if had.get(name) != has.get(name):
            yield f"virtual package {name}", had.get(name, ""), has.get(name, "")
    yield from image_differences(old, new)


def _shown(package: CondaPackage | Wheel | None) -> dict[str, Any] | None:
    if package is None:
        return None
    shown: dict[str, Any] = {"kind": "pip", "version": package.version}
    if isinstance(package, CondaPackage):
        shown |= {"kind": "conda", "build": package.build, "channel": package.channel, "subdir": package.subdir}
    elif package.index or package.url:
        shown["index"] = package.index or package.url
    return {**shown, "file_name": package.file_name, "sha256": package.sha256, "size": package.size}
