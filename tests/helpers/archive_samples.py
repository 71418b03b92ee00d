"""Archives by hand: conda packages of both formats and tars, with any member one wants."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import zstandard


@dataclass(frozen=True)
class Entry:
    """A member of a tar. ``kind`` is one of tarfile's types."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    mode: int = 0o644


def file(name: str, data: bytes = b"data", mode: int = 0o644) -> Entry:
    return Entry(name, data, mode=mode)


def link(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.SYMTYPE, target=target)


def hard_link(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.LNKTYPE, target=target)


def folder(name: str) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE, mode=0o755)


def tar_bytes(entries: Iterable[Entry], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Give a tar; ``tarfile`` writes whatever names it is told."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.size, info.mode, info.linkname = entry.kind, len(entry.data), entry.mode, entry.target
            archive.addfile(info, io.BytesIO(entry.data))
    return buffer.getvalue()


def info_entries(entries: Iterable[Entry], paths: list[dict[str, object]] | None = None) -> list[Entry]:
    """Give a package's info part, with a right ``paths.json`` unless another is given."""
    if paths is None:
        paths = [
            {"_path": e.name, "path_type": "hardlink", "sha256": hashlib.sha256(e.data).hexdigest()}
            for e in entries
            if e.kind == tarfile.REGTYPE
        ]
    index = {"name": "sample", "version": "1.0", "build": "0", "build_number": 0}
    return [
        file("info/index.json", json.dumps(index).encode()),
        file("info/paths.json", json.dumps({"paths": paths, "paths_version": 1}).encode()),
    ]


def write_conda(path: Path, pkg: Iterable[Entry], info: Iterable[Entry] | None = None) -> Path:
    """Write a package of the newer format."""
    pkg = list(pkg)
    pack = zstandard.ZstdCompressor(level=1).compress
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        archive.writestr("info-sample-1.0-0.tar.zst", pack(tar_bytes(info_entries(pkg) if info is None else info)))
        archive.writestr("pkg-sample-1.0-0.tar.zst", pack(tar_bytes(pkg)))
    return path


def write_tar_bz2(path: Path, entries: Iterable[Entry]) -> Path:
    """Write a package of the older format, without ``info``."""
    import bz2

    path.write_bytes(bz2.compress(tar_bytes(entries)))
    return path
