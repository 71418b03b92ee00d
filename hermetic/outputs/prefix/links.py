"""Putting files into a staging folder: out of the store's trees, or made for the prefix."""

from __future__ import annotations

import os
from pathlib import Path

from hermetic.realize.trees import settle
from hermetic.store.link import LinkMode, best_mode, link_file

MODES = ("auto", "reflink", "copy", "hardlink")


class Linker:
    """Puts files in place with their mode and time.

    ``auto`` shares blocks (reflinks) where the disk can and copies elsewhere: editing a file never reaches the
    store. ``hardlink`` shares the file itself: fast and small, but an edit goes into the store and every prefix.
    """

    def __init__(self, store: Path, staging: Path, wish: str = "auto") -> None:
        self.mode = best_mode(store, staging, wish)
        self._folders: set[str] = set()

    @property
    def hard(self) -> bool:
        """Whether files are shared with the store."""
        return self.mode is LinkMode.HARD_LINK

    def link(self, source: str, target: str, *, executable: bool) -> None:
        """Put a file of the store at ``target``."""
        self._folder(target)
        try:
            link_file(source, target, self.mode, executable=executable)
        except FileExistsError:  # a link script may have made one
            os.unlink(target)  # noqa: PTH108
            link_file(source, target, self.mode, executable=executable)

    def write(self, target: str, data: bytes, *, executable: bool) -> None:
        """Write a file made for this prefix at ``target``."""
        self._folder(target)
        Path(target).unlink(missing_ok=True)
        Path(target).write_bytes(data)
        settle(target, 0o755 if executable else 0o644)

    def _folder(self, target: str) -> None:
        folder = os.path.dirname(target)  # noqa: PTH120  thousands of calls
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
