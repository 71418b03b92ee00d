"""Find the licence texts of this machine's libraries, where Debian's package manager knows them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

_DOCUMENTATION = Path("/usr/share/doc")


def system_licenses(paths: Iterable[Path]) -> dict[Path, Path]:
    """Give the copyright file for each library that a Debian package owns; the others are left out."""
    owners: dict[str, Path] = {}
    for path in paths:
        real = str(path.resolve())
        # with a merged /usr, the package may have it listed without
        owners |= dict.fromkeys((str(path), real, real.removeprefix("/usr")), path)
    query = shutil.which("dpkg-query")
    if not query or not owners:
        return {}
    done = subprocess.run(
        [query, "--search", *sorted(owners)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    found: dict[Path, Path] = {}
    for line in sorted(done.stdout.splitlines()):
        package, separator, name = line.partition(": ")
        copyright_file = _DOCUMENTATION / package.split(":")[0] / "copyright"
        if separator and name in owners and copyright_file.is_file():
            found.setdefault(owners[name], copyright_file)
    return found
