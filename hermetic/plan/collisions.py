"""Which package owns a path that several put there: found before anything is linked, and the same on every machine.

Packages come in the order in which they would be linked, and the last one wins, whatever threads and caches do.
A path that is a file for one package and a folder for another cannot be had both ways: that is refused.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Clash:
    """A path that several owners put there. ``same`` if all of them put the same thing there."""

    path: str
    owners: tuple[str, ...]
    same: bool = False

    @property
    def winner(self) -> str:
        """The owner whose file is there in the end."""
        return self.owners[-1]


@dataclass(frozen=True)
class Collisions:
    """What collides: ``lost`` maps an owner to its paths that another's replace, ``folders`` are files for one only."""

    clashes: tuple[Clash, ...] = ()
    folders: tuple[Clash, ...] = ()
    lost: Mapping[str, frozenset[str]] = field(default_factory=dict)


def find_collisions(claims: Iterable[tuple[str, Mapping[str, Hashable]]]) -> Collisions:
    """Find collisions among owners, given in the order of linking: (name, path -> what the file is, comparable)."""
    owners: dict[str, str] = {}
    several: dict[str, list[tuple[str, Hashable]]] = {}
    contents: dict[str, Hashable] = {}
    for owner, files in claims:
        for path, content in files.items():
            if path in owners:
                several.setdefault(path, [(owners[path], contents[path])]).append((owner, content))
            else:
                owners[path], contents[path] = owner, content
    folders = sorted(_folder_clashes(owners))
    clashes: list[Clash] = []
    lost: dict[str, set[str]] = {}
    for path, claimed in sorted(several.items()):
        clashes.append(Clash(path, tuple(o for o, _ in claimed), same=len({c for _, c in claimed}) == 1))
        for owner, _ in claimed[:-1]:
            lost.setdefault(owner, set()).add(path)
    return Collisions(tuple(clashes), tuple(folders), {owner: frozenset(paths) for owner, paths in lost.items()})


def _folder_clashes(owners: Mapping[str, str]) -> Iterable[Clash]:
    checked: set[str] = set()
    for path, owner in owners.items():
        folder = path.rpartition("/")[0]
        while folder and folder not in checked:
            checked.add(folder)
            if folder in owners:
                yield Clash(folder, (owners[folder], owner))
            folder = folder.rpartition("/")[0]
