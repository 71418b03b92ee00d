"""Write a channel's ``repodata.json`` (CEP 36) from the archives that are there.

Nothing in it tells when it was written: ``indexed_timestamp`` is left out, so ``exclude-newer`` goes by the
packages' own times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hermetic.digest import CHUNK
from hermetic.outputs.channel.archive import atomic_path, read_index


def record(path: Path) -> dict[str, Any]:
    """Give an archive's repodata record: its own index, with digests and size."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            md5.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    index = read_index(path)
    return {**index, "md5": md5.hexdigest(), "sha256": sha256.hexdigest(), "size": size}


def read_records(directory: Path, subdir: str) -> dict[str, dict[str, Any]]:
    """Give the records of a subdir as last written, by file name; none where the index is missing or damaged."""
    try:
        data = json.loads((directory / subdir / "repodata.json").read_bytes())
        records: dict[str, dict[str, Any]] = dict(data["packages.conda"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return records


def write_records(directory: Path, subdir: str, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a subdir's index, whole or not at all; an index that already says the same is left alone."""
    data = {
        "info": {"subdir": subdir},
        "packages": {},
        "packages.conda": {name: dict(records[name]) for name in sorted(records)},
        "removed": [],
        "repodata_version": 1,
    }
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    path = directory / subdir / "repodata.json"
    if path.is_file() and path.read_bytes() == text:
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(text)


def index_channel(directory: Path, subdirs: Iterable[str] = ()) -> None:
    """Index every subdir that holds archives, those asked for, and ``noarch``, which clients expect of any channel."""
    found = {path.parent.name for path in directory.glob("*/*.conda")}
    for subdir in sorted({"noarch", *subdirs, *found}):
        paths = sorted((directory / subdir).glob("*.conda"))
        write_records(directory, subdir, {path.name: record(path) for path in paths})
