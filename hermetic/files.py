"""Writing files whole or not at all: the only place that replaces a user's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

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
        for given, data in contents.items():
            path = given.resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            staged[temporary] = path
            with os.fdopen(handle, "wb") as file:
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
