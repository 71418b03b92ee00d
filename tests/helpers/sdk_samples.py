"""What several tests of the Python API need."""

from __future__ import annotations

import re
from pathlib import Path


def needed_glibc(channel: Path) -> str:
    """Read from the repodata what the channel's packages demand of a machine."""
    found = re.findall(r"__glibc >=([\d.]+)", (channel / "linux-64" / "repodata.json").read_text())
    return max(found, key=lambda version: [int(part) for part in version.split(".")])
