"""A wheel that somebody adds, looked through before it is kept: what is wrong is said now, not at the next build.

The binary distribution format of the PyPA specifications: the file's name, WHEEL, METADATA, and RECORD with the
digest of every member.
"""

from __future__ import annotations

import hashlib
import zipfile
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from hermetic.digest import CHUNK, sha256_file
from hermetic.errors import IntegrityError, MachineError, Place, UsageError
from hermetic.events import SILENT, Reporter, task

_SOURCES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_UNRECORDED = {"RECORD", "RECORD.jws", "RECORD.p7s"}
_GOOD = ("sha256", "sha384", "sha512")
_SMALL = 16 << 20
"""Bytes of a metadata file at most: it is read into memory."""
_NAMED = 3


@dataclass(frozen=True)
class WheelFile:
    """A sound wheel on this machine: its project's normalised name, its version, and what its bytes are."""

    path: Path
    name: str
    version: str
    file_name: str
    sha256: str
    size: int


def read_wheel(path: Path, *, reporter: Reporter = SILENT) -> WheelFile:
    """Look through a wheel, in constant memory.

    Raises UsageError for a file that is none or does not say what its name says, IntegrityError for one that is
    damaged or would write outside of its folder. That the file does not change meanwhile is seen when it is uploaded.
    """
    place = Place(str(path))
    if path.is_dir():
        raise UsageError("it is a folder, not a wheel", place=place, remedy=f"build one: pip wheel --no-deps {path}")
    if not path.is_file():
        raise UsageError("there is no such file", place=place, remedy="check its name")
    name, version = _stated(path.name, place)
    try:
        sha256, size = sha256_file(path), path.stat().st_size
        _look_through(path, name, version, place, reporter)
    except PermissionError:
        raise MachineError("cannot read it", place=place, remedy="check its permissions") from None
    return WheelFile(path, name, version, path.name, sha256, size)


def _stated(file_name: str, place: Place) -> tuple[str, str]:
    """Give the name and version that a wheel's file name says, if it is one."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if file_name.lower().endswith(_SOURCES):
        raise UsageError(
            "it is a source archive, not a wheel",
            place=place,
            remedy=f"build a wheel and add that: pip wheel --no-deps {file_name}",
        )
    if not file_name.endswith(".whl"):
        raise UsageError("it is no wheel: its name does not end in .whl", place=place, remedy="give a wheel")
    from hermetic.spec.private_urls import private_url

    try:
        name, version, _, _ = parse_wheel_filename(file_name)
        private_url("w", "0" * 64, file_name)
    except (InvalidWheelFilename, UsageError):
        raise UsageError(
            f"{file_name!r} is no wheel's name: NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
            place=place,
            remedy="give the file the name that its build gave it; installers refuse another",
        ) from None
    return str(name), str(version)


def _look_through(path: Path, name: str, version: str, place: Place, reporter: Reporter) -> None:
    from hermetic.store.archive import inspect

    inspect(path, label=path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            folder = _metadata_folder(archive, place)
            _check_format(archive, folder, place)
            _check_identity(archive, folder, name, version, place)
            _check_record(archive, folder, place, reporter)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise _damaged(str(error), place) from None


def _metadata_folder(archive: zipfile.ZipFile, place: Place) -> str:
    folders = {name.partition("/")[0] for name in archive.namelist()}
    found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
    if len(found) == 1:
        return found[0]
    raise _unsound(f"it has {len(found)} .dist-info folders, and a wheel has one", place)


def _check_format(archive: zipfile.ZipFile, folder: str, place: Place) -> None:
    stated = _headers(archive, f"{folder}/WHEEL", place)["Wheel-Version"]
    if not stated or not str(stated).strip().startswith("1."):
        raise _unsound(f"its Wheel-Version is {str(stated or 'missing').strip()[:40]}, and 1 is known", place)


def _check_identity(archive: zipfile.ZipFile, folder: str, name: str, version: str, place: Place) -> None:
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    headers = _headers(archive, f"{folder}/METADATA", place)
    inside, number = (str(headers[key] or "").strip() for key in ("Name", "Version"))
    if not inside or not number:
        raise _unsound("its METADATA has no name or no version", place)
    try:
        same = canonicalize_name(inside) == name and Version(number) == Version(version)
    except InvalidVersion:
        same = False
    if not same:
        raise _unsound(f"its name says {name} {version}, and its METADATA {inside[:80]} {number[:80]}", place)
    head = folder.removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(head[0]) != name:
        raise _unsound(f"its metadata is in {folder!r}, which is another project's", place)


def _check_record(archive: zipfile.ZipFile, folder: str, place: Place, reporter: Reporter) -> None:
    """Hold every member to RECORD, as installers do."""
    from installer.records import InvalidRecordEntry, RecordEntry, parse_record_file

    lines = _read(archive, f"{folder}/RECORD", place).decode("utf-8").splitlines()
    try:
        rows = {row[0]: RecordEntry.from_elements(*row) for row in parse_record_file(lines)}
    except (InvalidRecordEntry, ValueError) as error:
        raise _unsound(f"its RECORD cannot be read: {error}", place) from None
    members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    free = {f"{folder}/{name}" for name in _UNRECORDED}
    for problem, names in (
        ("its RECORD does not list", sorted(members.keys() - rows.keys() - free)),
        ("its RECORD lists what it does not hold:", sorted(rows.keys() - members.keys() - free)),
        ("its RECORD has no digest of", sorted(n for n in members.keys() & rows.keys() - free if not rows[n].hash_)),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise _unsound(f"{problem} {', '.join(names[:_NAMED])}{more}", place)
    total = sum(info.file_size for info in members.values())
    with task(reporter, "look", f"looking through {Path(place.file).name}", total, "bytes"):
        for name, info in members.items():
            if name not in free:
                _check_member(archive, info, rows[name], place, reporter)


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, row: Any, place: Place, reporter: Reporter) -> None:
    if row.hash_.name not in _GOOD:
        raise _unsound(f"its RECORD names {info.filename} by {row.hash_.name}, which is too weak", place)
    hasher = hashlib.new(row.hash_.name)
    with archive.open(info) as file:
        while piece := file.read(CHUNK):
            hasher.update(piece)
            reporter.advance("look", len(piece))
    wanted = row.hash_.value
    try:
        same = urlsafe_b64decode(wanted + "=" * (-len(wanted) % 4)) == hasher.digest()
    except ValueError:
        same = False
    if not same or row.size not in {None, info.file_size}:
        raise _damaged(f"{info.filename} is not what RECORD says", place)


def _headers(archive: zipfile.ZipFile, name: str, place: Place) -> Any:
    return BytesHeaderParser().parsebytes(_read(archive, name, place))


def _read(archive: zipfile.ZipFile, name: str, place: Place) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise _unsound(f"it has no {name}", place) from None
    if info.file_size > _SMALL:
        raise _unsound(f"its {name} has {info.file_size} bytes", place)
    return archive.read(info)


def _unsound(reason: str, place: Place) -> UsageError:
    return UsageError(f"no sound wheel: {reason}", place=place, remedy="build it again, and do not rename it")


def _damaged(reason: str, place: Place) -> IntegrityError:
    return IntegrityError(f"a damaged wheel: {reason}", place=place, remedy="copy or build it again")
