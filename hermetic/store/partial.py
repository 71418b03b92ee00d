"""A download under way: a locked file that outlives the process, so that the next one can go on with it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hermetic.digest import CHUNK
from hermetic.store.flock import is_at, lock_file, try_lock
from hermetic.store.intake import write_all

if TYPE_CHECKING:
    from hermetic.store.store import Store


KEPT = 14 * 86400
"""Seconds that a download which broke off is kept for somebody to go on with."""


def sweep_partials(folder: Path) -> None:
    """Make the folder of downloads if need be, and remove those that nobody has gone on with for long."""
    folder.mkdir(parents=True, exist_ok=True)
    old = time.time() - KEPT
    with os.scandir(folder) as entries:
        stale = [entry.path for entry in entries if entry.stat(follow_symlinks=False).st_mtime < old]
    for path in stale:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                if try_lock(handle) and is_at(handle, path):
                    Path(path).unlink()
            finally:
                os.close(handle)


class Partial:
    """The file in which a blob is being downloaded, held by this thread alone.

    ``size`` counts the bytes that are there. Entering waits for whoever else downloads the same blob.
    """

    def __init__(self, store: Store, sha256: str, wait: Callable[[float], object]) -> None:
        self._store = store
        self._sha256 = sha256
        self._wait = wait
        self._path = store.root / "partial" / sha256
        self._handle = -1
        self._adopted = False
        self.size = 0

    def __enter__(self) -> Self:
        self._handle = lock_file(self._path, self._wait)
        self.size = os.fstat(self._handle).st_size
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            # Nothing worth keeping, or no room for it. Only under the lock, and only while the name is still ours.
            full = isinstance(error, OSError) and error.errno is not None
            if not self._adopted and (self.size == 0 or full):
                self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def hashed(self) -> tuple[hashlib._Hash, int]:
        """Give the sha256 over the bytes that are there, to go on with, and their number."""
        hasher = hashlib.sha256()
        os.lseek(self._handle, 0, os.SEEK_SET)
        buffer = memoryview(bytearray(min(CHUNK, self.size or 1)))
        count = 0
        while got := os.readv(self._handle, [buffer]):
            hasher.update(buffer[:got])
            count += got
        self.size = count
        return hasher, count

    def head(self) -> bytes:
        """Give the first bytes."""
        return os.pread(self._handle, 64, 0)

    def clear(self) -> None:
        """Throw away what is there."""
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Add bytes at the end."""
        write_all(self._handle, memoryview(piece))
        self.size += len(piece)

    def adopt(self) -> None:
        """Make it the blob: its bytes have been checked."""
        self._store.adopt(self._path, self._sha256)
        self._adopted = True

    def done(self) -> None:
        """Throw away what is there, unless it became the blob: the blob is in the store."""
        if not self._adopted:
            self.clear()
