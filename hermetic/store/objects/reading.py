"""A file on its way out: read piece by piece, hashed as it goes, and sent in parts side by side."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hermetic.digest import CHUNK
from hermetic.errors import IntegrityError, MachineError, Place, UsageError
from hermetic.events import Reporter, task
from hermetic.store.objects.model import ObjectStore, check_key, other_size

T = TypeVar("T")
PART = 8 << 20
"""Bytes that are sent in one request; a larger file is sent in parts, and some of them are in memory at once."""
JOBS = 4
"""Parts that are sent at once."""
_MOST_PARTS = 10_000


class Outgoing:
    """An open file whose bytes must be those of ``sha256`` before the last of them is given away.

    It is read like a file, in order; what was read may be read again (an upload that is tried again).
    ``size`` counts bytes.
    """

    def __init__(self, path: Path, handle: int, sha256: str, advance: Callable[[int], object]) -> None:
        self._path = path
        self._handle = handle
        self._wanted = sha256
        self._advance = advance
        self._hasher = hashlib.sha256()
        self._hashed = 0
        self._at = 0
        self.size = os.fstat(handle).st_size

    def read(self, count: int = -1) -> bytes:
        """Give the next bytes. Raises IntegrityError in place of the last ones if the file has another digest."""
        rest = self.size - self._at
        count = rest if count is None or count < 0 else min(count, rest)
        data = os.pread(self._handle, count, self._at)
        while len(data) < count:
            more = os.pread(self._handle, count - len(data), self._at + len(data))
            if not more:
                raise self._changed()
            data += more
        new = self._at + len(data) - self._hashed
        if new > 0:
            self._hasher.update(memoryview(data)[len(data) - new :])
            self._hashed += new
            self._advance(new)
        self._at += len(data)
        if self._hashed == self.size and self._hasher.hexdigest() != self._wanted:
            raise self._changed()
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, not beyond what was read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = min(max(0, base + offset), self.size)
        return self._at

    def tell(self) -> int:
        """Give the place that is read next."""
        return self._at

    def pieces(self, size: int = CHUNK) -> Iterator[bytes]:
        """Give the rest in pieces of a size; at least one, which an empty file has too."""
        yield self.read(size)
        while self._at < self.size:
            yield self.read(size)

    def _changed(self) -> IntegrityError:
        return IntegrityError(
            f"it is not the file that was meant: its sha256 is not {self._wanted}",
            place=Place(str(self._path)),
            remedy="it was changed meanwhile: run the command again; nothing was kept",
        )


@contextmanager
def outgoing(path: Path, sha256: str, advance: Callable[[int], object] = lambda _: None) -> Iterator[Outgoing]:
    """Open a file to be uploaded; ``advance`` is told how many bytes were read. Raises UsageError, MachineError."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError("there is no such file", place=Place(str(path)), remedy="check its name") from None
    except OSError as error:
        raise MachineError(
            f"cannot read it: {error.strerror}", place=Place(str(path)), remedy="check its permissions"
        ) from None
    try:
        yield Outgoing(path, handle, sha256, advance)
    finally:
        os.close(handle)


def put_file(
    objects: ObjectStore, key: str, path: Path, *, sha256: str, reporter: Reporter, send: Callable[[Outgoing], bool]
) -> bool:
    """Do what ``ObjectStore.put`` says, with what sends a file and tells whether it got the key."""
    check_key(key)
    name = f"upload {key}"
    with outgoing(path, sha256, lambda count: reporter.advance(name, count)) as file:
        there = objects.size(key)
        if there is None:
            with task(reporter, name, f"keeping {path.name}", file.size, "bytes"):
                if send(file):
                    return True
            there = objects.size(key)
        if there not in {None, file.size}:
            raise other_size(key, objects.where, there or 0, file.size)
        return False


def send_parts(file: Outgoing, send: Callable[[int, bytes], T]) -> list[T]:
    """Send a file in parts, numbered from 1, some at once; give what each gave, in order. The first error ends it."""
    from concurrent.futures import Future, ThreadPoolExecutor

    under_way: deque[Future[T]] = deque()
    done: list[T] = []
    pool = ThreadPoolExecutor(JOBS)
    try:
        for number, piece in enumerate(file.pieces(max(PART, -(-file.size // _MOST_PARTS))), 1):
            if len(under_way) == JOBS:
                done.append(under_way.popleft().result())
            under_way.append(pool.submit(send, number, piece))
        return done + [part.result() for part in under_way]
    finally:
        pool.shutdown(cancel_futures=True)
