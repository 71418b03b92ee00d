"""Leaving the interpreter safely after py-rattler has worked in it.

py-rattler's runtime threads hand their last results over a moment after the caller has them. An interpreter
that is torn down in that moment crashes (8 % of runs that solve and end at once, measured). The command line
leaves without tear-down; a user's program must have its own, so it waits here until those threads are at rest.
"""

from __future__ import annotations

import atexit
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

_TASKS = Path("/proc/self/task")
_THREAD = "tokio-"
_STEP = 0.002
_CALM_STEPS = 5
_BLIND = 0.05
"""Seconds to wait where threads cannot be watched (macOS, Windows)."""
_LONGEST = 2.0


@cache
def settle_at_exit() -> None:
    """See to it that the interpreter's end waits for py-rattler's threads."""
    atexit.register(settle)


def settle() -> None:
    """Wait until no runtime thread has run for a while; the interpreter's lock is free meanwhile, so they can."""
    if not _TASKS.is_dir():
        time.sleep(_BLIND)
        return
    calm, before = 0, None
    end = time.monotonic() + _LONGEST
    while calm < _CALM_STEPS and time.monotonic() < end:
        time.sleep(_STEP)
        now = _activity()
        calm = calm + 1 if now == before and all(state == "S" for state, _ in now.values()) else 0
        before = now


def _activity() -> dict[str, tuple[str, str]]:
    """Give each runtime thread's state and how often it has run."""
    found = {}
    for task in _TASKS.iterdir():
        with suppress(OSError):  # a thread that has just ended
            if (task / "comm").read_text().startswith(_THREAD):
                lines = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
                found[task.name] = (lines["State"][0], lines["voluntary_ctxt_switches"])
    return found
