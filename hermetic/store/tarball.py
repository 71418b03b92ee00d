"""Tar streams, read once from front to back in constant memory: ustar, GNU and pax (POSIX.1-2001, pax).

Python's own ``tarfile`` is made for every tar there ever was; this reader knows what packages hold, refuses the
rest, and spends a few microseconds per member, so that the time goes into the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from hermetic.errors import IntegrityError
from hermetic.store.guard import printable

BLOCK = 512
BUFFER = 1 << 20
_LONGEST_EXTENSION = 1 << 20
_ZEROS = bytes(BLOCK)
FILE, HARD_LINK, LINK, FOLDER = "file", "hard link", "link", "folder"
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"1": HARD_LINK, b"2": LINK, b"5": FOLDER}
_OTHER = {b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "a sparse file", b"M": "part of another volume"}


class Source(Protocol):
    """Where bytes come from, decompressed."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill some of a buffer; 0 means the end."""


@dataclass(slots=True)
class Member:
    """One member of a tar. ``size`` counts the bytes that follow; ``mode`` are its permission bits.

    ``owner``, ``group`` and ``extended``, the records of its pax header, are told of images' members only.
    """

    name: str
    kind: str
    size: int
    mode: int
    target: str
    owner: int = 0
    group: int = 0
    extended: dict[str, str] = field(default_factory=dict)


class Stream:
    """A buffered source that hands out views of its buffer, so that bytes are not copied once more."""

    def __init__(self, source: Source, label: str) -> None:
        self._source = source
        self._label = label
        self._view = memoryview(bytearray(BUFFER))
        self._start = self._end = 0

    def take(self, count: int) -> memoryview:
        """Give exactly ``count`` bytes (at most the buffer), valid until the next call; fewer only at the end."""
        if self._end - self._start < count:
            rest = self._end - self._start
            self._view[:rest] = self._view[self._start : self._end]
            self._start, self._end = 0, rest
            while self._end < count and self._fill():
                pass
        start = self._start
        self._start = min(start + count, self._end)
        return self._view[start : self._start]

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Give the next ``count`` bytes in pieces, each valid until the next one. Raises IntegrityError at the end."""
        while count:
            if self._start == self._end:
                self._start = self._end = 0
                if not self._fill():
                    self.cut()
            piece = self._view[self._start : min(self._end, self._start + count)]
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        for _ in self.pieces(count):
            pass

    def drain(self) -> int:
        """Read to the end; give how many bytes that were not zero came."""
        other = 0
        while True:
            piece = self._view[self._start : self._end]
            other += len(piece) - bytes(piece).count(0)
            self._start = self._end = 0
            if not self._fill():
                return other

    def cut(self) -> NoReturn:
        """Refuse an archive that ends too early."""
        raise IntegrityError(f"{self._label}: the archive is cut short", remedy="fetch it again")

    def _fill(self) -> bool:
        got = self._source.readinto(self._view[self._end :])
        self._end += got
        return got > 0


def members(stream: Stream, label: str, *, image: bool = False) -> Iterator[Member]:
    """Give a tar's members; whoever takes one takes the bytes of its file, and this passes over the padding.

    ``image``: devices and pipes are given too, by what they are. Raises IntegrityError for what is no tar, or holds
    what no package may (devices, pipes, sparse files).
    """
    long_name = long_target = ""
    extended: dict[str, str] = {}
    while True:
        block = bytes(stream.take(BLOCK))
        if not block:
            return  # an end without closing zeros: old tools write that, and nothing can be missing from a member
        if len(block) < BLOCK:
            stream.cut()
        if block == _ZEROS:
            return
        _check_sum(block, label)
        flag = block[156:157]
        size = _number(block[124:136], label)
        if flag in b"LKxg":
            data = _extension(stream, size, label)
            if flag == b"L":
                long_name = _text(data)
            elif flag == b"K":
                long_target = _text(data)
            elif flag == b"x":
                extended.update(_pax(data, label))
            continue
        sparse = flag in {b"S", b"M"} or any(key.startswith("GNU.sparse") for key in extended)
        if sparse or (flag in _OTHER and not image):
            name = printable(long_name or _text(block[:100]))
            raise IntegrityError(
                f"{label}: a member is {_OTHER.get(flag, 'a sparse file')}, which no package may hold ({name})",
                remedy="take another build, and tell the channel that has this one",
            )
        name = extended.get("path") or long_name or _ustar_name(block)
        target = extended.get("linkpath") or long_target or _text(block[157:257])
        kind = _KINDS.get(flag) or _OTHER.get(flag)
        if kind is None:
            raise IntegrityError(f"{label}: a member is of an unknown kind {flag!r} ({printable(name)})")
        if kind == FILE and name.endswith("/"):  # the way of the oldest tars
            kind = FOLDER
        if "size" in extended:
            size = int(extended["size"]) if extended["size"].isdecimal() else -1
        if size < 0:
            raise IntegrityError(f"{label}: a member has no sound size ({printable(name)})")
        if kind != FILE and size:  # readers do not agree whether bytes follow then, so two could see two archives
            raise IntegrityError(f"{label}: a {kind} has a size, which can be read in two ways ({printable(name)})")
        member = Member(name, kind, size, _number(block[100:108], label) & 0o7777, target)
        if image:
            member.owner = _owner(extended.get("uid"), block[108:116], label)
            member.group = _owner(extended.get("gid"), block[116:124], label)
            member.extended = extended
        yield member
        if kind == FILE and image:
            stream.take(_padded(size) - size)  # some tools that write layers leave the last file's padding out
        elif kind == FILE:
            stream.skip(_padded(size) - size)
        long_name = long_target = ""
        extended = {}


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _extension(stream: Stream, size: int, label: str) -> bytes:
    if not 0 < size <= _LONGEST_EXTENSION:
        raise IntegrityError(f"{label}: a member's extended header is of an unsound size ({size} bytes)")
    data = b"".join(bytes(piece) for piece in stream.pieces(size))
    stream.skip(_padded(size) - size)
    return data


def _pax(data: bytes, label: str) -> dict[str, str]:
    """Read the records of a pax header: length (of all of it), space, key, ``=``, value, newline."""
    found = {}
    while data:
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        record = data[len(digits) + 1 : length - 1]
        key, equals, value = record.partition(b"=")
        if not equals or data[length - 1 : length] != b"\n":
            raise IntegrityError(f"{label}: a pax header cannot be understood")
        found[key.decode("ascii", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def _ustar_name(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        return f"{_text(block[345:500])}/{name}"
    return name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes, label: str) -> int:
    """Read octal digits, or GNU's binary form for what does not fit."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else -1
    number = _octal(field.strip(b"\0 ") or b"0")
    if number is None:
        raise IntegrityError(f"{label}: a member's header cannot be understood")
    return number


def _octal(digits: bytes) -> int | None:
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _owner(extended: str | None, field: bytes, label: str) -> int:
    return int(extended) if extended and extended.isdecimal() else _number(field, label)


def _check_sum(block: bytes, label: str) -> None:
    stated = block[148:156].strip(b"\0 ")
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if _octal(stated) != total:
        raise IntegrityError(f"{label}: no tar, or damaged: a header's checksum is wrong", remedy="fetch it again")
