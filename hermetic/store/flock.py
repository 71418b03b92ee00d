"""Locks between processes (and threads): held by an open file, so the system frees them when a process dies.

No lock library: the one at hand loads an event loop, and costs more than a whole no-op. Locks work on the disks of
one machine and on NFS; a file system that knows none gives none, and then only atomic renames protect the store.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

_SHORTEST, _LONGEST = 0.01, 0.5
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}

if sys.platform == "win32":  # pragma: no cover  not run here: Linux first

    def try_lock(handle: int) -> bool:
        """Take the lock of an open file if nobody has it."""
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def try_lock(handle: int) -> bool:
        """Take the lock of an open file or folder if nobody has it."""
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return True
            raise
        return True


def is_at(handle: int, path: Path | str) -> bool:
    """Tell whether an open file is still the one at ``path``: it may have been renamed or removed meanwhile."""
    try:
        there = os.stat(path)  # noqa: PTH116  called for every file
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)


def lock_file(path: Path, wait: Callable[[float], object], waiting: Callable[[], None] | None = None) -> int:
    """Open and lock the file at ``path`` (made if need be); give the handle, whose closing frees it.

    ``wait`` sleeps some seconds between two tries, and may raise to give up; ``waiting`` is called once if
    somebody else has the lock.
    """
    pause = _SHORTEST
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            if try_lock(handle):
                if is_at(handle, path):
                    return handle
                os.close(handle)
                continue
            if waiting:
                waiting()
                waiting = None
            wait(pause)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        pause = min(pause * 2, _LONGEST)
