"""Keys of what is made on the way to a prefix: each over everything that determines the bytes, nothing else.

Package keys know no prefix: one unpacked archive, one compiled package serves every environment and image.
"""

from __future__ import annotations

from collections.abc import Iterable

from hermetic.digest import key
from hermetic.lock.model import CondaPackage, PlatformLock, Wheel


def conda_tree_key(package: CondaPackage) -> str:
    """Give the key of an unpacked conda archive: its digest and its format (the name ends in it)."""
    kind = "conda" if package.file_name.endswith(".conda") else "tar.bz2"
    return key("conda-tree/1", {"sha256": package.sha256, "format": kind})


def wheel_tree_key(wheel: Wheel) -> str:
    """Give the key of an unpacked wheel: its digest, and its file name, which names its metadata folder."""
    return key("wheel-tree/2", {"sha256": wheel.sha256, "file_name": wheel.file_name})


def pyc_tree_key(python: CondaPackage, sources: Iterable[tuple[str, str]]) -> str:
    """Give the key of compiled modules: the Python that compiles, and each source's (path in the prefix, sha256)."""
    return key("pyc-tree/1", {"python": python.sha256, "sources": [list(source) for source in sorted(sources)]})


def prefix_key(lock: PlatformLock, prefix: str, link_scripts: str) -> str:
    """Give the key of a whole prefix: the environment, the path that its files hold, and what scripts did to it."""
    return key("prefix/1", {"environment": lock.key(), "prefix": prefix, "link_scripts": link_scripts})
