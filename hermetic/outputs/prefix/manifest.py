"""Manifests: every file, link and folder of a prefix with its digest, as a build leaves them.

A manifest is kept in the store, never believed from the prefix. Most digests come from the listings of the
store's trees; a file is read only where nothing else can know it, because it holds the prefix.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from hermetic.digest import sha256_file
from hermetic.errors import IntegrityError
from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry
from hermetic.realize.trees import settle, settle_link


def settle_prefix(root: Path, known: Mapping[str, FileEntry]) -> tuple[FileEntry, ...]:
    """Give everything in a folder its mode and time, and list it sorted by path.

    ``known`` gives what was put at a path, so that its digest is known already. Raises IntegrityError where
    something else is found there.
    """
    entries: list[FileEntry] = []
    unknown: list[tuple[FileEntry, str]] = []
    folders, todo = [os.fspath(root)], [(os.fspath(root), "")]
    while todo:
        folder, prefix = todo.pop()
        with os.scandir(folder) as found:
            for item in found:
                relative = prefix + item.name
                if item.is_symlink():
                    entries.append(FileEntry(relative, LINK, target=os.readlink(item.path)))  # noqa: PTH115
                    settle_link(item.path)
                elif item.is_dir(follow_symlinks=False):
                    entries.append(FileEntry(relative, FOLDER))
                    folders.append(item.path)
                    todo.append((item.path, relative + "/"))
                else:
                    status = item.stat(follow_symlinks=False)
                    executable = bool(status.st_mode & stat.S_IXUSR)
                    settle(item.path, 0o755 if executable else 0o644, status)
                    expected = known.get(relative)
                    entry = FileEntry(relative, FILE, expected.sha256 if expected else "", status.st_size, executable)
                    if expected:
                        entries.append(entry)
                    else:
                        unknown.append((entry, item.path))
    for folder in reversed(folders):
        settle(folder, 0o755)
    _compare(entries, known)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda item: sha256_file(item[1]), unknown)
        entries += [replace(entry, sha256=digest) for (entry, _), digest in zip(unknown, digests, strict=True)]
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _compare(entries: Iterable[FileEntry], known: Mapping[str, FileEntry]) -> None:
    left = dict(known)
    for entry in entries:
        expected = left.pop(entry.path, entry)
        if entry != expected:
            raise _damaged(f"{entry.path} is a {entry.kind} of {entry.size} bytes, not {expected.size}")
    if left:
        raise _damaged(f"{min(left)} is missing")


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(
        f"the environment did not come out as its packages are: {what}",
        remedy="the store may be damaged: check it with 'hermetic store verify', then build again",
    )


def manifest_bytes(entries: Iterable[FileEntry]) -> bytes:
    """Give a manifest's one form: a JSON list of entries, sorted by path."""
    return json.dumps([entry.to_list() for entry in entries], separators=(",", ":")).encode("ascii")


def read_manifest(data: bytes) -> tuple[FileEntry, ...]:
    """Read what ``manifest_bytes`` gives."""
    return tuple(FileEntry(*entry) for entry in json.loads(data))
