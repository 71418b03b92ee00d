"""Sdists, unpacked defensively: nothing leaves the folder, nothing is larger than it should be (PEP 625, PEP 721).

What is written depends on the archive only: modes become 0644 or 0755, owners ours, and times are kept (builds with
make need their order) but never lie before 1980, which zip files cannot hold.
"""

from __future__ import annotations

import errno
import lzma
import os
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from hermetic.digest import CHUNK
from hermetic.errors import IntegrityError
from hermetic.plan.files import FILE, FOLDER, LINK, MTIME

_MOST_ENTRIES = 500_000
_LARGEST = 16 << 30
_SMALL = 256 << 20
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, LookupError, NotImplementedError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip
_LATEST = (1 << 32) - 1
_OF_THE_ARCHIVE = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ}
"""What the system says of names that cannot be: a file that is a folder too, a name that is too long."""
_RATIO = 200
"""An archive may grow so many times; only small ones may grow more."""


@dataclass(frozen=True)
class _Entry:
    path: str
    kind: str
    size: int
    executable: bool
    mtime: int
    read: Callable[[], IO[bytes]]
    target: str = ""


def unpack_sdist(archive: Path, folder: Path, name: str) -> Path:
    """Unpack an sdist (any tar or zip) into an empty folder, and give the folder that holds the project.

    ``name`` is what messages call it. Raises IntegrityError for an archive that is damaged, leaves its folder, holds
    what is no file, or is a bomb.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _write(_zip_entries(opened), folder, _limit(archive), name)
        else:
            with tarfile.open(archive, errorlevel=2) as tar:
                _write(_tar_entries(tar), folder, _limit(archive), name)
    except OSError as error:
        if error.errno is not None and error.errno not in _OF_THE_ARCHIVE:
            raise
        raise _refused(name, f"it is damaged: {error.strerror or error}") from None
    except _DAMAGED as error:
        raise _refused(name, f"it cannot be read: {error}") from None
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else folder


def _limit(archive: Path) -> int:
    return min(_LARGEST, max(_SMALL, _RATIO * archive.stat().st_size))


def _tar_entries(tar: tarfile.TarFile) -> Iterator[_Entry]:
    for member in tar:
        if member.isreg() or member.islnk():
            kind = FILE
        elif member.isdir():
            kind = FOLDER
        elif member.issym():
            kind = LINK
        else:
            raise tarfile.TarError(f"{member.name!r} is neither file, folder nor link")

        def read(member: tarfile.TarInfo = member) -> IO[bytes]:
            opened = tar.extractfile(member)  # of a hard link: the file that it names, which is before it
            if opened is None:
                raise tarfile.TarError(f"{member.name} has no content")
            return opened

        target = member.linkname if member.issym() else ""
        yield _Entry(member.name, kind, member.size, bool(member.mode & 0o100), int(member.mtime), read, target)


def _zip_entries(opened: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in opened.infolist():
        mode = info.external_attr >> 16
        kind = FOLDER if info.is_dir() else LINK if stat.S_ISLNK(mode) else FILE
        target = os.fsdecode(opened.read(info)) if kind == LINK and info.file_size < 4096 else ""

        def read(info: zipfile.ZipInfo = info) -> IO[bytes]:
            return opened.open(info)

        moment = timegm((*info.date_time, 0, 0, 0)) if info.date_time[1] and info.date_time[2] else MTIME
        yield _Entry(info.filename, kind, info.file_size, bool(mode & 0o100), moment, read, target)


def _write(entries: Iterator[_Entry], folder: Path, limit: int, name: str) -> None:
    links: set[PurePosixPath] = set()
    folders: dict[Path, int] = {}
    written = 0
    for number, entry in enumerate(entries):
        path = PurePosixPath(entry.path)
        if not path.parts:
            continue  # "./"
        if path.is_absolute() or ".." in path.parts or "\0" in entry.path:
            raise _refused(name, f"{entry.path!r} lies outside of it")
        if any(above in links for above in path.parents):
            raise _refused(name, f"{entry.path!r} lies behind a link")
        if number >= _MOST_ENTRIES:
            raise _refused(name, f"it holds more than {_MOST_ENTRIES} files")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == FOLDER:
            target.mkdir(exist_ok=True)
            folders[target] = entry.mtime
            continue
        if target.is_dir() and not target.is_symlink():
            raise _refused(name, f"{entry.path!r} is a folder and a file")
        target.unlink(missing_ok=True)  # of two with one name the later counts, as for tar
        links.discard(path)
        if entry.kind == LINK:
            _check_link(path, entry.target, name)
            target.symlink_to(entry.target)
            links.add(path)
        else:
            written += _write_file(entry, target, limit - written, name)
        _settle(target, entry.mtime)
    for made, moment in sorted(folders.items(), reverse=True):
        _settle(made, moment)


def _write_file(entry: _Entry, target: Path, room: int, name: str) -> int:
    """Write a file and give its size, whatever the archive says of it."""
    with entry.read() as source, target.open("xb") as file:
        while piece := source.read(min(CHUNK, room + 1)):
            room -= len(piece)
            if room < 0:
                raise _refused(name, f"it grows more than {_RATIO} times when it is unpacked")
            file.write(piece)
        size = file.tell()
    target.chmod(0o755 if entry.executable else 0o644)
    return size


def _check_link(path: PurePosixPath, target: str, name: str) -> None:
    reached = posixpath.normpath(posixpath.join(str(path.parent), target))
    if not target or target.startswith("/") or reached == ".." or reached.startswith("../"):
        raise _refused(name, f"the link {str(path)!r} leads out of it")


def _settle(path: Path, moment: int) -> None:
    moment = max(MTIME, min(moment, _LATEST))
    os.utime(path, (moment, moment), follow_symlinks=False)


def _refused(name: str, reason: str) -> IntegrityError:
    return IntegrityError(f"{name} is no sdist that can be unpacked: {reason}", remedy="choose another version of it")
