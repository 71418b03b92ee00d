"""What all reports share: colours that can be left out, sizes and counts as people read them, columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_CODES = {"added": "32", "removed": "31", "changed": "33", "name": "1", "faint": "2"}


def paint(text: str, style: str, *, colour: bool) -> str:
    """Give text in a colour (ANSI), or as it is. ``style`` is a word of meaning: added, removed, changed, faint."""
    return f"\033[{_CODES[style]}m{text}\033[0m" if colour and text else text


def size(count: int) -> str:
    """Give a number of bytes in decimal units, as package managers do."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return f"{value / 1000:.1f} TB"


def brief(text: str) -> str:
    """Give a text with its digests cut to what people compare: ``sha256:`` and twelve digits."""
    return re.sub(r"\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b", r"\1", text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Give a number with its noun: ``1 wheel``, ``2 wheels``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Put cells under one another; the last column is not padded."""
    table = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(max(map(len, table), default=0))]
    return [
        indent
        + "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
        for row in table
    ]
