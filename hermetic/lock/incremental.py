"""Old pins: which of them a new lock should keep.

A pin is a preference. It gives way where a requirement forbids it, where ``--update`` names it, and where the spec
has changed what it stood on: its channel is gone, or another one now comes before it that has the package too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hermetic.errors import UsageError
from hermetic.lock.channels import DEFAULT_CHANNEL
from hermetic.lock.model import CondaPackage, Lock, Wheel
from hermetic.lock.names import normal_name

ALL = "*"


def kept_conda(
    previous: Lock | None,
    platform: str,
    channels: Sequence[str],
    update: Sequence[str] | None,
    exclude_newer: datetime | None = None,
) -> tuple[CondaPackage, ...]:
    """Give the conda packages of an old lock that a new one should keep. ``channels`` are the new ones, in order."""
    if previous is None or platform not in previous.platforms or ALL in (update or ()):
        return ()
    moving = _moving(update)
    newest = exclude_newer.timestamp() * 1000 if exclude_newer else None
    return tuple(
        package
        for package in previous.platforms[platform].conda
        if not {package.name, normal_name(package.name)} & moving
        and package.channel in channels
        and (newest is None or 0 < package.timestamp <= newest)
    )


def rivals(previous: Lock | None, channels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Give, for each channel, those that now come before it and did not when the old lock was made."""
    if previous is None:
        return {}
    before = list(previous.spec.get("channels", ())) or [DEFAULT_CHANNEL]
    found = {}
    for position, channel in enumerate(channels):
        older = before[: before.index(channel)] if channel in before else before
        found[channel] = tuple(name for name in channels[:position] if name not in older)
    return {channel: names for channel, names in found.items() if names}


def kept_wheels(previous: Lock | None, platform: str, update: Sequence[str] | None) -> dict[str, Wheel]:
    """Give the wheels of an old lock that a new one should keep, by project.

    A platform that was not locked before looks at the others: the same versions everywhere are worth having.
    """
    if previous is None or ALL in (update or ()):
        return {}
    moving = _moving(update)
    own = previous.platforms.get(platform)
    locks = [own] if own else [lock for _, lock in sorted(previous.platforms.items())]
    found: dict[str, Wheel] = {}
    for lock in locks:
        for wheel in lock.wheels:
            if wheel.name not in moving:
                found.setdefault(wheel.name, wheel)
    return found


def check_update(previous: Lock | None, update: Sequence[str] | None) -> None:
    """Refuse to update what no lock has. Raises UsageError with the nearest names."""
    if not update or ALL in update:
        return
    platforms = list(previous.platforms.values()) if previous else []
    locked = {package.name for lock in platforms for package in lock.conda}
    locked |= {wheel.name for lock in platforms for wheel in lock.wheels}
    known = locked | {normal_name(name) for name in locked}
    for name in update:
        if name not in known and normal_name(name) not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, sorted(locked), 3)
            raise UsageError(
                f"{name!r} is not in the lock, so it cannot be updated",
                remedy=f"did you mean {' or '.join(near)}?" if near else "`hermetic tree` shows what is",
            )


def _moving(update: Sequence[str] | None) -> set[str]:
    return {spelling for name in update or () for spelling in (name, normal_name(name))}
