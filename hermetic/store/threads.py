"""Things that wait for servers, side by side: the first error, and Ctrl-C, end them all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TypeVar

from hermetic.errors import IntegrityError
from hermetic.store.http import Stopped

T = TypeVar("T")

_GRACE = 2.0
"""Seconds that threads get to stop tidily when another one has failed."""


def side_by_side(act: Callable[[T], object], items: Iterable[T], jobs: int, stop: threading.Event) -> None:
    """Do something with every item, ``jobs`` at a time; raise the first error, wrong bytes before all others.

    ``stop`` is set at the end: whoever sees it gives up, by Stopped. The threads are daemons: one that waits for a
    silent server keeps nobody, and ends when the server speaks again or the process ends.
    """
    todo = deque(items)
    errors: list[BaseException] = []
    ends: SimpleQueue[None] = SimpleQueue()

    def serve() -> None:
        try:
            while not stop.is_set():
                act(todo.popleft())
        except (IndexError, Stopped):
            pass
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
            errors.append(error)
            stop.set()
        ends.put(None)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(min(jobs, len(todo)))]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            ends.get()
            if errors:
                break
    finally:
        stop.set()
        until = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
    if errors:
        raise min(errors, key=lambda error: not isinstance(error, IntegrityError))
