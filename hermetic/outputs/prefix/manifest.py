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
from pathlib import Path

from hermetic.digest import sha256_file
from hermetic.errors import BuildError
from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry
from hermetic.realize.trees import settle, settle_link


def settle_prefix(root: Path, known: Mapping[str, FileEntry]) -> tuple[FileEntry, ...]:
    """Give everything in a folder its mode and time, and list it sorted by path.

    ``known`` gives what was put at a path, so that its digest is known already: believed if the size fits. Raises
    BuildError if something was put there and is not there any more.
    """
    entries: list[FileEntry] = []
    unknown: list[tuple[str, str, int, bool]] = []
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
                    if expected and expected.size == status.st_size:
                        entries.append(FileEntry(relative, FILE, expected.sha256, expected.size, executable))
                    else:
                        unknown.append((relative, item.path, status.st_size, executable))
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda item: sha256_file(item[1]), unknown)
        entries += [FileEntry(n, FILE, d, s, x) for (n, _, s, x), d in zip(unknown, digests, strict=True)]
    for folder in reversed(folders):
        settle(folder, 0o755)
    if lacking := known.keys() - {entry.path for entry in entries}:
        raise BuildError(f"{len(lacking)} files were lost while the environment was built, {min(lacking)} for one")
    return tuple(sorted(entries, key=lambda entry: entry.path))


def manifest_bytes(entries: Iterable[FileEntry]) -> bytes:
    """Give a manifest's one form: a JSON list per line, sorted by path."""
    return "".join(f"{json.dumps(entry.to_list(), separators=(',', ':'))}\n" for entry in entries).encode("ascii")


def read_manifest(data: bytes) -> tuple[FileEntry, ...]:
    """Read what ``manifest_bytes`` gives."""
    return tuple(FileEntry(*json.loads(line)) for line in data.splitlines())
