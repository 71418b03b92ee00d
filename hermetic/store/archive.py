"""A defensive look at archives before anything unpacks them."""

from __future__ import annotations

from pathlib import Path


def inspect(path: Path) -> None:
    """Look at an archive."""
