"""Writing files whole or not at all: the only place that replaces a user's file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hermetic.errors import MachineError, Place


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file in one step: a reader, and a power cut, see the old content or the new.

    A file that is replaced keeps its mode, and a symbolic link stays a link. Folders above are made. Raises
    MachineError, with nothing changed, if the system refuses.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Write several files, each as ``write_whole``, in their order and only when there is room for all of them."""
    staged: dict[Path, Path] = {}
    path = Path()
    try:
        with ExitStack() as held:
            for given, data in contents.items():
                path = given.resolve()
                path.parent.mkdir(parents=True, exist_ok=True)
                _sweep(path)
                temporary, handle = _begin(path)
                staged[temporary] = path
                file = held.enter_context(os.fdopen(handle, "wb"))
                if path.exists():
                    temporary.chmod(path.stat().st_mode & 0o7777)
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())  # the name must not reach the disk before the bytes do
            for temporary, path in staged.items():
                temporary.replace(path)
    except OSError as error:
        raise MachineError(
            f"cannot write: {error.strerror}", place=Place(str(path)), remedy="make room, or check the permissions"
        ) from None
    finally:
        for temporary in staged:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing_whole(path: Path, *, mode: int) -> Iterator[BinaryIO]:
    """Give a file to write and read that takes the place of ``path`` when the block ends well, with another mode.

    It is for what is too large to be held in memory, and for secrets: what ``mode`` keeps from other users they read at
    no moment. Raises OSError where the system refuses.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    temporary, handle = _begin(path, mode & 0o666)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _begin(path: Path, mode: int = 0o666) -> tuple[Path, int]:
    """Make the file that is written in a file's place: beside it, and locked as long as its handle is open."""
    while True:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if _hold(handle) and os.fstat(handle).st_nlink:  # else another process took it for a leftover in between
            return temporary, handle
        os.close(handle)


def _sweep(path: Path) -> None:
    """Remove what processes left that were killed while they wrote this file: what nobody holds."""
    left = re.compile(rf"\.{re.escape(path.name)}\.\d+\.[0-9a-f]{{8}}")
    for other in path.parent.iterdir():
        if left.fullmatch(other.name):
            with suppress(OSError):
                handle = os.open(other, os.O_RDWR)
                if _hold(handle, steal=True):
                    other.unlink()
                os.close(handle)


def _hold(handle: int, *, steal: bool = False) -> bool:
    """Lock an open file; False if another process holds it. Where files cannot be locked, nothing is stolen."""
    try:
        import fcntl
    except ImportError:  # Windows: leftovers are removed by hand there
        return not steal
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not steal
    return True
