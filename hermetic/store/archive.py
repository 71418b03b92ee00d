"""A defensive look at archives, and unpacking them: ``.conda``, ``.tar.bz2``, wheels and other zips, ``.tar.gz``.

What is refused, with the archive's label and the member's name: absolute paths and ``..``; symbolic links that
lead out of the archive, also through each other; hard links to anything but an earlier file; members written
through a link or below a file; two members of one name; devices, pipes, sparse files; archives that unpack to far
more than they are (see ``Limits``), or can be read in two ways; encrypted and damaged ones. Setuid bits are not
refused: they are dropped, as are all modes but 0755 and 0644, and noted.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hermetic.errors import IntegrityError
from hermetic.plan.files import FileEntry
from hermetic.store import tarball
from hermetic.store.guard import Guard, Limits, printable
from hermetic.store.unpacking import Disk, Names, Sink

CONDA, TAR_BZ2, TAR_GZ, ZIP = "conda", "tar.bz2", "tar.gz", "zip"
_METADATA = "metadata.json"


@dataclass(frozen=True)
class ArchiveListing:
    """What an archive holds: ``entries`` sorted by path, with digests only if it was unpacked.

    ``packed`` and ``unpacked`` count bytes; ``notes`` tell what is odd but no reason to refuse.
    """

    kind: str
    entries: tuple[FileEntry, ...]
    packed: int
    unpacked: int
    notes: tuple[str, ...] = ()


def inspect(path: Path, *, label: str = "", limits: Limits | None = None) -> ArchiveListing:
    """Look through an archive without writing anything. Raises IntegrityError with the reason to refuse it.

    A conda archive is decompressed for that; ``unpack`` makes the same checks on its way.
    """
    return _read(path, Names(), label, limits or Limits(), jobs=1)


def unpack(
    path: Path, dest: Path, *, label: str = "", limits: Limits | None = None, jobs: int = 1, strict: bool = True
) -> ArchiveListing:
    """Unpack an archive into an empty folder; give what is there now, every file with its sha256.

    Nothing is ever written outside of ``dest``. Files get mode 0755 or 0644 and one modification time. With
    ``strict`` a conda package whose files are not what its own ``info/paths.json`` says is refused, else that is a
    note. Raises IntegrityError with the reason; what was unpacked until then stays in ``dest`` for the caller to
    remove. ``jobs`` counts threads for the members of one zip.
    """
    label = label or path.name
    sink = Disk(dest)
    listing = _read(path, sink, label, limits or Limits(), jobs=jobs)
    if listing.kind in {CONDA, TAR_BZ2}:
        from hermetic.store.conda_paths import paths_faults

        faults = paths_faults(dest, listing.entries)
        if faults and strict:
            raise IntegrityError(
                f"{label}: its files are not what its info/paths.json says: {'; '.join(faults[:3])}",
                remedy="it was damaged when it was built: take another build, and tell its channel",
            )
        listing = ArchiveListing(
            listing.kind, listing.entries, listing.packed, listing.unpacked, (*listing.notes, *faults)
        )
    return listing


def _read(path: Path, sink: Sink, label: str, limits: Limits, *, jobs: int) -> ArchiveListing:
    label = label or path.name
    packed = path.stat().st_size
    guard = Guard(label, packed, limits)
    kind = sniff(path, label)
    if kind == CONDA:
        _read_conda(path, guard, sink, label)
    elif kind == ZIP:
        from hermetic.store.zips import read_zip

        read_zip(path, guard, sink, jobs=jobs)
    else:
        from hermetic.store.sources import bz2_source, gzip_source

        with path.open("rb", buffering=0) as file:
            source = bz2_source(file, label) if kind == TAR_BZ2 else gzip_source(file, label)
            _read_tar(source, guard, sink, label)
    guard.finish()
    sink.finish()
    entries = tuple(sorted(sink.entries, key=lambda entry: entry.path))
    return ArchiveListing(kind, entries, packed, guard.unpacked, tuple(guard.notes))


def sniff(path: Path, label: str = "") -> str:
    """Tell an archive's kind by its bytes (a blob's name says nothing). Raises IntegrityError for any other file."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"BZh"):
        return TAR_BZ2
    if head.startswith(b"\x1f\x8b"):
        return TAR_GZ
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        with _zip(path, label or path.name) as archive:
            return CONDA if any(_is_part(name) for name in archive.namelist()) else ZIP
    raise IntegrityError(
        f"{label or path.name}: no archive that hermetic knows", remedy="fetch it again, or check its address"
    )


def _read_conda(path: Path, guard: Guard, sink: Sink, label: str) -> None:
    """Read the newer format of conda packages (CEP, "conda package format v2"): tars with zstd in a stored zip."""
    from hermetic.store.sources import zstd_source

    with _zip(path, label) as archive, path.open("rb", buffering=0) as file:
        names = archive.namelist()
        parts = sorted(name for name in names if _is_part(name))
        if [name.partition("-")[0] for name in parts] != ["info", "pkg"] or len(set(names)) != len(names):
            guard.refuse("a conda package holds one info and one pkg part")
        if _METADATA in names:
            _check_metadata(archive, guard)
        for name in parts:
            info = archive.getinfo(name)
            if info.flag_bits & 0x1:
                guard.refuse("a member is encrypted", name)
            if info.compress_type != zipfile.ZIP_STORED:
                guard.refuse("its parts are packed twice", name)
            with archive.open(info):  # compares the local header's name, and finds the bytes
                length = int.from_bytes(os.pread(file.fileno(), 4, info.header_offset + 26)[0:2], "little")
                extra = int.from_bytes(os.pread(file.fileno(), 4, info.header_offset + 26)[2:4], "little")
            start = info.header_offset + 30 + length + extra
            _read_tar(zstd_source(file, start, info.compress_size, label), guard, sink, label)


def _read_tar(source: tarball.Source, guard: Guard, sink: Sink, label: str) -> None:
    stream = tarball.Stream(source, label)
    marked: set[str] = set()
    for member in tarball.members(stream, label):
        if member.kind == tarball.FILE:
            path, new = guard.file(member.name, member.size)
            sink.folders(new)
            sink.file(path, member.size, member.mode, stream.pieces(member.size))
            if member.mode & 0o6000:
                marked.add(path)
        elif member.kind == tarball.FOLDER:
            _, new = guard.folder(member.name)
            sink.folders(new)
        elif member.kind == tarball.LINK:
            path, new = guard.link(member.name, member.target)
            sink.folders(new)
            sink.link(path, member.target)
        else:
            path, source_path, new = guard.hard_link(member.name, member.target)
            sink.folders(new)
            sink.hard_link(path, source_path)
    if stream.drain():
        guard.refuse("something follows after its end")
    guard.notes += [f"{printable(path)} loses its setuid or setgid bit" for path in sorted(marked)[:20]]


def _is_part(name: str) -> bool:
    return "/" not in name and name.endswith(".tar.zst") and name.startswith(("pkg-", "info-"))


def _check_metadata(archive: zipfile.ZipFile, guard: Guard) -> None:
    info = archive.getinfo(_METADATA)
    try:
        version = json.loads(archive.read(info))["conda_pkg_format_version"] if info.file_size < 1 << 16 else None
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, RuntimeError):
        version = None
    if version != 2:
        guard.refuse("its metadata.json does not say that it is a conda package of format 2")


@contextmanager
def _zip(path: Path, label: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, RuntimeError) as error:
        raise IntegrityError(
            f"{label}: no zip, or damaged: {printable(str(error))}", remedy="fetch it again, or tell who serves it"
        ) from None
