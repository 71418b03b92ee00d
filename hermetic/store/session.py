"""A process's own corner of the store: folders that are being filled, gone when the process is.

Each process holds a lock on its folder while it lives, however it ends; so a folder whose lock is free was left by
a dead one and is swept by whoever comes next. Process ids are no proof (they are reused, and differ between
containers), a lock is.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from hermetic.store.flock import is_at, try_lock

_sessions: dict[tuple[str, int], Session] = {}
_guard = threading.Lock()


class Session:
    """A locked folder in the store's ``staging``."""

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle = handle
        self._count = 0
        self._guard = threading.Lock()

    def new_path(self) -> Path:
        """Give a path in the folder that nobody else has."""
        with self._guard:
            self._count += 1
            return self.folder / str(self._count)

    def close(self) -> None:
        """Remove the folder and free its lock."""
        remove(self.folder)
        with suppress(OSError):
            os.close(self._handle)


def session(staging: Path) -> Session:
    """Give this process's session; the first call sweeps what dead processes left."""
    key = (os.fspath(staging), os.getpid())  # a forked child is a process of its own
    found = _sessions.get(key)
    if found is None or not found.folder.is_dir():
        with _guard:
            found = _sessions.get(key)
            if found is None or not found.folder.is_dir():
                found = _sessions[key] = _begin(staging)
    return found


def _begin(staging: Path) -> Session:
    staging.mkdir(parents=True, exist_ok=True)
    sweep(staging)
    while True:
        folder = staging / f"{os.getpid()}-{os.urandom(6).hex()}"
        folder.mkdir()
        try:
            handle = _open(folder)
            if try_lock(handle) and folder.is_dir():
                break
            os.close(handle)
        except OSError:
            if folder.is_dir():
                raise
        # else: a sweeper was there between the two calls, and took it for a dead one's
    begun = Session(folder, handle)
    process = os.getpid()
    atexit.register(lambda: begun.close() if os.getpid() == process else None)
    return begun


def sweep(staging: Path) -> int:
    """Remove the folders of dead processes; give how many there were."""
    swept = 0
    for name in os.listdir(staging):  # noqa: PTH208  at every first use
        folder = staging / name
        try:
            handle = _open(folder)
        except OSError:
            continue
        try:
            if try_lock(handle) and is_at(handle, _lock_of(folder)):
                remove(folder)
                swept += 1
        except OSError:
            pass
        finally:
            os.close(handle)
    return swept


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also what lies in read-only folders; never follow a link out of it."""
    import shutil

    def again(_function: object, path: str, _error: object) -> None:
        with suppress(OSError):
            parent = os.path.dirname(path)  # noqa: PTH120
            for closed in (parent, path):
                if not os.path.islink(closed):  # noqa: PTH114
                    os.chmod(closed, 0o700)  # noqa: PTH101
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)  # noqa: PTH108

    shutil.rmtree(folder, onerror=again)


def _lock_of(folder: Path) -> Path:
    """Give what carries a session's lock: the folder itself, or a file in it where folders cannot be opened."""
    return folder / ".lock" if sys.platform == "win32" else folder


def _open(folder: Path) -> int:
    if sys.platform == "win32":  # pragma: no cover  not run here: Linux first
        return os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
