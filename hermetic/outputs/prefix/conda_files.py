"""What each conda package puts into a prefix: from the store's listings, before anything is linked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

from hermetic.lock.model import CondaPackage
from hermetic.outputs.prefix.layout import PrefixLayout
from hermetic.plan.files import FOLDER, FileEntry
from hermetic.realize.trees import Tree

_CACHE = "/__pycache__/"


@dataclass(frozen=True)
class CondaFile:
    """A file or link of a conda archive, at its place in a prefix.

    ``entry`` is as in the archive but for its path; ``source`` is the path in the archive, empty for an entry point,
    which is made for the prefix. ``placeholder`` and ``mode`` (``text``, ``binary``) are set where the build's prefix
    has to be replaced.
    """

    entry: FileEntry
    source: str = ""
    placeholder: str = ""
    mode: str = ""
    entry_point: str = ""

    @property
    def as_shipped(self) -> bool:
        """Whether the file in the prefix has the archive's bytes."""
        return not self.placeholder and not self.entry_point

    @property
    def content(self) -> Hashable:
        """What two packages that own the path are compared by."""
        entry = self.entry
        return (entry.kind, entry.sha256, entry.target, entry.executable, self.placeholder, self.entry_point)


def conda_files(package: CondaPackage, tree: Tree, layout: PrefixLayout) -> dict[str, CondaFile]:
    """Give what a conda package puts into a prefix, by path, without folders."""
    about = tree.listing.about
    unlisted = frozenset(about["unlisted"])
    prefixed: Mapping[str, list[str]] = about["prefixed"]
    noarch = package.noarch == "python"
    found: dict[str, CondaFile] = {}
    for entry in tree.listing.entries:
        source = entry.path
        if entry.kind == FOLDER or source.startswith("info/") or source in unlisted:
            continue
        path = layout.place(source, noarch_python=noarch)
        placed = entry if path == source else replace(entry, path=path)
        how = prefixed.get(source) if not entry.target else None  # a link's own target never holds the prefix
        found[path] = CondaFile(placed, source, how[0], how[1]) if how else CondaFile(placed, source)
    for point in about["entry_points"] if noarch else ():
        for path in layout.entry_points(point.partition("=")[0].strip()):
            found[path] = CondaFile(FileEntry(path, executable=True), entry_point=point)
    return found


def stale_pyc(files: Mapping[str, CondaFile], layout: PrefixLayout) -> set[str]:
    """Give the shipped pyc files of modules that are compiled anew: they go by the source's time, which changes."""
    stale = set()
    for path in files:
        if path.endswith(".pyc") and _CACHE in path and path.startswith(f"{layout.library}/"):
            folder, _, name = path.rpartition(_CACHE)
            module, _, tag = name.partition(".")
            if tag.startswith(layout.pyc_tag) and f"{folder}/{module}.py" in files:
                stale.add(path)
    return stale
