"""Long work beside the event loop, which nobody waits for once the user has interrupted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def aside(call: Callable[[], T]) -> T:
    """Await a call in a thread of its own.

    The loop's own threads are joined before an interrupt gets through, however long they take; this one is not, and
    ends with the process.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def give(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if answer.done() else settle())

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  it is raised where it is awaited
            raised = error
            give(lambda: answer.set_exception(raised))
        else:
            give(lambda: answer.set_result(result))

    threading.Thread(target=work, name="aside", daemon=True).start()
    return await answer
