"""Locks straight from archives and channels, without a solver, and prefixes as values that tests can compare."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import zstandard

from hermetic.config import Config
from hermetic.lock.model import CondaPackage, PlatformLock, Wheel
from hermetic.store import Store

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[3] / "shared"))


def index_json(archive: Path) -> dict[str, Any]:
    """Read ``info/index.json`` of an archive without unpacking it."""
    if archive.name.endswith(".conda"):
        with zipfile.ZipFile(archive) as outer:
            member = next(name for name in outer.namelist() if name.rpartition("/")[2].startswith("info-"))
            data = zstandard.ZstdDecompressor().decompressobj().decompress(outer.read(member))
    else:
        data = bz2.decompress(archive.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile("info/index.json")
        assert file
        values: dict[str, Any] = json.load(file)
        return values


def package(archive: Path, stated: Mapping[str, Any] | None = None) -> CondaPackage:
    """Give an archive's entry for a lock, by default with what its own metadata says."""
    index = index_json(archive) if stated is None else stated
    data = archive.read_bytes()
    subdir = index.get("subdir") or "noarch"
    return CondaPackage(
        name=index["name"],
        version=str(index["version"]),
        build=str(index["build"]),
        build_number=index.get("build_number", 0),
        channel="demo",
        subdir=subdir,
        file_name=archive.name,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        depends=tuple(index.get("depends") or ()),
        constrains=tuple(index.get("constrains") or ()),
        noarch=index.get("noarch") if isinstance(index.get("noarch"), str) else "",
        license=index.get("license") or "",
        timestamp=index.get("timestamp") or 0,
    )


def wheel(file: Path) -> Wheel:
    """Give a wheel's entry for a lock: found by its file name, as one that was given by path."""
    data = file.read_bytes()
    name, version = file.name.split("-")[:2]
    return Wheel(
        name=name.replace("_", "-").lower(),
        version=version,
        file_name=file.name,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        url=file.as_uri(),
    )


def lock_of(
    archives: Iterable[Path] = (),
    wheels: Iterable[Path] = (),
    *,
    platform: str = "linux-64",
    variables: Mapping[str, str] | None = None,
) -> PlatformLock:
    """Lock archives and wheels as they lie there."""
    return PlatformLock(
        platform,
        (),
        tuple(package(archive) for archive in archives),
        tuple(wheel(file) for file in wheels),
        tuple((variables or {}).items()),
    )


def addresses(archives: Iterable[Path]) -> dict[str, str]:
    """Give the addresses of archives by digest, as a build takes them."""
    return {hashlib.sha256(archive.read_bytes()).hexdigest(): archive.as_uri() for archive in archives}


def from_channel(channel: Path, *names: str, subdirs: Iterable[str] = ("linux-64", "noarch")) -> list[Path]:
    """Give the newest archive of each name in a channel."""
    found: dict[str, tuple[tuple[int, str], Path]] = {}
    for subdir in subdirs:
        repodata = json.loads((channel / subdir / "repodata.json").read_bytes())
        for file_name, record in {**repodata["packages"], **repodata["packages.conda"]}.items():
            rank = (record.get("timestamp", 0), record["version"])
            if record["name"] in names and rank >= found.get(record["name"], ((-1, ""), Path()))[0]:
                found[record["name"]] = (rank, channel / subdir / file_name)
    return [found[name][1] for name in names]


def config(channel: Path | None = None) -> Config:
    """Give a configuration in which the channel ``demo`` is a folder."""
    return Config(channels={"demo": channel.as_uri()} if channel else {})


def open_store(folder: Path) -> Store:
    """Open a store of its own for a test."""
    return Store.open(folder)


def tree(prefix: Path, *, times: bool = True) -> dict[str, tuple[Any, ...]]:
    """Give everything in a folder, the folder itself too: kind, mode, time and content of each path."""
    found: dict[str, tuple[Any, ...]] = {".": _entry(prefix, times=times)}
    for path in sorted(prefix.rglob("*")):
        found[path.relative_to(prefix).as_posix()] = _entry(path, times=times)
    return found


def _entry(path: Path, *, times: bool) -> tuple[Any, ...]:
    status = path.lstat()
    stamp = status.st_mtime_ns if times else 0
    if path.is_symlink():
        return ("link", stamp, os.readlink(path))  # noqa: PTH115
    if path.is_dir():
        return ("folder", status.st_mode & 0o7777, stamp)
    return ("file", status.st_mode & 0o7777, stamp, path.read_bytes())
