"""conda-meta, written from the lock: what conda, mamba and rattler read, and nothing of this machine.

An address in it is made from the channel's name by the clients' own rule, so that a mirror, a credential or a
local path leaves no trace, and the same environment from another mirror is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.outputs.prefix.conda_files import CondaFile
from hermetic.plan.files import LINK, FileEntry

_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This folder can be built again from a lock, so backups may leave it out.
"""


@cache
def channel_base(channel: str) -> str:
    """Give the address that conda clients derive from a channel's name (or the URL that it is)."""
    from rattler import Channel

    return str(Channel(channel).base_url).rstrip("/")


def write_conda_meta(
    staging: Path,
    lock: PlatformLock,
    *,
    files: Mapping[str, Iterable[CondaFile]],
    compiled: Mapping[str, Iterable[FileEntry]],
) -> None:
    """Replace what py-rattler left in ``conda-meta``.

    By package name, ``files`` are what each has in the prefix and ``compiled`` the pyc files made for it. Digests
    are those of the archive's files: one of bytes that hold the prefix would make this file differ by it too.
    """
    (staging / "conda-meta").mkdir(exist_ok=True)
    made = dict(package_record(p, files[p.name], compiled.get(p.name, ())) for p in lock.conda)
    for path, data in (made | environment_files(lock)).items():
        (staging / path).unlink(missing_ok=True)  # py-rattler's own has another mode
        (staging / path).write_bytes(data)


def package_record(
    package: CondaPackage, files: Iterable[CondaFile], compiled: Iterable[FileEntry]
) -> tuple[str, bytes]:
    """Give the path and the bytes of a package's file in ``conda-meta``."""
    paths = [_path(file) for file in files]
    paths += [{"_path": entry.path, "path_type": "pyc_file"} for entry in compiled]
    paths.sort(key=lambda entry: str(entry["_path"]))
    name = f"{package.name}-{package.version}-{package.build}.json"
    return f"conda-meta/{name}", _json(_record(package, paths))


def environment_files(lock: PlatformLock) -> dict[str, bytes]:
    """Give the files that describe the environment as a whole, by path."""
    made = {"CACHEDIR.TAG": _TAG.encode(), "conda-meta/history": b""}
    if lock.variables:
        made["conda-meta/state"] = _json({"version": 1, "env_vars": dict(lock.variables)})
    return made


def _json(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(
        values, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )  # an indent takes 10 times longer
    return (text + "\n").encode()


def _path(file: CondaFile) -> dict[str, Any]:
    entry = file.entry
    if entry.kind == LINK:
        return {"_path": entry.path, "path_type": "softlink"}
    if file.entry_point:
        windows = entry.path.endswith((".exe", "-script.py"))
        kind = "windows_python_entry_point_" if windows else "unix_python_entry_point"
        kind += ("exe" if entry.path.endswith(".exe") else "script") if windows else ""
        return {"_path": entry.path, "path_type": kind}
    path: dict[str, Any] = {"_path": entry.path, "path_type": "hardlink"}
    path |= {"sha256": entry.sha256, "size_in_bytes": entry.size}
    if file.placeholder:
        path |= {"prefix_placeholder": file.placeholder, "file_mode": file.mode}
    return path


def _record(package: CondaPackage, paths: list[dict[str, Any]]) -> dict[str, Any]:
    base = channel_base(package.channel)
    record: dict[str, Any] = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": package.build_number,
        "channel": package.channel,
        "subdir": package.subdir,
        "fn": package.file_name,
        "url": f"{base}/{package.subdir}/{package.file_name}",
        "sha256": package.sha256,
        "size": package.size,
        "depends": list(package.depends),
        "constrains": list(package.constrains),
        "files": [entry["_path"] for entry in paths],
        "paths_data": {"paths_version": 1, "paths": paths},
    }
    optional = {
        "md5": package.md5,
        "noarch": package.noarch,
        "license": package.license,
        "timestamp": package.timestamp,
        "track_features": " ".join(package.track_features),
        "python_site_packages_path": package.python_site_packages_path,
        "purls": list(package.purls),
    }
    return record | {name: value for name, value in optional.items() if value}
