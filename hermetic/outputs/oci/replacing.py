"""The prefix put into files that hold the build's, as conda clients do it: in text everywhere, in binaries by strings.

Nothing is written, and no file is read as a whole: a file that holds the prefix is mapped, and given in pieces.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

from hermetic.errors import BuildError, UsageError

_SHEBANG = re.compile(r"(#!(?:[ ]*)(/(?:\\ |[^ \n\r\t])*)(.*))")
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?")
_ENTRY_POINT = re.compile(r"[^=]+=\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*:\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*")
_SHEBANG_LIMIT = 127  # bytes of a first line that Linux reads

Bytes = bytes | mmap.mmap


def pieces(file: str, placeholder: str, prefix: str, mode: str) -> Iterator[bytes]:
    """Give a file's bytes with ``prefix`` for ``placeholder``; ``mode`` is ``text`` or ``binary``.

    Raises UsageError if a binary leaves no room for the prefix.
    """
    with Path(file).open("rb") as opened:
        try:
            data: Bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # it is empty
            return
    old, new = placeholder.encode(), prefix.encode()
    given = _in_strings(data, old, new) if mode == "binary" else _in_text(data, old, new)
    try:
        yield from given
    finally:
        given.close()
        if isinstance(data, mmap.mmap):
            with suppress(BufferError):  # what an error on its way still holds goes with the error
                data.close()


def _in_text(data: Bytes, old: bytes, new: bytes) -> Generator[bytes, None, None]:
    at = 0
    if data[:2] == b"#!" and (end := data.find(b"\n")) >= 0:
        yield _shebang(data[:end].decode("utf-8", "replace").replace(old.decode(), new.decode())).encode()
        at = end
    while (found := data.find(old, at)) >= 0:
        yield from _spans(data, at, found)
        yield new
        at = found + len(old)
    yield from _spans(data, at, len(data))


def _in_strings(data: Bytes, old: bytes, new: bytes) -> Generator[bytes, None, None]:
    """Replace in strings that end with a zero byte, and fill each up with zeros to the length that it had."""
    if len(new) > len(old):
        raise UsageError(f"a program leaves room for a prefix of {len(old)} characters, and {new.decode()} has more")
    at = 0
    while (found := data.find(old, at)) >= 0:
        yield from _spans(data, at, found)
        at = data.find(b"\0", found)
        at = len(data) if at < 0 else at
        string = data[found:at]
        yield string.replace(old, new).ljust(len(string), b"\0")
    yield from _spans(data, at, len(data))


def _spans(data: Bytes, begin: int, end: int) -> Iterator[bytes]:
    """Give a part of a file in pieces that are not too large."""
    for at in range(begin, end, 1 << 20):
        yield data[at : min(end, at + (1 << 20))]


def _shebang(line: str) -> str:
    """Give a first line that the kernel takes, as conda clients write those that are too long."""
    match = _SHEBANG.fullmatch(line) if len(line.encode()) > _SHEBANG_LIMIT else None
    if match is None:
        return line
    program = match[2].rpartition("/")[2]
    if _PYTHON.fullmatch(program):
        return f"#!/bin/sh\n'''exec' \"{match[2]}\"{match[3]} \"$0\" \"$@\" #'''"
    return f"#!/usr/bin/env {program}{match[3]}"


def entry_point_script(point: str, interpreter: str) -> bytes:
    """Give the script of an entry point (``command = module:function``) of a noarch python package.

    Raises BuildError for one that is none: its words become a part of the script.
    """
    match = _ENTRY_POINT.fullmatch(point)
    if match is None:
        raise BuildError(f"{point!r} is no entry point", remedy="lock another build of the package, or tell its makers")
    module, function = match[1], match[2]
    first = f"#!{interpreter}"
    if len(interpreter) > _SHEBANG_LIMIT - 2 or " " in interpreter:
        first = f"#!/bin/sh\n'''exec' \"{interpreter}\" \"$0\" \"$@\" #'''"
    return (
        f"{first}\n"
        "# -*- coding: utf-8 -*-\n"
        "import re\n"
        "import sys\n\n"
        f"from {module} import {function.partition('.')[0]}\n\n"
        "if __name__ == '__main__':\n"
        "\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])\n"
        f"\tsys.exit({function}())\n"
    ).encode()
