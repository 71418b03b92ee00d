"""The builder's process: it splits itself off from whoever started it, builds, and keeps what came of it.

It is started with its job on standard input, a JSON object. Nothing heavy is imported before it stands alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from typing import Any


def main() -> None:
    """Do the job that stands on standard input, in a process of its own; returns in no process."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read() or b"{}")
    if not job or os.fork():
        os._exit(0)  # our parent need not wait: the system looks after the child
    os.set_inheritable(job["hold"], False)  # what we start must not live on as a builder
    words = os.dup(2)  # the held file: for what is said where there is no log
    faulthandler.enable(os.fdopen(words, "wb", closefd=False))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1):
        os.dup2(nowhere, handle)
    try:
        from hermetic.workspace.builds.running import run

        run(job)
    except BaseException:  # noqa: BLE001  the last words: there is nobody left to tell
        import traceback

        from hermetic.secrets import redact

        os.write(words, redact(traceback.format_exc()).encode())
        os._exit(1)
    os._exit(0)  # not by the interpreter's own way: the solver's threads race with its tear-down
