"""Patience with servers: a slow one gets its time, a dead one is named soon.

py-rattler's only time-out covers a whole request, and a large repodata file on a slow line needs minutes. So the
wait is long as long as something comes or something is computed; when neither is so for a while, each channel is
asked for a sign of life on the side, and one that greets but sends nothing more is given up too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from hermetic.errors import NetworkError

T = TypeVar("T")


_BUSY = 0.05
"""The share of one processor from which on we are computing, and not waiting."""


async def attended(
    work: Coroutine[Any, Any, T], addresses: Mapping[str, str], patience: float, arrived: Callable[[], int]
) -> T:
    """Wait for ``work``, which reads channels (name -> address); ``arrived`` counts the bytes that have come so far.

    Raises NetworkError when ``patience`` seconds bring nothing and a channel's server gives no answer of whatever
    kind within as many seconds more; and when a second such time brings nothing although all servers answer.
    """
    remote = {name: url for name, url in addresses.items() if url.startswith(("http://", "https://"))}
    task = asyncio.ensure_future(work)
    try:
        idle = 0
        while True:
            before, computed, since = arrived(), time.process_time(), time.monotonic()
            done, _ = await asyncio.wait({task}, timeout=patience)
            if done:
                return task.result()
            busy = time.process_time() - computed > _BUSY * (time.monotonic() - since)
            idle = 0 if busy or arrived() != before else idle + 1
            if not idle:
                continue
            loop = asyncio.get_running_loop()
            signs = {name: loop.run_in_executor(None, _alive, url, patience) for name, url in remote.items()}
            for name, sign in signs.items():
                if not await sign and not task.done():
                    raise NetworkError(
                        f"channel {name}: its server does not answer", remedy="try again, or use a mirror"
                    )
            if idle > 1 and remote and not task.done():
                which = " or ".join(remote)
                raise NetworkError(
                    f"channel {which}: its server does not answer to the end: nothing came for {idle * patience:g} "
                    "seconds",
                    remedy="try again, or use a mirror",
                )
    finally:
        task.cancel()


def _alive(address: str, timeout: float) -> bool:
    """Tell whether a server answers at all. An error is an answer too, and the work itself will tell it better."""
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(f"{address}/noarch/repodata.json", method="HEAD"), timeout=timeout):  # noqa: S310
            return True
    except URLError as error:
        return not isinstance(error.reason, TimeoutError)
    except TimeoutError:
        return False
    except (OSError, HTTPException):
        return True
