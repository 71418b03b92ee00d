"""A conda package's own list of its files, ``info/paths.json`` (CEP 34), held against what was unpacked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hermetic.plan.files import FILE, FileEntry
from hermetic.store.guard import printable


def paths_faults(root: Path, entries: Sequence[FileEntry]) -> list[str]:
    """Give what differs between a package's files and its list; packages of old tools have no list.

    Files that the list leaves out are no fault: they are not installed.
    """
    try:
        listed = json.loads((root / "info" / "paths.json").read_bytes())["paths"]
        wanted = [(str(item["_path"]), item) for item in listed]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        return ["info/paths.json cannot be understood"]
    found = {entry.path: entry for entry in entries}
    faults = []
    for path, item in wanted:
        entry = found.get(path)
        if item.get("path_type") == "directory":
            continue
        if entry is None:
            faults.append(f"{printable(path)} is missing")
        elif entry.kind == FILE and item.get("path_type", "hardlink") == "hardlink":
            digest = item.get("sha256")
            if digest and digest != entry.sha256:
                faults.append(f"{printable(path)} has another sha256")
    return faults
