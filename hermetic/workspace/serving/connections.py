"""Connections of the file server: who holds one, for how long, and how a file's bytes leave through it.

uvicorn's protocol does HTTP; this adds what a server on the open net needs: a time limit for a request to arrive and
for a client to take what it asked for, a limit of connections, and the kernel's own copying (``sendfile``) without TLS.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hermetic.workspace.serving.limits import UNKNOWN, Proxies, counted

EXTENSION = "hermetic.file"
"""The name in an ASGI scope's ``extensions`` under which a request's Connection stands."""
_PIECE = 4 << 20
"""Bytes that the kernel is given at a time: between two pieces others are served, and revocations are looked for."""
_TLS_PIECE = 1 << 18


class GoneError(Exception):
    """The client went away, took too long, or may not have the rest: the connection is closed."""


@dataclass(frozen=True)
class Times:
    """Seconds: for a TLS handshake or a head to arrive, for one piece of a file to be taken, between two requests."""

    head: float = 10.0
    stall: float = 30.0
    idle: int = 15


@dataclass
class Connections:
    """Who is connected. ``most`` counts connections, ``most_each`` those of one address that is no trusted proxy's."""

    most: int = 512
    most_each: int = 64
    proxies: Proxies = field(default_factory=Proxies)
    times: Times = field(default_factory=Times)
    _held: Counter[str] = field(default_factory=Counter)

    def admit(self, address: str) -> str:
        """Count a new connection; give what it is counted under, empty if it is one too many."""
        client = counted(address)
        if self._held.total() >= self.most or (self._held[client] >= self.most_each and address not in self.proxies):
            return ""
        self._held[client] += 1
        return client

    def leave(self, client: str) -> None:
        """Count a connection no more."""
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]


class _Length:
    """Bytes that leave by another way than through h11, which still has to count them."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


class Connection(H11Protocol):
    """One connection. ``board`` is set by ``connection_class``, because uvicorn makes the instances."""

    board: Connections

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._counted = ""
        self._deadline: asyncio.TimerHandle | None = None
        answer = self.app

        async def answer_in_time(scope: dict[str, Any], receive: Any, send: Any) -> None:
            self._stop_waiting()
            await answer({**scope, "extensions": {EXTENSION: self}}, receive, send)

        self.app = answer_in_time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or close at once if there are too many."""
        super().connection_made(transport)
        self._counted = self.board.admit(self.client[0] if self.client else UNKNOWN)
        if self._counted:
            self._wait(self.board.times.head)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        if self._counted:
            self.board.leave(self._counted)
            self._counted = ""
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request: uvicorn for its first byte, this for its last one."""
        self._wait(self.timeout_keep_alive + self.board.times.head)
        super().on_response_complete()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    async def send_file(self, file: BinaryIO, offset: int, count: int, may_go_on: Callable[[], bool]) -> None:
        """Send bytes of a file as the body of the answer that was begun. Raises GoneError, with the connection closed.

        ``may_go_on`` is asked before every piece.
        """
        try:
            await self._send_pieces(file, offset, offset + count, may_go_on)
            self.conn.send_with_data_passthrough(h11.Data(data=_Length(count)))  # type: ignore[arg-type]
        except (OSError, TimeoutError, GoneError) as error:
            self.transport.abort()
            raise GoneError from error
        except BaseException:
            self.transport.abort()
            raise

    async def _send_pieces(self, file: BinaryIO, offset: int, end: int, may_go_on: Callable[[], bool]) -> None:
        piece = _TLS_PIECE if self.scheme == "https" else _PIECE
        while offset < end:
            if self.transport.is_closing() or not may_go_on():
                raise GoneError
            async with asyncio.timeout(self.board.times.stall):
                sent = await self._send(file, offset, min(piece, end - offset))
            if not sent:
                raise GoneError  # the file became shorter
            offset += sent

    async def _send(self, file: BinaryIO, offset: int, length: int) -> int:
        if self.scheme == "http":
            return await self.loop.sendfile(self.transport, file, offset, length)
        data = os.pread(file.fileno(), length, offset)
        self.transport.write(data)
        await self.flow.drain()
        return len(data)


def connection_class(board: Connections) -> type[Connection]:
    """Give the class that uvicorn makes connections of, all of them on one board."""
    return type("BoundConnection", (Connection,), {"board": board})
