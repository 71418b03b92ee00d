"""What a power cut may have damaged, told by one look at a modification time.

A file is written, renamed to its name, and never waited for: ``fsync`` per file would make every build wait for
the disk. A power cut can then leave a name whose bytes never arrived (on ext4 a rename to a *new* name does not
flush the file). So what the store places gets a modification time that is no time at all but a stamp: of the boot
in which it was written, or ``SETTLED`` for what was read again in a later boot and found whole. Anything else (an
older boot, or an edit by whomever, which sets the real time) means: look at the bytes before they are trusted.

The stamp is part of the inode and set before the rename, and journals keep that order; so a name that survived a
power cut has its stamp. The common case costs the one ``stat`` that asks whether the file is there at all.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

SETTLED = 1
"""The modification time, in seconds, of what is known to be whole whatever happened to the machine."""


@cache
def this_boot() -> int:
    """Give this boot's stamp, in seconds: a number from 1970-1978, so that no real time is ever taken for it."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # no Linux: every process counts as a boot, and reads once what others wrote
        text = f"{os.getpid()} {os.urandom(8).hex()}"
    return 2 + int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)


def is_trusted(status: os.stat_result) -> bool:
    """Tell whether what has this status was written in this boot or settled, and not touched since."""
    return status.st_mtime_ns in (this_boot() * 10**9, SETTLED * 10**9)


def stamp(path: Path | str, seconds: int | None = None) -> None:
    """Stamp a file or folder: with this boot, or with ``SETTLED``."""
    when = (this_boot() if seconds is None else seconds) * 10**9
    os.utime(path, ns=(when, when))
