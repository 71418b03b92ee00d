"""What a build came to, as text. Imported by every no-op, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermetic.report.instant import stands_text
from hermetic.report.text import counted


def build_text(done: Mapping[str, Any]) -> str:
    """Tell in a line what was built, or that nothing had to be."""
    if not done["changed"]:
        return stands_text(done["name"], done["prefix"])
    packages = f"{counted(done['conda'], 'conda package')}, {counted(done['wheels'], 'wheel')}"
    return f"{done['name']}: built {done['prefix']} ({packages})"
