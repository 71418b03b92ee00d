"""Where an archive's members go: into a list when it is only looked at, else onto the disk.

Files and folders get the mode that their owner's x-bit says (0755 or 0644) and one modification time, and are
hashed while they are written, so that a tree is finished and its listing known when the last byte is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from hermetic.plan.files import FILE, FOLDER, LINK, MTIME, FileEntry

_TIMES = (MTIME * 10**9, MTIME * 10**9)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class Sink(Protocol):
    """What takes an archive's members, which a guard has let through."""

    entries: list[FileEntry]

    def folders(self, paths: Sequence[str]) -> None:
        """Take new folders, parents first."""

    def file(self, path: str, size: int, mode: int, pieces: Iterable[memoryview]) -> None:
        """Take a file; all pieces must be read."""

    def link(self, path: str, target: str) -> None:
        """Take a symbolic link."""

    def hard_link(self, path: str, source: str) -> None:
        """Take a second name of an earlier file."""

    def finish(self) -> None:
        """Know that there is no more."""


class Names:
    """Only keeps the list; files have no digest in it."""

    def __init__(self) -> None:
        self.entries: list[FileEntry] = []
        self._known: dict[str, FileEntry] = {}

    def folders(self, paths: Sequence[str]) -> None:
        """Take new folders."""
        self.entries += [FileEntry(path, FOLDER) for path in paths]

    def file(self, path: str, size: int, mode: int, pieces: Iterable[memoryview]) -> None:
        """Take a file, and pass over its bytes."""
        for _ in pieces:
            pass
        self._add(FileEntry(path, FILE, "", size, executable=bool(mode & 0o100)))

    def link(self, path: str, target: str) -> None:
        """Take a symbolic link."""
        self.entries.append(FileEntry(path, LINK, target=target))

    def hard_link(self, path: str, source: str) -> None:
        """Take a second name of an earlier file."""
        first = self._known[source]
        self._add(FileEntry(path, FILE, first.sha256, first.size, executable=first.executable))

    def finish(self) -> None:
        """Know that there is no more."""

    def _add(self, entry: FileEntry) -> None:
        self.entries.append(entry)
        self._known[entry.path] = entry


class Disk(Names):
    """Writes into a folder that is empty and nobody else's."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = f"{os.fspath(root)}/"
        self._made = [""]

    def folders(self, paths: Sequence[str]) -> None:
        """Make folders."""
        for path in paths:
            os.mkdir(self._root + path, 0o755)  # noqa: PTH102  thousands of calls
        self._made += paths
        super().folders(paths)

    def file(self, path: str, size: int, mode: int, pieces: Iterable[memoryview]) -> None:
        """Write a file, hashing it on the way."""
        executable = bool(mode & 0o100)
        digest = self.write(path, executable=executable, pieces=pieces)
        self._add(FileEntry(path, FILE, digest, size, executable=executable))

    def write(self, path: str, *, executable: bool, pieces: Iterable[memoryview]) -> str:
        """Write a file; give its sha256."""
        hasher = hashlib.sha256()
        handle = os.open(self._root + path, _FLAGS, 0o600)
        try:
            for piece in pieces:
                hasher.update(piece)
                done = os.write(handle, piece)
                while done < len(piece):
                    done += os.write(handle, piece[done:])
            os.fchmod(handle, 0o755 if executable else 0o644)
            os.utime(handle, ns=_TIMES)
        finally:
            os.close(handle)
        return hasher.hexdigest()

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, which may lead to nothing until the archive is through."""
        os.symlink(target, self._root + path)  # noqa: PTH211  thousands of calls
        os.utime(self._root + path, ns=_TIMES, follow_symlinks=False)
        super().link(path, target)

    def hard_link(self, path: str, source: str) -> None:
        """Make a second name of an earlier file."""
        os.link(self._root + source, self._root + path, follow_symlinks=False)
        super().hard_link(path, source)

    def finish(self) -> None:
        """Give folders their mode and time, which filling them has changed: the deepest first."""
        for path in reversed(self._made):
            os.chmod(self._root + path, 0o755)  # noqa: PTH101, S103  the umask had its say before
            os.utime(self._root + path, ns=_TIMES)
