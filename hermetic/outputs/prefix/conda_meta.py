"""conda-meta, written anew from the lock: what conda, mamba and rattler read, and nothing of this machine.

An address in it is made from the channel's name by the clients' own rule, so that a mirror, a credential or a
local path leaves no trace, and the same environment from another mirror is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.plan.files import FileEntry

_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache: it can be built again from a lock, so backups may leave it out.
"""


@cache
def channel_base(channel: str) -> str:
    """Give the address that conda clients derive from a channel's name (or the URL that it is), without ``/`` at the end."""
    from rattler import Channel

    return str(Channel(channel).base_url).rstrip("/")


def write_conda_meta(
    staging: Path,
    lock: PlatformLock,
    *,
    digest: Callable[[str], FileEntry | None],
    compiled: Mapping[str, Iterable[FileEntry]],
) -> None:
    """Rewrite what py-rattler left in ``conda-meta``.

    ``digest`` gives what is known of a path of the prefix; ``compiled`` the pyc files made for each package.
    """
    folder = staging / "conda-meta"
    folder.mkdir(exist_ok=True)
    for package in lock.conda:
        path = folder / f"{package.name}-{package.version}-{package.build}.json"
        linked = json.loads(path.read_bytes())
        path.unlink()
        paths = [_path(entry, digest) for entry in linked["paths_data"]["paths"]]
        paths += [
            {"_path": e.path, "path_type": "pyc_file", "sha256": e.sha256, "size_in_bytes": e.size}
            for e in compiled.get(package.name, ())
        ]
        paths.sort(key=lambda entry: str(entry["_path"]))
        record = _record(package, paths)
        path.write_text(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "history").write_text("")
    (staging / "CACHEDIR.TAG").write_text(_TAG)
    if lock.variables:
        state = {"version": 1, "env_vars": dict(lock.variables)}
        (folder / "state").write_text(json.dumps(state, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _path(entry: dict[str, Any], digest: Callable[[str], FileEntry | None]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}


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
