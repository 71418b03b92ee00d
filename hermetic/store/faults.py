"""What the machine refuses, in a user's terms: how much, where, and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermetic.errors import HermeticError, MachineError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def machine_faults(doing: str, root: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn the system's refusals inside the block into MachineError; ``needed`` counts bytes."""
    try:
        yield
    except HermeticError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise machine_fault(error, doing, root, needed=needed) from error


def machine_fault(error: OSError, doing: str, root: Path, *, needed: int | None = None) -> MachineError:
    """Give the MachineError for what the system refused while ``doing`` something under ``root``."""
    where = error.filename if isinstance(error.filename, str) and error.filename.startswith("/") else str(root)
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return full_disk(doing, root, needed=needed, reason=reason)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        remedy = "check who owns the folder, or set HERMETIC_STORE to one that is yours"
    elif error.errno in {errno.EMFILE, errno.ENFILE}:
        remedy = "raise the limit of open files (ulimit -n), and run the command again"
    elif error.errno == errno.EIO:
        remedy = "the disk fails: set HERMETIC_STORE to another one"
    else:
        remedy = "mend what the system complains about, and run the command again"
    return MachineError(f"cannot {doing}: {reason}: {where}", remedy=remedy)


def full_disk(doing: str, root: Path, *, needed: int | None = None, reason: str = "") -> MachineError:
    """Give the MachineError of a disk without room: how much is missing, and where."""
    amount = f"{megabytes(needed)} needed, " if needed else ""
    reason = reason or os.strerror(errno.ENOSPC)
    return MachineError(
        f"cannot {doing}: {reason}: {amount}{megabytes(free_bytes(root))} free in {root}",
        remedy="free some space, or set HERMETIC_STORE to a folder on a larger disk, and run the command again; "
        "nothing was left half-written",
    )


def free_bytes(root: Path) -> int:
    """Give how many bytes this user may still write under ``root``, which need not exist yet."""
    import shutil

    while not root.exists() and root != root.parent:
        root = root.parent
    return shutil.disk_usage(root).free


def megabytes(count: int) -> str:
    """Write a number of bytes for a person, in decimal megabytes."""
    return f"{count / 1e6:,.1f} MB"
