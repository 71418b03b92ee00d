"""What a built prefix says of itself: a small file that tells a no-op build that nothing has to be done.

It is a hint, not a proof: ``verify`` never believes it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

STATE_FILE = "conda-meta/hermetic"
"""The file's place in a prefix. It does not end in ``.json``: conda takes every ``.json`` there for a package."""

PROGRAMS = "Scripts" if os.name == "nt" else "bin"
"""The folder of programs in a prefix of this machine."""

FORMAT = 1


class State(NamedTuple):  # no dataclass: importing that would double what a no-op imports
    """What was built: the environment's key and platform, where, and what became of link scripts."""

    key: str
    platform: str
    prefix: str
    link_scripts: str
    format: int = FORMAT

    def to_text(self) -> str:
        """Give the state as the file holds it."""
        return json.dumps(self._asdict(), indent=2, sort_keys=True) + "\n"


def read_state(prefix: str | os.PathLike[str]) -> State | None:
    """Give what a folder says of itself, or None if it is no prefix of ours (or of another format)."""
    try:
        with open(os.path.join(prefix, STATE_FILE), encoding="utf-8") as file:  # noqa: PTH118, PTH123  the hot path
            values = json.load(file)
        return State(**values) if values.get("format") == FORMAT else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def is_current(prefix: str | os.PathLike[str], key: str) -> bool:
    """Tell whether a prefix says that it is the environment of this key, and still lies where it was built."""
    state = read_state(prefix)
    return state is not None and state.key == key and state.prefix == os.path.abspath(prefix)  # noqa: PTH100


def is_prefix(folder: Path) -> bool:
    """Tell whether a folder is one that we built, of whatever format: only such a one is ever replaced."""
    return (folder / STATE_FILE).is_file()
