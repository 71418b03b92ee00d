"""What is said when there was nothing to do. Imported by every no-op, so it imports nothing."""

from __future__ import annotations


def stands_text(name: str, prefix: str) -> str:
    """Tell that an environment is built already."""
    return f"{name}: nothing to do, {prefix} is up to date"


def checked_text(name: str, path: str) -> str:
    """Tell that a lock fits its spec."""
    return f"{name}: {path} fits its spec"
