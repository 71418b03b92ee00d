"""Staging folders and their exchange with the prefix: a build that dies leaves nothing or the old environment.

A staging folder lies beside the prefix, so that a rename is enough. Its builder holds a lock on it, which the
system drops when the process dies: whoever builds next removes the folders that nobody holds.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.outputs.prefix.state import is_prefix

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RANDOM = re.compile(r"[0-9a-f]{12}")


@contextmanager
def staging_for(prefix: Path) -> Iterator[Path]:
    """Give an empty folder beside a prefix; it is removed afterwards, whatever has become of it."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(prefix)
    folder, held = _new_folder(prefix)
    try:
        inner = folder / "new"
        inner.mkdir()
        yield inner
    finally:
        remove_tree(folder)
        if held is not None:
            os.close(held)


def remove_leftovers(prefix: Path) -> None:
    """Remove what builds of this prefix left that were killed."""
    for folder in prefix.parent.glob(f"{_escaped(_stem(prefix))}*"):
        if not _RANDOM.fullmatch(folder.name.removeprefix(_stem(prefix))):
            continue
        held = _hold(folder)
        if held is not None:
            remove_tree(folder)
            os.close(held)


def refuse_foreign(prefix: Path, *, own_place: bool = False, force: bool = False) -> None:
    """Raise UsageError if the prefix's place is taken by something that we did not build.

    A folder in a place that is nobody else's may have lost the note that says so: there ``force`` is enough.
    """
    if prefix.is_symlink() or (prefix.exists() and not prefix.is_dir()):
        raise UsageError(f"{prefix} is no folder", remedy="choose another place with --prefix, or remove it yourself")
    if prefix.is_dir() and not is_prefix(prefix) and any(prefix.iterdir()) and not (own_place and force):
        raise UsageError(
            f"{prefix} holds something that does not say that hermetic built it",
            remedy="replace it, whatever it holds, with 'hermetic build --force'"
            if own_place
            else "choose another place with --prefix, or remove the folder yourself",
        )


def put_in_place(built: Path, prefix: Path, *, own_place: bool = False, force: bool = False) -> None:
    """Put a built folder where the prefix is, in one step; what was there lies at the built folder's place then."""
    refuse_foreign(prefix, own_place=own_place, force=force)
    replace_folder(built, prefix)


def replace_folder(built: Path, prefix: Path) -> None:
    """Put a built folder in the place of another, whatever that is, in one step where the system can."""
    if not prefix.exists():
        built.rename(prefix)
    elif not _exchange(built, prefix):
        aside = built.with_name("old")
        prefix.rename(aside)
        try:
            built.rename(prefix)
        except BaseException:
            aside.rename(prefix)
            raise


def remove_tree(folder: Path) -> None:
    """Remove a folder, also one whose subfolders were made read-only; what cannot be removed stays."""

    def allow(_: object, path: str, __: object) -> None:
        with suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120
            os.chmod(path, 0o700)  # noqa: PTH101
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)  # noqa: PTH108

    shutil.rmtree(folder, onerror=allow)


def _new_folder(prefix: Path) -> tuple[Path, int | None]:
    while True:
        folder = prefix.parent / f"{_stem(prefix)}{secrets.token_hex(6)}"
        folder.mkdir(0o700)
        held = _hold(folder)
        if held is None or _same(held, folder):  # else another process took it for a leftover in between
            return folder, held
        os.close(held)


def _same(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except OSError:
        return False


def _stem(prefix: Path) -> str:
    return f".{prefix.name}.hermetic-"


def _escaped(text: str) -> str:
    from glob import escape

    return escape(text)


def _hold(folder: Path) -> int | None:
    """Take the lock of a staging folder; None if another process has it, or where folders cannot be locked."""
    try:
        import fcntl
    except ImportError:  # Windows: leftovers are removed by hand there
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step (Linux: renameat2). False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))
