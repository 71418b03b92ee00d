"""Looking after a store: what it holds, and whether all of it is still what its names say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import sha256_file
from hermetic.events import SILENT, Reporter, task
from hermetic.plan.files import FILE, Listing
from hermetic.store.session import sweep

if TYPE_CHECKING:
    from hermetic.store.store import Store


@dataclass(frozen=True)
class Amount:
    """How many things there are, and how many bytes they hold."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds. ``trees`` maps a kind to its amount; ``partial`` are downloads that broke off."""

    root: str
    blobs: Amount
    trees: dict[str, Amount]
    results: Amount
    partial: Amount

    @property
    def bytes(self) -> int:
        """All bytes together. Files that trees share by hard links count each time."""
        return sum(amount.bytes for amount in (self.blobs, self.results, self.partial, *self.trees.values()))

    def to_dict(self) -> dict[str, Any]:
        """Give the values as JSON ones."""
        return {**asdict(self), "bytes": self.bytes}


@dataclass(frozen=True, order=True)
class Damage:
    """Something in the store that is not what its name says. ``kind``: blob, tree."""

    kind: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.reason}"

    def to_dict(self) -> dict[str, str]:
        """Give the values as JSON ones."""
        return asdict(self)


def info(store: Store) -> StoreInfo:
    """Count what a store holds; reads every folder, no file."""
    trees: dict[str, Amount] = {}
    for kind, _, path in _trees(store.root):
        old = trees.get(kind, Amount())
        trees[kind] = Amount(old.count + 1, old.bytes + _amount(path).bytes)
    return StoreInfo(
        root=str(store.root),
        blobs=_amount(store.root / "blobs"),
        trees=dict(sorted(trees.items())),
        results=_amount(store.root / "actions"),
        partial=_amount(store.root / "partial"),
    )


def verify(store: Store, reporter: Reporter = SILENT, jobs: int | None = None) -> tuple[Damage, ...]:
    """Read everything again; drop what is damaged, so that it is fetched or made anew, and give what it was."""
    if (store.root / "staging").is_dir():
        sweep(store.root / "staging")
    blobs = sorted(_blobs(store.root))
    trees = sorted(_trees(store.root))

    def blob(path: Path) -> Damage | None:
        return _blob_damage(store, path)

    def tree(item: tuple[str, str, Path]) -> Damage | None:
        return _tree_damage(store, *item)

    found: list[Damage] = []
    with (
        task(reporter, "verify", "verifying the store", len(blobs) + len(trees), "items"),
        ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool,
    ):
        steps: Iterable[tuple[Callable[[Any], Damage | None], list[Any]]] = ((blob, blobs), (tree, trees))
        for step, items in steps:
            for damage in pool.map(step, items):
                reporter.advance("verify")
                if damage:
                    found.append(damage)
    return tuple(sorted(found))


def _blob_damage(store: Store, path: Path) -> Damage | None:
    name = path.name
    if len(name) != 64 or path.parent.name != name[:2]:
        return Damage("file", str(path.relative_to(store.root)), "no blob's name; left alone")
    if store.check_blob(name):
        return None
    return Damage("blob", name, "its bytes are not what its name says; dropped")


def _tree_damage(store: Store, kind: str, key: str, path: Path) -> Damage | None:
    reason = "" if store.check_tree(kind, key) else "its files are not all there"
    reason = reason or _listing_damage(path)
    if not reason:
        return None
    store.drop_tree(kind, key)
    return Damage("tree", f"{kind} {key}", f"{reason}; dropped")


def _listing_damage(tree: Path) -> str:
    """Compare a tree's files with the listing beside them, if it has one."""
    try:
        listing = Listing.from_dict(json.loads((tree / "listing.json").read_bytes()))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return "its listing cannot be read"
    for entry in listing.entries:
        if entry.kind != FILE:
            continue
        path = tree / "files" / entry.path
        try:
            if path.stat().st_size != entry.size or sha256_file(path) != entry.sha256:
                return f"{entry.path} was changed"
        except OSError:
            return f"{entry.path} cannot be read"
    return ""


def _blobs(root: Path) -> Iterator[Path]:
    for folder in _children(root / "blobs" / "sha256"):
        yield from _children(folder)


def _trees(root: Path) -> Iterator[tuple[str, str, Path]]:
    for kind in _children(root / "trees"):
        for folder in _children(kind):
            for path in _children(folder):
                if path.is_dir() and not path.is_symlink():
                    yield kind.name, path.name, path


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _amount(root: Path) -> Amount:
    count = size = 0
    todo = [os.fspath(root)]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    else:
                        count += 1
                        size += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # another process took it away meanwhile
    return Amount(count, size)
