"""Telling what the machine refused (space, permission) from what is wrong with the work itself."""

from __future__ import annotations

import errno
import re

from hermetic.errors import MachineError

_REMEDIES = {
    errno.ENOSPC: "free some space, or set HERMETIC_STORE to a larger disk, and run the command again",
    errno.EDQUOT: "free some space of your quota, or set HERMETIC_STORE to another disk, and run the command again",
    errno.EACCES: "check who owns the folder, or choose another with --prefix",
    errno.EPERM: "check who owns the folder, or choose another with --prefix",
    errno.EROFS: "the disk is mounted read-only: choose another folder with --prefix",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and run the command again",
    errno.ENAMETOOLONG: "choose a shorter folder with --prefix",
}
_NUMBER = re.compile(r"\(os error (\d+)\)")


def machine_fault(error: BaseException, doing: str) -> MachineError | None:
    """Give the MachineError behind an exception, or None if the machine is not at fault.

    py-rattler's errors have the system's error number in their text only.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := _NUMBER.findall(str(error))):
        number = int(found[-1])
    if number not in _REMEDIES:
        return None
    import os

    return MachineError(f"{doing}: {os.strerror(number)}", remedy=_REMEDIES[number])
