"""Tiny wheels that stand for what conda provides: a name, a version, and no dependencies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from secrets import token_hex

from hermetic.lock.names import Provided

_PLAIN = re.compile(r"\d+(\.\d+)*(\.post\d+)?\Z")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pip_version(conda_version: str) -> str:
    """Give a conda version as PEP 440 knows it; of one that it does not know, the numbers that it begins with."""
    if _PLAIN.match(conda_version):
        return conda_version
    from packaging.version import InvalidVersion, Version

    for text in (conda_version, conda_version.replace("_", ".post", 1), conda_version.replace("_", ".")):
        try:
            return str(Version(text))
        except InvalidVersion:
            continue
    numbers = re.match(r"\d+(\.\d+)*", conda_version)
    return numbers[0] if numbers else "0"


def write_stubs(folder: Path, provided: Iterable[Provided]) -> dict[str, Path]:
    """Give a stub for every project, written where it is not there yet: project -> file.

    A stub's bytes follow from its name, so the folder can be kept and shared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in folder.iterdir()}
    found = {}
    for project in provided:
        version = pip_version(project.version)
        stem = f"{project.name.replace('-', '_')}-{version}"
        path = folder / f"{stem}-py3-none-any.whl"
        if path.name not in there:
            temporary = folder / f".{path.name}.{os.getpid()}.{token_hex(4)}"
            temporary.write_bytes(_stub(stem, project.name, version))
            temporary.replace(path)
        found[project.name] = path
    return found


def _stub(stem: str, name: str, version: str) -> bytes:
    members = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: hermetic\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    import zipfile

    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{member}", _EPOCH), text)
    return data.getvalue()
