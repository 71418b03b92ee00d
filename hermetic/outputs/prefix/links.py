"""Putting a tree's files into a staging folder: shared blocks where the disk can, else copies, or hard links."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.realize.trees import settle

MODES = ("auto", "copy", "hardlink")
_FICLONE = 0x40049409
_COPY = 1 << 30


class Linker:
    """Puts files in place with their mode and time.

    ``auto`` shares blocks (reflinks) where the disk can and copies elsewhere: editing a file never reaches the
    store. ``hardlink`` shares the file itself: fast and small, but an edit goes into the store and every prefix.
    """

    def __init__(self, mode: str = "auto") -> None:
        if mode not in MODES:
            raise UsageError(f"unknown link mode {mode!r}", remedy=f"use one of: {', '.join(MODES)}")
        self.mode = mode
        self._clones = mode == "auto" and sys.platform.startswith("linux")
        self._folders: set[str] = set()

    @property
    def hard(self) -> bool:
        """Whether files are shared with the store."""
        return self.mode == "hardlink"

    def link(self, source: str, target: str, mode: int) -> None:
        """Put a file of the store at ``target``, which must not exist."""
        self._folder(target)
        if self.hard:
            try:
                os.link(source, target)
            except OSError:  # another disk, or too many links to one file
                pass
            else:
                return
        self._copy(source, target)
        settle(target, mode)

    def write(self, target: str, data: bytes, mode: int) -> None:
        """Write a file made for this prefix at ``target``, which must not exist."""
        self._folder(target)
        with open(target, "xb") as file:  # noqa: PTH123  thousands of calls
            file.write(data)
        settle(target, mode)

    def _folder(self, target: str) -> None:
        folder = os.path.dirname(target)  # noqa: PTH120  thousands of calls
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

    def _copy(self, source: str, target: str) -> None:
        read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                if not (self._clones and self._clone(read, write)):
                    while os.sendfile(write, read, None, _COPY):
                        pass
            finally:
                os.close(write)
        finally:
            os.close(read)

    def _clone(self, read: int, write: int) -> bool:
        import fcntl

        try:
            fcntl.ioctl(write, _FICLONE, read)
        except OSError:
            self._clones = False  # the disk cannot: do not ask again for every file
            return False
        return True
