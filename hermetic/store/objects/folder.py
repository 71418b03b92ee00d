"""Artefacts in a folder of this machine, or of a disk that a team shares: nothing to start.

A file is written aside, in ``.incoming``, reaches the disk, and gets its name by a hard link, which fails if the name
is taken: so of two at once one wins, and no reader and no power cut ever shows a part of it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hermetic.errors import HermeticError, MachineError
from hermetic.events import SILENT, Reporter
from hermetic.store.flock import lock_file, try_lock
from hermetic.store.intake import write_all
from hermetic.store.objects.model import check_expiry, check_key, is_key, missing
from hermetic.store.objects.reading import put_file

_INCOMING = ".incoming"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_STALE = 3600.0
"""Seconds without a byte after which an upload that nobody holds is a dead process's."""


class FolderObjects:
    """Objects as files below a folder, which is made with the first of them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def where(self) -> str:
        """Give the folder."""
        return str(self.root)

    def put(self, key: str, path: Path, *, sha256: str, reporter: Reporter = SILENT) -> bool:
        """Copy a file in unless it is there."""
        target = self._path(key)
        return put_file(
            self, key, path, sha256=sha256, reporter=reporter, send=lambda file: self._place(target, file.pieces())
        )

    def put_bytes(self, key: str, data: bytes) -> bool:
        """Write a small document unless it is there."""
        target = self._path(key)
        return not target.exists() and self._place(target, iter([data]))

    def get_bytes(self, key: str) -> bytes:
        """Read a small document."""
        path = self._path(key)
        with self._faults():
            try:
                return path.read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise missing(key, self.where) from None

    def size(self, key: str) -> int | None:
        """Look at the file."""
        path = self._path(key)
        with self._faults():
            try:
                return path.stat().st_size if path.is_file() else None
            except (FileNotFoundError, NotADirectoryError):
                return None

    def keys(self, prefix: str) -> Iterator[str]:
        """Look through the folders that the prefix leads to."""
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        with self._faults():
            found = [key for key in self._below(folder) if key.startswith(prefix)]
        yield from sorted(found)

    def delete(self, key: str) -> None:
        """Remove the file."""
        with self._faults():
            self._path(key).unlink(missing_ok=True)

    def signed_url(self, key: str, *, expires: int) -> str:
        """Give the file's own address: whoever can read it needs no signature."""
        check_expiry(expires)
        return self._path(key).absolute().as_uri()

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _below(self, folder: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if not is_key(entry.name):  # what is written aside, and what other programs leave
                continue
            key = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(key)
            elif entry.is_file():
                yield key

    def _place(self, target: Path, pieces: Iterator[bytes]) -> bool:
        """Write a file aside and give it its name; False if another had it first."""
        with self._faults(), self._incoming() as (temporary, handle):
            for piece in pieces:
                write_all(handle, memoryview(piece))
            os.fsync(handle)  # the name must not reach the disk before the bytes do
            placed = self._again(target, lambda: self._link(temporary, target))
            if placed:
                _sync(target.parent)
            return placed

    def _again(self, target: Path, act: Callable[[], bool]) -> bool:
        _make(target.parent)
        try:
            return act()
        except FileNotFoundError:  # somebody tidied up in between
            _make(target.parent)
            return act()

    def _link(self, temporary: Path, target: Path) -> bool:
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return True
        handle = lock_file(self.root / _INCOMING / "lock", time.sleep)  # a disk without hard links
        try:
            if target.exists():
                return False
            temporary.rename(target)
        finally:
            os.close(handle)
        return True

    @contextmanager
    def _incoming(self) -> Iterator[tuple[Path, int]]:
        folder = self.root / _INCOMING
        _make(folder)
        self._sweep(folder)
        temporary = folder / f"{os.getpid()}.{os.urandom(8).hex()}"
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o444)
        try:
            try_lock(handle)
            yield temporary, handle
        finally:
            temporary.unlink(missing_ok=True)
            os.close(handle)

    def _sweep(self, folder: Path) -> None:
        """Remove what killed processes left: nobody holds it, and nobody wrote to it for long."""
        for path in folder.iterdir():
            with suppress(OSError):
                if path.name != "lock" and path.stat().st_mtime < time.time() - _STALE:
                    handle = os.open(path, os.O_RDONLY)
                    try:
                        if try_lock(handle):
                            path.unlink()
                    finally:
                        os.close(handle)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except HermeticError:
            raise
        except OSError as error:
            raise MachineError(
                f"cannot use the workspace's artefacts: {error.strerror or type(error).__name__}: {self.root}",
                remedy="make room, or check who owns the folder; nothing was left half-written",
            ) from error


def _make(folder: Path) -> None:
    """Make a folder and those above it, so that a power cut does not lose them."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover  folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
