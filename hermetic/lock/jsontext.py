"""Strict JSON (RFC 8259) with lines: what stands twice, is no text, or has two meanings is refused where it stands.

Reading is the C decoder's work; the lines are looked for only when there is something to complain about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json import decoder as json_decoder
from typing import Any, NoReturn, TypeAlias

from hermetic.errors import LockFileError, Place

Path: TypeAlias = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\r\n]*")
_CONFLICT = re.compile(r"^(<<<<<<< |=======\r?$|>>>>>>> |\|\|\|\|\|\|\| )", re.MULTILINE)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_REMEDY = "restore the file from version control, or write it anew with `hermetic lock`"


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def decode(data: bytes, file: str) -> str:
    """Give the text of a UTF-8 file. Raises LockFileError for other encodings and a byte order mark."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LockFileError(
            "the file is not UTF-8", place=Place(file, line), remedy="save it as UTF-8, or restore it"
        ) from None
    if text.startswith("\ufeff"):
        raise LockFileError(
            "the file begins with a byte order mark", place=Place(file, 1), remedy="save it as UTF-8 without BOM"
        )
    return text


def parse(text: str, file: str) -> Any:
    """Read JSON text. Raises LockFileError, with file and line, for all that is not strict JSON without floats."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        conflict = _CONFLICT.search(text)
        if conflict:
            raise LockFileError(
                "the file holds merge conflict markers",
                place=Place(file, text.count("\n", 0, conflict.start()) + 1),
                remedy="take either side whole (`git checkout --ours FILE`), then run `hermetic lock`: "
                "a lock is solved, never merged",
            ) from None
        cut = error.pos >= len(text.rstrip())
        message = "the file is cut off" if cut else f"not JSON: {error.msg}"
        raise LockFileError(message, place=Place(file, error.lineno), remedy=_REMEDY) from None
    except _TwiceError as error:
        raise LockFileError(
            f"the key {error.args[0]!r} stands twice in one object",
            place=Place(file, _line_of_double(text)),
            remedy=_REMEDY,
        ) from None
    except RecursionError:
        raise LockFileError("nested too deeply to be a lock", place=Place(file), remedy=_REMEDY) from None
    except UnicodeEncodeError:
        raise LockFileError("the file holds half a character (\\ud800)", place=Place(file), remedy=_REMEDY) from None
    except ValueError as error:
        raise LockFileError(f"not a lock: {error}", place=Place(file), remedy=_REMEDY) from None
    return value


def line_of(text: str, path: Path) -> int | None:
    """Give the line on which the value at ``path`` begins, or its nearest ancestor that is there."""
    best, line = -1, None
    try:
        for found, position in _positions(text):
            if len(found) > best and path[: len(found)] == found:
                best, line = len(found), text.count("\n", 0, position) + 1
    except RecursionError:  # nested as deeply as the C decoder just allows; the message does without a line
        return None
    return line


def show(path: Path) -> str:
    """Give a path as people read it: ``platforms.linux-64.conda.numpy.depends[3]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        raise _TwiceError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return value


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")


def _line_of_double(text: str) -> int | None:
    seen: set[Path] = set()
    try:
        for path, position in _positions(text):
            if path in seen:
                return text.count("\n", 0, position) + 1
            seen.add(path)
    except RecursionError:
        return None
    return None


def _positions(text: str) -> Iterator[tuple[Path, int]]:
    """Walk well-formed JSON text: each value's path, and where its key (an item's value) begins."""
    decoder = json.JSONDecoder()
    end = 0

    def skip(at: int) -> int:
        match = _SPACE.match(text, at)
        return match.end() if match else at

    def walk(path: Path, at: int) -> Iterator[tuple[Path, int]]:
        """Yield what is below ``at``; the position after it goes into ``end``."""
        nonlocal end
        opening = text[at]
        if opening not in "{[":
            _, end = decoder.raw_decode(text, at)
            return
        at, index = skip(at + 1), 0
        while text[at] not in "}]":
            start = at
            if opening == "{":
                step, at = json_decoder.scanstring(text, at + 1)  # type: ignore[attr-defined]
                inner: Path = (*path, step)
                at = skip(skip(at) + 1)  # the colon
            else:
                inner, index = (*path, index), index + 1
            yield inner, start
            yield from walk(inner, at)
            at = skip(end)
            if text[at] == ",":
                at = skip(at + 1)
        end = at + 1

    yield (), skip(0)
    yield from walk((), skip(0))
