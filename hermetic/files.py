"""Writing files whole or not at all: the only place that replaces a user's file."""

from __future__ import annotations

import os
from pathlib import Path

from hermetic.errors import MachineError, Place


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file in one step: a reader, and a power cut, see the old content or the new.

    A file that is replaced keeps its mode, and a symbolic link stays a link. Folders above are made. Raises
    MachineError, with nothing changed, if the system refuses.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = None
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            if path.exists():
                temporary.chmod(path.stat().st_mode & 0o7777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before the bytes do
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise MachineError(
            f"cannot write: {error.strerror}", place=Place(str(path)), remedy="make room, or check the permissions"
        ) from None
