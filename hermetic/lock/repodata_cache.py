"""py-rattler's cache of repodata, seen from outside: whether it grows, and what of it is damaged.

An answer of unknown length that is cut short is cached as if it were whole, and from then on the server is only asked
whether it has changed. So what turns out to be damaged must be forgotten before it is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hermetic.errors import NetworkError
from hermetic.secrets import access


class DamagedRepodataError(NetworkError):
    """A channel's repodata, just read or out of the cache, is no repodata."""


def repodata_bytes(cache: Path) -> int:
    """Count the bytes of all files in the cache, those under way included."""
    count = 0
    for path in cache.iterdir():
        with suppress(OSError):
            count += path.stat().st_size
    return count


def forget_damaged(cache: Path, channels: Sequence[str]) -> bool:
    """Remove what the cache holds of some channels (addresses) and is damaged; tell whether there was any."""
    bases = tuple(f"{access(channel).url.rstrip('/')}/" for channel in channels)
    found = False
    for note in cache.glob("*.info.json"):
        content = note.with_name(f"{note.name.removesuffix('.info.json')}.json")
        with suppress(OSError, ValueError, AttributeError):
            if not str(json.loads(note.read_bytes()).get("url", "")).startswith(bases) or _is_repodata(content):
                continue
            content.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
            found = True
    return found


def _is_repodata(path: Path) -> bool:
    try:
        return "packages" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False
