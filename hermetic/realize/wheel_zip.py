"""Wheels in one canonical form: what a backend built twice from one source has one digest.

Entries are sorted, the metadata folder last (PyPA binary distribution format), RECORD is made anew, times and modes
are fixed. Nothing is compressed: the bytes that a compressor gives depend on its version, and the digest of a built
wheel has to be the same on another machine.
"""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from hashlib import sha256
from pathlib import Path, PurePosixPath

from hermetic.errors import BuildError

_TIME = (1980, 1, 2, 0, 0, 0)  # the day of plan.files.MTIME
_UNIX = 3
_LARGEST = 16 << 30


@dataclass(frozen=True)
class WheelMetadata:
    """What a wheel's METADATA says: the project's name as it writes it, and its version."""

    name: str
    version: str


def canonical_wheel(built: Path, target: Path) -> WheelMetadata:
    """Write a wheel in its canonical form. Raises BuildError for a file that is no wheel."""
    try:
        with zipfile.ZipFile(built) as source:
            return _rewrite(source, built.name, target)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeError) as e:
        raise _unsound(built.name, str(e)) from None


def _rewrite(source: zipfile.ZipFile, name: str, target: Path) -> WheelMetadata:
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in source.infolist():
        if entry.is_dir():
            continue
        pure = PurePosixPath(entry.filename)
        if pure.is_absolute() or ".." in pure.parts or str(pure) != entry.filename or "\\" in entry.filename:
            raise _unsound(name, f"it would write outside of its folder: {entry.filename!r}")
        if entry.filename in entries:
            raise _unsound(name, f"it holds {entry.filename} twice")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _unsound(name, f"{entry.filename} is a symbolic link, which wheels cannot hold")
        entries[entry.filename] = entry
    if sum(entry.file_size for entry in entries.values()) > _LARGEST:
        raise _unsound(name, f"it would take more than {_LARGEST >> 30} GiB")
    folder = _metadata_folder(name, entries)
    record = f"{folder}/RECORD"
    rows = [(record, "", "")]
    order = sorted(entries, key=lambda path: (path.startswith(f"{folder}/"), path))
    with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED) as archive:
        for path in order:
            if path == record:
                continue
            data = source.read(entries[path])
            rows.append((path, f"sha256={_urlsafe(data)}", str(len(data))))
            archive.writestr(_entry(path, executable=bool(entries[path].external_attr >> 16 & stat.S_IXUSR)), data)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(sorted(rows))
        archive.writestr(_entry(record), text.getvalue())
    return _metadata(name, source.read(f"{folder}/METADATA"))


def _metadata_folder(name: str, entries: dict[str, zipfile.ZipInfo]) -> str:
    folders = {path.partition("/")[0] for path in entries}
    found = [folder for folder in folders if folder.endswith(".dist-info")]
    if len(found) != 1:
        raise _unsound(name, f"it has {len(found)} .dist-info folders")
    for file in ("METADATA", "WHEEL"):
        if f"{found[0]}/{file}" not in entries:
            raise _unsound(name, f"it has no {file}")
    return found[0]


def _metadata(name: str, data: bytes) -> WheelMetadata:
    headers = BytesHeaderParser().parsebytes(data)
    stated = (headers["Name"], headers["Version"])
    if not all(stated):
        raise _unsound(name, "its METADATA has no name or no version")
    return WheelMetadata(*(str(value).strip() for value in stated))


def _entry(path: str, *, executable: bool = False) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _TIME)
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    return entry


def _urlsafe(data: bytes) -> str:
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()


def _unsound(name: str, reason: str) -> BuildError:
    return BuildError(f"the build gave {name}, which is no sound wheel: {reason}", remedy="tell the project's makers")
