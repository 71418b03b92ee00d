"""Tiny wheels that stand for what conda provides: a name, a version, and no dependencies."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from hermetic.lock.names import Provided


def write_stubs(folder: Path, provided: Iterable[Provided]) -> dict[str, Path]:
    """Write a stub for every project whose version Python's packages know too (PEP 440); give project -> file."""
    from packaging.version import InvalidVersion, Version

    folder.mkdir()
    found = {}
    for project in provided:
        try:
            version = str(Version(project.version))
        except InvalidVersion:
            continue
        stem = f"{project.name.replace('-', '_')}-{version}"
        path = folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(
                f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {version}\n"
            )
            archive.writestr(
                f"{stem}.dist-info/WHEEL",
                "Wheel-Version: 1.0\nGenerator: hermetic\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            archive.writestr(f"{stem}.dist-info/RECORD", "")
        found[project.name] = path
    return found
