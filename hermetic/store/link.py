"""A tree's files in another folder: blocks shared where the disk can, else copies, or links if that is asked for.

A *reflink* is a copy that shares its blocks until one of the two is written (btrfs, xfs, bcachefs; APFS has them
too, which is not used yet): as fast as a link, as safe as a copy. A *hard link* is the same file under a second
name: an edit of one is an edit of both, so a store's files are hard-linked only if the user wants that. Whichever
it is, the result has the modes 0755 or 0644 and the one modification time, so nobody can tell them apart.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.plan.files import MTIME
from hermetic.store.faults import machine_faults
from hermetic.store.intake import clone

_TIMES = (MTIME * 10**9, MTIME * 10**9)
_WHOLE = 1 << 30
_NOT_HERE = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY}
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_BATCH = 64


class LinkMode(Enum):
    """How a file gets into another folder."""

    REFLINK = "reflink"
    HARD_LINK = "hardlink"
    COPY = "copy"


def best_mode(source: Path, dest: Path, wish: str = "auto") -> LinkMode:
    """Find out what the disks of two folders can do, by trying once with a file of one byte.

    ``source`` is a folder to write that file in: on the tree's disk, but not the tree itself.
    ``wish``: ``auto`` (reflink, else copy), ``copy``, ``hardlink`` (falls back to ``auto`` between two disks), or
    ``reflink``. Raises UsageError for another wish, and where ``reflink`` is wished and cannot be.
    """
    if wish not in {"auto", "reflink", "copy", "hardlink"}:
        raise UsageError(f"unknown link mode {wish!r}", remedy="use one of: auto, reflink, copy, hardlink")
    mode = _tried(source, dest, wish)
    if wish == "reflink" and mode is not LinkMode.REFLINK:
        raise UsageError(
            f"files of the store cannot be reflinked to {dest.parent}: not on this file system, or not between two",
            remedy="use the link mode auto, which copies then; or hardlink",
        )
    return mode


def _tried(source: Path, dest: Path, wish: str) -> LinkMode:
    if wish == "copy":
        return LinkMode.COPY
    name = f".hermetic-{os.getpid()}-{os.urandom(6).hex()}"
    first, second = source / name, dest / f"{name}-linked"
    with machine_faults("link files", dest):
        try:
            first.write_bytes(b"?")
            wished = LinkMode.HARD_LINK if wish == "hardlink" else LinkMode.REFLINK
            if link_file(str(first), str(second), wished) is wished:
                return wished
            if wish == "hardlink":
                second.unlink(missing_ok=True)
                return link_file(str(first), str(second), LinkMode.REFLINK)
        except PermissionError:
            return LinkMode.COPY
        finally:
            first.unlink(missing_ok=True)
            second.unlink(missing_ok=True)
    return LinkMode.COPY


def link_file(source: str, dest: str, mode: LinkMode, *, executable: bool = False) -> LinkMode:
    """Put a file at ``dest``, which must not exist; give how it was done: what cannot be linked is copied."""
    if mode is LinkMode.HARD_LINK:
        try:
            os.link(source, dest, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            return mode
    read = os.open(source, _READ)
    try:
        write = os.open(dest, _CREATE, 0o600)
        try:
            if mode is not LinkMode.REFLINK or not clone(read, write):
                mode = LinkMode.COPY
                copy_content(read, write)
            os.fchmod(write, 0o755 if executable else 0o644)
            os.utime(write, ns=_TIMES)
        finally:
            os.close(write)
    finally:
        os.close(read)
    return mode


def link_tree(source: Path, dest: Path, mode: LinkMode, *, jobs: int | None = None) -> int:
    """Put all of a folder's files, links and folders into an empty one; give how many files there were.

    Raises MachineError if the system refuses; what was placed until then stays.
    """
    folders, links, files = _scan(os.fspath(source))
    top, base = f"{os.fspath(source)}/", f"{os.fspath(dest)}/"
    with machine_faults("link files", dest):
        for path in folders:
            os.mkdir(base + path, 0o755)  # noqa: PTH102  thousands of calls
        batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]

        def place(batch: Iterable[tuple[str, bool]]) -> None:
            for path, executable in batch:
                link_file(top + path, base + path, mode, executable=executable)

        if (jobs or 2) > 1 and len(batches) > 1:
            with ThreadPoolExecutor(min(jobs or min(4, os.cpu_count() or 1), len(batches))) as pool:
                list(pool.map(place, batches))
        else:
            for batch in batches:
                place(batch)
        for path, target in links:
            os.symlink(target, base + path)  # noqa: PTH211
            os.utime(base + path, ns=_TIMES, follow_symlinks=False)
        for path in reversed(folders):
            os.chmod(base + path, 0o755)  # noqa: PTH101, S103
            os.utime(base + path, ns=_TIMES)
    return len(files)


def _scan(root: str) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, bool]]]:
    """Give a folder's folders (parents first), links with their targets, and files with their x-bit."""
    folders: list[str] = []
    links: list[tuple[str, str]] = []
    files: list[tuple[str, bool]] = []
    todo = [""]
    while todo:
        prefix = todo.pop()
        with os.scandir(f"{root}/{prefix}") as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_symlink():
                    links.append((path, os.readlink(entry.path)))  # noqa: PTH115
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                    todo.append(f"{path}/")
                else:
                    files.append((path, bool(entry.stat(follow_symlinks=False).st_mode & 0o100)))
    return folders, links, files


def copy_content(read: int, write: int) -> None:
    """Add the bytes of an open file to another: inside the kernel, where they need not come up to us."""
    copied = 0
    if hasattr(os, "copy_file_range"):
        try:
            while count := os.copy_file_range(read, write, _WHOLE):
                copied += count
        except OSError as error:
            if error.errno not in _NOT_HERE or copied:
                raise
        else:
            if copied or not os.fstat(read).st_size:  # some file systems answer 0 where they cannot
                return
    try:
        while os.sendfile(write, read, None, _WHOLE):  # None: from the file's own position
            pass
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        os.lseek(read, 0, os.SEEK_SET)
        while data := os.read(read, 1 << 20):
            view = memoryview(data)
            while view:
                view = view[os.write(write, view) :]
