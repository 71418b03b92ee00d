"""Patience with servers: a slow one gets its time, a dead one is named soon.

py-rattler's only time-out covers a whole request, and a large repodata file on a slow line needs minutes. So the
wait is long, but when nothing has come for a while, each channel is asked for a sign of life on the side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from hermetic.errors import NetworkError

T = TypeVar("T")


async def attended(work: Coroutine[Any, Any, T], addresses: Mapping[str, str], patience: float) -> T:
    """Wait for ``work``, which reads channels (name -> address).

    Raises NetworkError when it takes longer than ``patience`` seconds and a channel's server gives no answer, of
    whatever kind, within as many seconds more.
    """
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=patience)
            if done:
                return task.result()
            loop = asyncio.get_running_loop()
            signs = {
                name: loop.run_in_executor(None, _alive, address, patience)
                for name, address in addresses.items()
                if address.startswith(("http://", "https://"))
            }
            for name, sign in signs.items():
                if not await sign and not task.done():
                    raise NetworkError(
                        f"channel {name}: its server does not answer", remedy="try again, or use a mirror"
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
