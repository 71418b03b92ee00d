"""Bytes on their way in: hashed in the same pass in which they are written."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from hermetic.digest import CHUNK

_FICLONE = 0x40049409  # linux/fs.h: share all blocks of a file; btrfs, xfs and bcachefs know it


def copy_hashed(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file into one that does not exist; give the copy's sha256 and size.

    Where the disk can share blocks nothing is copied. What is hashed is the copy, so that the digest holds
    whatever happens to the source meanwhile.
    """
    hasher = hashlib.sha256()
    size = 0
    read = os.open(source, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        write = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            shared = clone(read, write)
            buffer = memoryview(bytearray(CHUNK))
            while count := os.readv(write if shared else read, [buffer]):
                piece = buffer[:count]
                hasher.update(piece)
                size += count
                if not shared:
                    write_all(write, piece)
        finally:
            os.close(write)
    finally:
        os.close(read)
    return hasher.hexdigest(), size


def clone(read: int, write: int) -> bool:
    """Let one open file share all blocks of another; False where the disk cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(write, _FICLONE, read)
    except OSError:
        return False
    return True


def write_all(handle: int, data: memoryview) -> None:
    """Write all of some bytes: a system call may take fewer."""
    while data:
        data = data[os.write(handle, data) :]
