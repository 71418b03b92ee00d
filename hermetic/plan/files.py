"""Files as values: what a package puts on disk, without the disk.

A ``FileEntry`` is one file, link or folder of a tree; a ``Listing`` is a tree's entries, sorted by path, and
what else has to be remembered of where they came from. Listings lie beside the trees of the store, so that an
output's digests are known without reading its files again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FILE, LINK, FOLDER = "file", "link", "folder"

MTIME = 315_619_200
"""Modification time, in seconds, of every file that a package puts on disk: 1980-01-02.

Zip files cannot hold earlier days, and people make zip files of installed packages; the second of January is
late enough in every time zone.
"""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One entry of a tree. ``path`` is relative, with ``/``; ``target`` is where a link points."""

    path: str
    kind: str = FILE
    sha256: str = ""
    size: int = 0
    executable: bool = False
    target: str = ""

    @property
    def mode(self) -> int:
        """The permission bits that the entry gets: 0755 for folders and programs, else 0644."""
        return 0o755 if self.executable or self.kind == FOLDER else 0o644

    def to_list(self) -> list[Any]:
        """Give the entry as a short JSON list."""
        return [self.path, self.kind, self.sha256, self.size, self.executable, self.target]


@dataclass(frozen=True)
class Listing:
    """A tree's entries, sorted by path, and ``about``: JSON values that belong to the tree as a whole."""

    entries: tuple[FileEntry, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give the listing as JSON values."""
        return {"about": dict(self.about), "entries": [entry.to_list() for entry in self.entries]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Listing:
        """Read what ``to_dict`` gives."""
        return cls(tuple(FileEntry(*entry) for entry in values["entries"]), values["about"])
