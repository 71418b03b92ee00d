"""The folder of a channel: which archives it holds whole, what was asked for before, and its indexes.

``channel.json`` remembers the digest of every archive made here, and which archives each recipe (a digest of
everything that was asked for) led to. It is written before the indexes, and those are what clients read: a
run that is killed leaves archives that nobody sees yet, and the next run goes on from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hermetic.digest import pretty_json, sha256_file
from hermetic.outputs.channel.archive import FORMAT, File, Package, atomic_path, write_conda
from hermetic.outputs.channel.index import read_records, record, write_records

_BOOK = "channel.json"

Content = Callable[[Path], tuple[Sequence[File], Sequence[File]]]
"""Gives a package's files and those of its metadata; the argument is an empty folder for files on their way."""


class Folder:
    """A channel's folder. ``add`` may be called from several threads, for different packages."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._digests: dict[str, str] = {}
        self._recipes: dict[str, list[str]] = {}
        try:
            book = json.loads((directory / _BOOK).read_bytes())
            if book["format"] == FORMAT:
                self._digests, self._recipes = dict(book["archives"]), dict(book["recipes"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no book, or a damaged one: then everything is made again, to the same bytes

    def clean(self) -> None:
        """Remove what killed runs left half-written. Nobody else may be writing."""
        for leftover in self.directory.glob("*/.*.tmp"):
            leftover.unlink(missing_ok=True)

    def recall(self, recipe: str) -> list[str] | None:
        """Give the archives (``subdir/file``) that a recipe led to, if all of them are here and whole."""
        names = self._recipes.get(recipe)
        return names if names is not None and all(map(self._is_whole, names)) else None

    def add(self, package: Package, scratch: Path, content: Content) -> str:
        """Make a package's archive unless it is here and whole; give its name, ``subdir/file``.

        ``scratch`` is an empty folder, which ``content`` gets.
        """
        name = f"{package.subdir}/{package.file_name}"
        if not self._is_whole(name):
            files, info = content(scratch)
            self._digests[name] = sha256_file(write_conda(self.directory, package, files, info=info))
        return name

    def publish(self, recipe: str, names: Iterable[str]) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
        """Remember what a recipe led to, and put the archives into the indexes.

        Gives their records by name, and the names that were not in the indexes before. An archive takes the
        place of an older one of the same package, version and Python, which goes out of the index; its file
        stays, for the locks that name it.
        """
        names = sorted(names)
        self._recipes[recipe] = names
        book = {"format": FORMAT, "archives": self._digests, "recipes": self._recipes}
        with atomic_path(self.directory / _BOOK) as temporary:
            temporary.write_text(pretty_json(book), encoding="utf-8")
        records: dict[str, dict[str, Any]] = {}
        fresh: list[str] = []
        for subdir in sorted({"noarch", *(name.split("/")[0] for name in names)}):
            known = read_records(self.directory, subdir)
            own = {}
            for name in names:
                if name.startswith(f"{subdir}/"):
                    file_name = name.split("/")[1]
                    own[file_name] = record(self.directory / name)
                    records[name] = own[file_name]
                    if known.get(file_name) != own[file_name]:
                        fresh.append(name)
            replaced = {_identity(entry) for entry in own.values()}
            kept = {
                file_name: entry
                for file_name, entry in known.items()
                if _identity(entry) not in replaced and (self.directory / subdir / file_name).is_file()
            }
            write_records(self.directory, subdir, kept | own)
        return records, tuple(fresh)

    def _is_whole(self, name: str) -> bool:
        path = self.directory / name
        return name in self._digests and path.is_file() and sha256_file(path) == self._digests[name]


def _identity(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Give what tells a package from others: its build string without the hash of its inputs."""
    return entry["name"], entry["version"], re.sub(r"h[0-9a-f]{7}(?=_)", "", entry["build"])
