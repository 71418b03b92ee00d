"""Text of spec files: bytes to Unicode with clear errors, line by line as the user counts them."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from hermetic.errors import MachineError, Place, SpecError

MAX_BYTES = 8 << 20
"""No spec that people write is larger; a larger file is something else."""

_SHOWN = 80

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\x85\u2028\u2029\ufffe\uffff]")


def read_text(path: Path) -> str:
    """Give a spec file's text: without byte order mark, every line end a line feed.

    Raises SpecError for a file that is missing, too large or not text, MachineError for one that cannot be read.
    """
    place = Place(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError("there is no such file", place=place, remedy="check the path") from None
    except IsADirectoryError:
        raise SpecError("this is a folder, not a file", place=place, remedy="name a spec file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise MachineError(f"cannot be read: {reason}", place=place) from None
    if len(data) > MAX_BYTES:
        raise SpecError(
            f"larger than {MAX_BYTES >> 20} MiB, so it is no spec", place=place, remedy="name the right file"
        )
    return decode(data, str(path))


def decode(data: bytes, file: str) -> str:
    """Give the text of a spec file's bytes. Raises SpecError with the line of the first bad byte."""
    encoding = "utf-8"
    for mark, name in _BOMS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"byte {error.start} is not {encoding.upper()} text",
            place=Place(file, line),
            remedy="save the file as UTF-8",
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found := _CONTROL.search(text):
        raise SpecError(
            f"control character U+{ord(found[0]):04X}",
            place=Place(file, text.count("\n", 0, found.start()) + 1),
            remedy="remove it; is this a text file?",
        )
    return text


def quoted(text: str) -> str:
    """Give a piece of the user's text for a message: short, and not at all if it may hold a URL's password."""
    if "@" in text or "//" in text:
        return "this text"
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
