"""The key under which CI keeps the archives that a project's locks name, and the folder that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hermetic.digest import key

_PREFIX = "hermetic-1"
"""Changes with the store's layout, so that no version of hermetic meets a cache that it does not understand."""


@dataclass(frozen=True)
class CacheKey:
    """A cache's ``key``, the ``prefix`` of keys that are nearly as good, and the ``path`` that is to be kept.

    ``path`` has the store's archives only. Each is named by its digest, so that after a cache was restored all of it
    can be read again and held against the names: unpacked trees and finished work could not.
    """

    key: str
    prefix: str
    path: str

    def to_dict(self) -> dict[str, str]:
        """Give the key as JSON values."""
        return {"key": self.key, "path": self.path, "prefix": self.prefix}


def cache_key(start: str | None, names: Sequence[str] = (), platforms: Sequence[str] = ()) -> CacheKey:
    """Give the key of the cache for some environments (default: all) of a project on some platforms.

    By default that is this machine's platform, where it is locked. The key follows from what the locks name and from
    nothing else: a lock that names the same archives has the same key, whoever made it. Raises DriftError where there
    is no lock.
    """
    from hermetic.errors import DriftError, Place
    from hermetic.lock.file import read_lock
    from hermetic.platforms import check_platform, current_platform
    from hermetic.project.building import platform_lock
    from hermetic.project.project import open_project
    from hermetic.store import Store

    project = open_project(start)
    chosen = [project.choose(name) for name in names] or list(project.names)
    wanted = [check_platform(platform) for platform in platforms] or [current_platform()]
    parts: set[str] = set()
    for name in chosen:
        declaration = project.declaration(name)
        if not declaration.lock_path.exists():
            raise DriftError(
                f"{name} has no lock, which a cache could be named after",
                place=Place(str(declaration.lock_path)),
                remedy="make it with 'hermetic lock', and commit it",
            )
        lock = read_lock(declaration.lock_path)
        for platform in wanted:
            if platforms or platform in lock.platforms:
                parts.update(_archives(platform_lock(lock, declaration, platform)))
            else:
                parts.update(archive for locked in lock.platforms.values() for archive in _archives(locked))
    prefix = f"{_PREFIX}-{'+'.join(sorted(set(wanted)))}-"
    store = Store.open(project.config().store)
    return CacheKey(f"{prefix}{key('ci-cache/1', sorted(parts))}", prefix, str(store.root / "blobs"))


def _archives(locked: Any) -> list[str]:
    archives = [package.sha256 for package in (*locked.conda, *locked.wheels)]
    base = locked.image.base if locked.image else None
    return [*archives, *([base.manifest] if base else [])]
