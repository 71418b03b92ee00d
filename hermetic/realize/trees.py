"""Trees of the store: finished folders with a listing beside them.

A tree is ``<tree>/files``, what was made, and ``<tree>/listing.json``, every entry with its digest. Modes and
times are normalised in the tree itself, so a hard link, a reflink and a copy give the same file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.digest import sha256_file
from hermetic.plan.files import FILE, FOLDER, LINK, MTIME, FileEntry, Listing

if TYPE_CHECKING:
    from hermetic.store import Store

FILES = "files"
LISTING = "listing.json"
_TIMES = (MTIME * 10**9, MTIME * 10**9)


@dataclass(frozen=True)
class Tree:
    """A finished tree: its files on disk and what is known of them."""

    files: Path
    listing: Listing


def make_tree(store: Store, kind: str, key: str, fill: Callable[[Path], Listing]) -> Tree:
    """Give the tree of a key, filled first if the store lacks it.

    ``fill`` writes normalised files into an empty folder and gives their listing.
    """
    found = find_tree(store, kind, key)
    if found is None:
        with store.new_tree(kind, key) as folder:
            files = folder / FILES
            files.mkdir()
            write_listing(folder, fill(files))
        found = read_tree(store, kind, key)
    return found


def find_tree(store: Store, kind: str, key: str) -> Tree | None:
    """Give a tree that the store has, or None; one that somebody changed is dropped, so that it is made anew.

    Files are shared with prefixes where hard links were asked for, and people edit prefixes. An edit shows in a
    file's size, time or mode: nothing is read.
    """
    if not store.has_tree(kind, key):
        return None
    try:
        tree = read_tree(store, kind, key)
        if _is_untouched(tree):
            return tree
    except (OSError, ValueError, KeyError, TypeError):
        pass
    store.drop_tree(kind, key)
    return None


def read_tree(store: Store, kind: str, key: str) -> Tree:
    """Give a tree that was just made."""
    folder = store.tree_path(kind, key)
    with (folder / LISTING).open("rb") as file:
        return Tree(folder / FILES, Listing.from_dict(json.load(file)))


def write_listing(folder: Path, listing: Listing) -> None:
    """Write the listing of a new tree."""
    (folder / LISTING).write_text(json.dumps(listing.to_dict(), separators=(",", ":")), encoding="ascii")


def _is_untouched(tree: Tree) -> bool:
    base = os.fspath(tree.files) + "/"
    for entry in tree.listing.entries:
        if entry.kind == FILE:
            status = os.lstat(base + entry.path)
            if (
                status.st_size != entry.size
                or status.st_mtime_ns != _TIMES[1]
                or stat.S_IMODE(status.st_mode) != entry.mode
            ):
                return False
        elif entry.kind == LINK and os.readlink(base + entry.path) != entry.target:  # noqa: PTH115
            return False
    return True


def normalise(root: Path) -> tuple[FileEntry, ...]:
    """Give every file of a folder the modes and times that its entry says, and list them sorted by path."""
    found: list[FileEntry] = []
    files: list[tuple[str, str, os.stat_result]] = []
    folders = _collect(os.fspath(root), found, files)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(lambda item: sha256_file(item[1]), files, chunksize=64))
    for (relative, path, status), digest in zip(files, digests, strict=True):
        entry = FileEntry(relative, FILE, digest, status.st_size, executable=bool(status.st_mode & stat.S_IXUSR))
        settle(path, entry.mode, status)
        found.append(entry)
    for folder in reversed(folders):
        settle(folder, 0o755)
    return tuple(sorted(found, key=lambda entry: entry.path))


def settle(path: str, mode: int, status: os.stat_result | None = None) -> None:
    """Give a file or folder its mode and the one modification time."""
    if status is None or stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)  # noqa: PTH101  thousands of calls
    os.utime(path, ns=_TIMES)


def settle_link(path: str) -> None:
    """Give a symbolic link the one modification time."""
    os.utime(path, ns=_TIMES, follow_symlinks=False)


def _collect(root: str, found: list[FileEntry], files: list[tuple[str, str, os.stat_result]]) -> list[str]:
    """List links and folders into ``found``, files into ``files``; give the folders, parents first."""
    folders, todo = [root], [(root, "")]
    while todo:
        folder, prefix = todo.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                relative = prefix + entry.name
                if entry.is_symlink():
                    found.append(FileEntry(relative, LINK, target=os.readlink(entry.path)))  # noqa: PTH115
                    settle_link(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    found.append(FileEntry(relative, FOLDER))
                    folders.append(entry.path)
                    todo.append((entry.path, relative + "/"))
                else:
                    files.append((relative, entry.path, entry.stat(follow_symlinks=False)))
    return folders
