"""Who builds is alive as long as it holds a file: the system lets go of it when a process dies, however it dies.

That is told at once on the machine that builds. Others, who share only the database, go by the builder's heartbeat:
one that has not been heard of for ``LEASE`` seconds is given up.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from hermetic.store.flock import try_lock
from hermetic.workspace.builds.model import Build

LEASE = 60
"""Seconds without a heartbeat, by the database's clock, after which a builder on another machine is given up."""
BEAT = 5.0
"""Seconds between two heartbeats."""
_FOLDER = "builds"
_WORDS = 4000
_LONG_AGO = 7 * 86400


@cache
def machine() -> str:
    """Name this machine since it was started last: ``NAME/BOOT``."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    return f"{socket.gethostname()}/{boot}"


def work_folder(folder: Path, build: int, builder: str) -> Path:
    """Give the folder that a build may work in, below the workspace's own."""
    return folder / _FOLDER / f"{build}-{builder}"


def hold_path(folder: Path, build: int, builder: str) -> Path:
    """Give the path of the file that a build's builder holds."""
    return folder / _FOLDER / f"{build}-{builder}.held"


def take_hold(folder: Path, build: int, builder: str) -> int:
    """Make and hold a build's file; give the handle, which holds it until its last copy is closed."""
    path = hold_path(folder, build, builder)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try_lock(handle)
    return handle


def _sweep(folder: Path) -> None:
    """Remove what is left of builds long ago whose builders died, and which nobody has looked at since."""
    for held in folder.glob("*.held"):
        with suppress(OSError):
            if time.time() - held.stat().st_mtime > _LONG_AGO:
                handle = os.open(held, os.O_RDONLY)
                if try_lock(handle):
                    shutil.rmtree(held.with_suffix(""), ignore_errors=True)
                    held.unlink()
                os.close(handle)


def let_go(folder: Path, build: int, builder: str) -> None:
    """Remove what a build has left in the folder."""
    shutil.rmtree(work_folder(folder, build, builder), ignore_errors=True)
    with suppress(OSError):
        hold_path(folder, build, builder).unlink()


def is_gone(folder: Path, build: Build, now: Callable[[], int]) -> bool:
    """Tell whether the builder of a build that is not at its end is no more. ``now`` asks the database's time (ms)."""
    if build.machine == machine():
        with suppress(FileNotFoundError, PermissionError):  # another's folder, or file: then its heartbeat tells
            handle = os.open(hold_path(folder, build.id, build.builder), os.O_RDONLY)
            try:
                return try_lock(handle)
            finally:
                os.close(handle)
    return now() - build.heartbeat > LEASE * 1000


def last_words(folder: Path, build: Build) -> str:
    """Give what a builder that is no more wrote into its file before it could write a log."""
    try:
        text = hold_path(folder, build.id, build.builder).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.strip()[:_WORDS]
