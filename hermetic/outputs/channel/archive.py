"""Write one ``.conda`` archive (CEP 35: a zip of two zstd tars), the same bytes for the same content.

Every time, owner, mode, order and compression setting is fixed here, so an archive depends on nothing but
its metadata and its files.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from hermetic.digest import CHUNK, key, sha256_bytes, sha256_file

PLACEHOLDER = ("/opt/hermetic" + "_placehold" * 25)[:255]
"""The prefix that archives hold in place of the one they will be installed to: 255 bytes, conda's longest."""

EPOCH = 1_700_000_000
"""Seconds since 1970: the time of every file, and of a package that names no other."""

LEVEL = 6
"""zstd level. numpy and pandas, 101 MB: level 3 gives 25.7 MB in 1.1 s, 6 23.3 MB in 2.0 s, 12 21.9 MB in 7.2 s."""

_ZIP64 = 1 << 31
"""Bytes in a tar from where on its zip entry gets room for sizes beyond 4 GiB; small archives stay plain."""

_ZIP_TIME = (2023, 11, 14, 22, 13, 20)


@dataclass(frozen=True)
class File:
    """One file of a package: where it goes below the prefix, and its content.

    ``content`` is bytes, or a file to read, or (for a symbolic link) empty with ``link`` set. ``prefix``
    says that the content holds ``PLACEHOLDER``: as ``text``, or as a zero-padded string of a ``binary``.
    """

    path: str
    content: bytes | Path = b""
    executable: bool = False
    link: str = ""
    prefix: str = ""

    def read(self) -> bytes:
        """Give the whole content."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def size(self) -> int:
        """Give the content's size in bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def digest(self) -> tuple[str, int]:
        """Give the content's sha256 and its size in bytes."""
        content = self.content
        return (sha256_bytes(content) if isinstance(content, bytes) else sha256_file(content)), self.size()


@dataclass(frozen=True)
class Package:
    """What a conda package says of itself (CEP 34, ``info/index.json``), and the little more that installers read.

    ``timestamp`` counts milliseconds since 1970. ``noarch`` is ``""``, ``"python"`` or ``"generic"``;
    ``entry_points`` (``name = module:function``) are for noarch python packages only, which carry no scripts.
    """

    name: str
    version: str
    build: str
    subdir: str
    build_number: int = 0
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str = ""
    license: str = ""
    timestamp: int = EPOCH * 1000
    purls: tuple[str, ...] = ()
    track_features: tuple[str, ...] = ()
    entry_points: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    python_site_packages_path: str = ""

    @property
    def stem(self) -> str:
        """``name-version-build``: the archive's name without its extension."""
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def file_name(self) -> str:
        """The archive's name."""
        return f"{self.stem}.conda"

    def index(self) -> dict[str, Any]:
        """Give ``info/index.json``; optional keys only where they say something."""
        system, _, machine = self.subdir.partition("-")
        index: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": self.build_number,
            "subdir": self.subdir,
            "depends": list(self.depends),
            "constrains": list(self.constrains),
            "timestamp": self.timestamp,
            "arch": {"64": "x86_64", "32": "x86"}.get(machine, machine) or None,
            "platform": system if machine else None,
        }
        optional = {
            "license": self.license,
            "noarch": self.noarch,
            "purls": sorted(self.purls),
            "track_features": " ".join(self.track_features),
            "python_site_packages_path": self.python_site_packages_path,
        }
        return index | {name: value for name, value in optional.items() if value}


FORMAT = 2
"""Version of what packages made from this machine and from wheels look like; raise it when their bytes change."""


def build_hash(inputs: Any) -> str:
    """Give the short hash that a build string carries: other inputs, other file name, never other bytes under one."""
    return "h" + key(f"channel-package/{FORMAT}", inputs)[:7]


def write_conda(
    directory: Path, package: Package, files: Iterable[File], *, info: Iterable[File] = (), level: int = LEVEL
) -> Path:
    """Write a package's archive to ``directory/SUBDIR``, whole or not at all, and give its path.

    ``info`` adds files to the archive's metadata (``licenses/LICENSE``); they replace what would be written
    under their names, so a test can make a wrong one.
    """
    content = sorted(files, key=lambda file: file.path)
    metadata = {file.path: file for file in _metadata(package, content)} | {file.path: file for file in info}
    infos = [File(f"info/{name}", metadata[name].content) for name in sorted(metadata)]
    target = directory / package.subdir / package.file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member("metadata.json"), _json({"conda_pkg_format_version": 2}))
        # the order of CEP 35: metadata first or last lets a reader with ranges find it; installers take any
        _write_tar(archive, f"pkg-{package.stem}.tar.zst", content, level)
        _write_tar(archive, f"info-{package.stem}.tar.zst", infos, level)
    return target


def read_index(path: Path) -> dict[str, Any]:
    """Read ``info/index.json`` out of an archive that we wrote."""
    import zstandard

    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.startswith("info-"))
        data = zstandard.ZstdDecompressor().decompressobj().decompress(archive.read(name))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile("info/index.json")
        assert member is not None
        index: dict[str, Any] = json.load(member)
    return index


def _metadata(package: Package, files: Sequence[File]) -> Iterable[File]:
    yield File("index.json", _json(package.index()))
    yield File("about.json", _json({"license": package.license, **package.about}))
    yield File("files", "".join(f"{file.path}\n" for file in files).encode())
    yield File("paths.json", _json({"paths": list(_paths(files)), "paths_version": 1}))
    if package.noarch == "python":
        entry_points = sorted(package.entry_points)
        link = {"noarch": {"type": "python", "entry_points": entry_points}, "package_metadata_version": 1}
        yield File("link.json", _json(link))
    prefixed = [f'{PLACEHOLDER} {file.prefix} "{file.path}"\n' for file in files if file.prefix]
    if prefixed:
        yield File("has_prefix", "".join(prefixed).encode())  # what clients older than paths.json read


def _paths(files: Sequence[File]) -> Iterable[dict[str, Any]]:
    """Give the entries of ``info/paths.json``: a link has the digest of the file that it leads to."""
    known = {file.path: file for file in files}
    for file in files:
        target = file
        for _ in range(40):
            if not target.link:
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(target.path), target.link))
            target = known.get(path, File(path))
        sha256, size = target.digest()
        entry: dict[str, Any] = {
            "_path": file.path,
            "path_type": "softlink" if file.link else "hardlink",
            "sha256": sha256,
            "size_in_bytes": size,
        }
        if file.prefix:
            entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": file.prefix}
        yield entry


def _write_tar(archive: zipfile.ZipFile, name: str, files: Sequence[File], level: int) -> None:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
    size = sum(file.size() for file in files)
    with (
        archive.open(_member(name), "w", force_zip64=size > _ZIP64) as member,
        compressor.stream_writer(member, closefd=False) as stream,
        tarfile.open(fileobj=cast("IO[bytes]", stream), mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as tar,
    ):
        for file in files:
            entry = tarfile.TarInfo(file.path)
            entry.mtime = EPOCH
            if file.link:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link, 0o777
                tar.addfile(entry)
                continue
            entry.mode = 0o755 if file.executable else 0o644
            entry.size = file.size()
            source: IO[bytes]
            with io.BytesIO(file.content) if isinstance(file.content, bytes) else file.content.open("rb") as source:
                tar.addfile(entry, source)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _ZIP_TIME)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
