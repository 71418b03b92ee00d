"""Who and when, as a workspace's records tell people; neither enters a lock, a key or an output."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Give the present moment as RFC 3339 in UTC, to the microsecond."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def user() -> str:
    """Give the user's name; the number of a user who has none, as in many containers."""
    import getpass
    import os

    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return storable(name)[:255]


def storable(text: str) -> str:
    """Give a text that every database takes: what is no Unicode is escaped, and NUL too."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
