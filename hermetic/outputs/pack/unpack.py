"""Finishes a pack that was just unpacked: puts the prefix into the files that hold it, then the whole in its place.

Run by the environment's own Python (3.7 or later), or any other, in the folder that the archive was unpacked in; it
imports nothing of hermetic. What comes out is what ``hermetic build`` would have made at that path, byte for byte.

Arguments: the prefix; the pack, if its digest is still to be checked, where its archive begins, and the digest.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shlex
import stat
import sys
from pathlib import Path
from typing import Any

USAGE, DAMAGED, MACHINE = 2, 5, 6
SHEBANG = re.compile(rb"(#! *)(/(?:\\ |[^ \n\r\t])*)(.*)", re.DOTALL)
PYTHON = re.compile(rb"python(?:\d+(?:\.\d+)?)?")
LIMIT = 127  # bytes of a first line that Linux reads


class Refused(Exception):  # noqa: N818
    """Why it cannot be done: the words, and the exit status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def in_text(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the build's prefix in a text, as conda clients do: a first line has to remain one that Linux takes."""
    if not data.startswith(b"#!"):
        return data.replace(old, new)
    line, end, rest = data.partition(b"\n")
    line = line.decode("utf-8", "replace").encode()
    return first_line(line, old, new) + end + rest.replace(old, new)


def first_line(line: bytes, old: bytes, new: bytes) -> bytes:
    """Give a script's first line with another prefix; one that is too long starts the program in another way."""
    replaced = line.replace(old, new)
    if b" " in new:
        match = SHEBANG.fullmatch(line)
        if match is None or old not in line:
            return replaced
        program = match.group(2).replace(old, new)
    else:
        match = SHEBANG.fullmatch(replaced)
        if len(replaced) <= LIMIT or match is None:
            return replaced
        program = match.group(2)
    rest = match.group(3).replace(old, new)
    name = program.rpartition(b"/")[2]
    if PYTHON.fullmatch(name):
        return b"#!/bin/sh\n'''exec' \"" + program + b'"' + rest + b' "$0" "$@" #\'\'\''
    return b"#!/usr/bin/env " + name + rest


def in_strings(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the build's prefix in a program: in strings that end with a zero byte, which keep their length."""
    parts, at = [], 0
    found = data.find(old)
    while found >= 0:
        parts.append(data[at:found])
        at = data.find(b"\0", found)
        at = len(data) if at < 0 else at
        parts.append(data[found:at].replace(old, new).ljust(at - found, b"\0"))
        found = data.find(old, at)
    return b"".join([*parts, data[at:]])


def entry_point(interpreter: bytes) -> bytes:
    """Give the first line of an entry point of a conda package."""
    if len(interpreter) > LIMIT - 2 or b" " in interpreter:
        return b"#!/bin/sh\n'''exec' \"" + interpreter + b'" "$0" "$@" #\'\'\'\n'
    return b"#!" + interpreter + b"\n"


def script(interpreter: bytes) -> bytes:
    """Give the first line of a wheel's script, as installers of wheels write it."""
    if b" " in interpreter or len(interpreter) > LIMIT - 3:
        quoted = os.fsencode(shlex.quote(os.fsdecode(interpreter)))
        return b"#!/bin/sh\n'''exec' " + quoted + b" \"$0\" \"$@\"\n' '''\n"
    return b"#!" + interpreter + b"\n"


def finish(root: Path, prefix: str, table: dict[str, Any]) -> None:
    """Make the tree in ``root`` what it has to be at ``prefix``."""
    new = os.fsencode(prefix)
    room = min([len(old) for _, old in table["binary"]], default=len(new))
    if len(new) > room:
        raise Refused(USAGE, f"{prefix} is too long: programs leave room for {room} bytes, choose a shorter folder")
    changed = []
    for kind, replace in (("text", in_text), ("binary", in_strings)):
        for path, old in table[kind]:
            rewrite(root / path, replace((root / path).read_bytes(), os.fsencode(old), new))
            changed.append(root / path)
    interpreter = new + b"/" + os.fsencode(table["interpreter"])
    for kind, begin in (("entry_points", entry_point), ("scripts", script)):
        for path in table[kind]:
            rewrite(root / path, begin(interpreter) + (root / path).read_bytes())
            changed.append(root / path)
    changed += compiled(root, table["modules"])
    for path, values in table["made"].items():
        rewrite(
            root / path, (json.dumps({**values, "prefix": prefix}, indent=2, sort_keys=True) + "\n").encode(), 0o644
        )
        changed.append(root / path)
    for path in [*changed, *{file.parent for file in changed}, root]:
        os.utime(path, (table["time"], table["time"]))


def compiled(root: Path, modules: list[list[str]]) -> list[Path]:
    """Compile modules that hold the prefix; give what was made. Those that do not compile have no pyc."""
    made = []
    if modules:
        from pyc_worker import pyc  # type: ignore[import-not-found]  # in the archive, beside this file

        sys.setrecursionlimit(max(sys.getrecursionlimit(), 5000))
    for path, target in modules:
        try:
            data = pyc((root / path).read_bytes(), path)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            continue
        rewrite(root / target, data, 0o644)
        made.append(root / target)
    return made


def rewrite(file: Path, data: bytes, mode: int = 0) -> None:
    """Give a file other bytes; it keeps its mode, unless it is given one."""
    kept = mode or stat.S_IMODE(file.stat().st_mode)
    file.write_bytes(data)
    file.chmod(kept)


def check(pack: Path, start: int, wanted: str) -> None:
    """Check the digest of a pack's archive, where nothing else on the machine could."""
    digest = hashlib.sha256()
    with pack.open("rb") as file:
        file.seek(start - 1)
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() != wanted:
        raise Refused(DAMAGED, f"{pack} is damaged (sha256 {digest.hexdigest()}, not {wanted}): copy it again")


def main(prefix: str, pack: str, start: str, wanted: str) -> int:
    """Do it; give the exit status."""
    here = Path(__file__).parent
    prefix = os.path.abspath(prefix)  # noqa: PTH100  links are not followed: files hold the path as it was given
    try:
        if pack:
            check(Path(pack), int(start), wanted)
        finish(here / "env", prefix, json.loads((here / "table.json").read_bytes()))
        (here / "env").rename(prefix)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return refused.status
    except OSError as error:
        words = "it is not empty" if error.errno in (errno.ENOTEMPTY, errno.EEXIST) else error.strerror
        sys.stderr.write(f"cannot put the environment in {prefix}: {words}\n")
        return MACHINE
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
