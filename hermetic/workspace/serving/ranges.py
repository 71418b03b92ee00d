"""Which bytes of a file a request asks for (RFC 9110, 13.1.5 and 14)."""

from __future__ import annotations

import re

_RANGE = re.compile(rb"bytes=\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\s*\Z")


def wanted_bytes(header: bytes | None, size: int) -> tuple[int, int] | None:
    """Give first byte and number of bytes that a ``Range`` asks for; None for all, no bytes if it lies behind the end.

    Only one range is served. A list of ranges, and what cannot be understood, is passed over, which the RFC allows
    (14.2) and which makes long lists harmless: the answer is then the whole file.
    """
    found = _RANGE.match(header) if header else None
    if not found:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        count = min(int(suffix), size)
        return size - count, count
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None  # no range at all
    return (start, end - start + 1) if start < size else (start, 0)


def still_the_same(header: bytes | None, etag: bytes, modified: bytes) -> bool:
    """Tell whether an ``If-Range`` means the file as it is: its strong entity tag, or its very date."""
    return header is None or header in {etag, modified}
