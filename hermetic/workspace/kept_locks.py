"""The lock of a version as a value: the kept one is read, and a new one kept without taking anything back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hermetic.digest import sha256_bytes
from hermetic.lock.file import format_lock, parse_lock

if TYPE_CHECKING:
    from hermetic.lock.model import Lock, PlatformLock
    from hermetic.workspace.environments import Environments


def kept_lock(environments: Environments, name: str, version: int) -> tuple[Lock | None, str]:
    """Give a version's lock and the sha256 of its file; None and nothing while it has none. Raises IntegrityError."""
    data = environments.lock_bytes(name, version)
    if data is None:
        return None, ""
    return parse_lock(data, f"the lock of {name}:{version}"), sha256_bytes(data)


def keep_lock(environments: Environments, name: str, version: int, lock: Lock) -> tuple[Lock, str]:
    """Keep a version's lock, or what it adds to the one that is kept; give what holds now, and its sha256.

    Whoever was first decides: a platform that is locked keeps its packages, and its base once it has one.
    """
    while True:
        kept, expected = kept_lock(environments, name, version)
        wanted = _grown(kept, lock) if kept else lock
        if kept is not None and wanted == kept:
            return kept, expected
        data = format_lock(wanted).encode()
        if environments.attach_lock(name, version, data, expected=expected) == sha256_bytes(data):
            return wanted, sha256_bytes(data)


def _grown(kept: Lock, lock: Lock) -> Lock:
    """Give a kept lock with what another adds: platforms, and images of platforms that are the same otherwise."""
    platforms = dict(kept.platforms)
    for name, found in lock.platforms.items():
        platforms[name] = _completed(platforms[name], found) if name in platforms else found
    return replace(kept, platforms=platforms)


def _completed(kept: PlatformLock, found: PlatformLock) -> PlatformLock:
    return replace(kept, image=found.image) if kept.image is None and found.key() == kept.key() else kept
