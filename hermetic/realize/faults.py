"""Telling what the machine refused (space, permission) from what is wrong with the work itself."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

from hermetic.errors import HermeticError, MachineError
from hermetic.store.faults import free_bytes, megabytes

_REMEDIES = {
    errno.ENOSPC: "free some space, or use a larger disk (HERMETIC_STORE names the store), and run the command again",
    errno.EDQUOT: "free some space of your quota, or set HERMETIC_STORE to another disk, and run the command again",
    errno.EACCES: "check who owns the folder, or choose another",
    errno.EPERM: "check who owns the folder, or choose another",
    errno.EROFS: "the disk is mounted read-only: choose another folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and run the command again",
    errno.ENAMETOOLONG: "choose a shorter folder with --prefix",
}
_NUMBER = re.compile(r"(?:\(os error |\[Errno )(\d+)[)\]]")
_SHOWN = 400  # characters of another program's words


def words(error: BaseException) -> str:
    """Give an error of a library in plain, short words: archives may put anything into them."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def machine_fault(error: BaseException, doing: str, disks: Sequence[Path] = ()) -> MachineError | None:
    """Give the MachineError behind an exception of the system, or None for any other.

    ``disks`` are the folders that were written to: where space is missing, the message says what each has left.

    Errors of py-rattler and of other processes have the system's number in their text only; of those, only what is
    certainly the machine's fault counts.
    """
    if isinstance(error, HermeticError):
        return None
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := _NUMBER.findall(str(error))):
        number = int(found[-1])
    if number is None or (number not in _REMEDIES and getattr(error, "errno", None) is None):
        return None
    name = getattr(error, "filename", None)
    place = f" ({name})" if isinstance(name, str) else ""
    if number in (errno.ENOSPC, errno.EDQUOT) and disks:
        place += ": " + ", ".join(f"{megabytes(free_bytes(disk))} free in {disk}" for disk in disks)
    return MachineError(f"{doing}: {os.strerror(number)}{place}", remedy=_REMEDIES.get(number))
