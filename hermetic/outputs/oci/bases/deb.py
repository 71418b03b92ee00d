"""Debian packages, read without dpkg and without running anything of theirs (deb(5), deb-control(5)).

A ``.deb`` is an ``ar`` archive of ``debian-binary``, ``control.tar.*`` and ``data.tar.*``. What its tars may hold is
the store's guard to say, as for every archive; links may be absolute here, because an image's root is the root.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hermetic.errors import IntegrityError
from hermetic.store import tarball
from hermetic.store.guard import Guard, Limits
from hermetic.store.sources import xz_source, zstd_source

_MAGIC = b"!<arch>\n"
_HEADER = 60
_MOST_PARTS = 16
_LONGEST_CONTROL = 1 << 20  # bytes
_LIMITS = Limits(entries=100_000, unpacked=2 << 30, free=64 << 20)


@dataclass(frozen=True)
class Entry:
    """A member of a package: its path, ``file``, ``link``, ``folder`` or ``hard link``, its mode, its target."""

    path: str
    kind: str
    mode: int = 0o755
    target: str = ""


@dataclass(frozen=True)
class _Part:
    name: str
    start: int
    size: int


Take = Callable[[Entry, Iterable[memoryview]], None]
"""What takes a package's members in their order, each with its bytes, which it must read."""


def read_deb(path: Path, take: Take, *, label: str = "") -> Mapping[str, str]:
    """Read a package: its members go to ``take``; give the fields of its control file.

    Raises IntegrityError with the reason to refuse it; what was taken until then is to be thrown away.
    """
    label = label or path.name
    with path.open("rb", buffering=0) as file:
        parts = _parts(file, label)
        names = [part.name for part in parts]
        if [name.partition(".")[0] for name in names[:3]] != ["debian-binary", "control", "data"]:
            raise _refused(
                label, f"it holds {', '.join(names[:3]) or 'nothing'} where a Debian package has other parts"
            )
        if not _text(file, parts[0], label).startswith("2."):
            raise _refused(label, "its format is not 2.x")
        control = _control(file, parts[1], label)
        guard = Guard(label, path.stat().st_size, _LIMITS)
        _members(file, parts[2], guard, label, take)
        guard.finish()
    return control


def _parts(file: io.FileIO, label: str) -> list[_Part]:
    """Read the headers of an ``ar`` archive."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise _refused(label, "it is no Debian package")
    found: list[_Part] = []
    position = len(_MAGIC)
    end = file.seek(0, io.SEEK_END)
    while position < end:
        file.seek(position)
        header = file.read(_HEADER) or b""
        size = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not size.isdigit() or len(found) == _MOST_PARTS:
            raise _refused(label, "its parts cannot be told apart")
        part = _Part(header[:16].decode("ascii", "replace").rstrip().rstrip("/"), position + _HEADER, int(size))
        if part.start + part.size > end:
            raise IntegrityError(f"{label}: the package is cut short", remedy="fetch it again")
        found.append(part)
        position = part.start + part.size + part.size % 2
    return found


def _control(file: io.FileIO, part: _Part, label: str) -> Mapping[str, str]:
    """Give the fields of the control file; continued lines stay in their field."""
    texts: list[str] = []

    def take(entry: Entry, pieces: Iterable[memoryview]) -> None:
        data = bytearray()
        for piece in pieces:
            if entry.path == "control":
                data += piece
            if len(data) > _LONGEST_CONTROL:
                raise _refused(label, "its control file is too large")
        if entry.path == "control":
            texts.append(data.decode("utf-8", "replace"))

    guard = Guard(label, part.size, _LIMITS)
    _members(file, part, guard, label, take)
    fields: dict[str, str] = {}
    name = ""
    for line in (texts or [""])[0].splitlines():
        if line[:1].isspace() and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if not {"Package", "Version", "Architecture"} <= fields.keys():
        raise _refused(label, "its control file does not say what it is")
    return fields


def _members(file: io.FileIO, part: _Part, guard: Guard, label: str, take: Take) -> None:
    stream = tarball.Stream(_source(file, part, label), label)
    for member in tarball.members(stream, label):
        if member.kind == tarball.FILE:
            path, _ = guard.file(member.name, member.size)
            take(Entry(path, member.kind, member.mode), stream.pieces(member.size))
        elif member.kind == tarball.FOLDER:
            path, _ = guard.folder(member.name)
            take(Entry(path, member.kind, member.mode), ())
        elif member.kind == tarball.LINK:
            path, _ = guard.link(member.name, _inside(member.name, member.target))
            take(Entry(path, member.kind, 0o777, member.target), ())
        else:
            path, source, _ = guard.hard_link(member.name, member.target)
            take(Entry(path, member.kind, member.mode, source), ())
    if stream.drain():
        guard.refuse("something follows after its end")


def _inside(name: str, target: str) -> str:
    """Give an absolute target of a link as one that is relative to the link, for the guard to look at."""
    if not target.startswith("/"):
        return target
    depth = len([part for part in name.split("/")[:-1] if part not in {"", "."}])
    return "../" * depth + (target.lstrip("/") or ".")


def _source(file: io.FileIO, part: _Part, label: str) -> tarball.Source:
    packing = part.name.partition(".tar")[2]
    if packing == ".xz":
        return xz_source(file, part.start, part.size, label)
    if packing == ".zst":
        return zstd_source(file, part.start, part.size, label)
    if packing in {"", ".gz"}:
        return _Small(_region(file, part), label, packed=bool(packing))
    raise _refused(label, f"{part.name} is packed in a way that hermetic does not read")


class _Small(tarball.Source):
    """A part that gzip packed, or nothing: old or very small ones."""

    def __init__(self, data: bytes, label: str, *, packed: bool) -> None:
        import gzip

        self._label = label
        self._file: io.BytesIO | gzip.GzipFile = io.BytesIO(data)
        if packed:
            self._file = gzip.GzipFile(fileobj=self._file)

    def readinto(self, buffer: memoryview, /) -> int:
        import zlib

        try:
            return self._file.readinto(buffer)
        except (EOFError, OSError, zlib.error) as error:
            raise IntegrityError(f"{self._label}: the package is damaged: {error}", remedy="fetch it again") from None


def _region(file: io.FileIO, part: _Part) -> bytes:
    file.seek(part.start)
    return file.read(part.size) or b""


def _text(file: io.FileIO, part: _Part, label: str) -> str:
    if part.size > _LONGEST_CONTROL:
        raise _refused(label, f"{part.name} is too large")
    return _region(file, part).decode("ascii", "replace")


def _refused(label: str, reason: str) -> IntegrityError:
    return IntegrityError(f"{label}: {reason}", remedy="fetch it again, or tell the mirror that has it")
