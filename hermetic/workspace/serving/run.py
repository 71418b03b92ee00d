"""Running the file server, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from hermetic.workspace.serving.app import FileServer, Seen
from hermetic.workspace.serving.connections import Connections, Times, connection_class
from hermetic.workspace.serving.keys import KeyFile, WatchedKeys
from hermetic.workspace.serving.limits import Proxies, RateLimit
from hermetic.workspace.serving.listening import BACKLOG, address_of, allow_files, listen, tls_context

PORT = 8642
_LARGEST_HEAD = 16 << 10
"""Bytes of a request's line and headers."""
_LONGEST_PATH = 300


@dataclass(frozen=True)
class Settings:
    """How a workspace is served. ``rate`` and ``burst`` count requests of one client, a second and at once."""

    host: str = "127.0.0.1"
    port: int = PORT
    certificate: Path | None = None
    private_key: Path | None = None
    proxies: Proxies = field(default_factory=Proxies)
    rate: float = 50.0
    burst: int = 500
    connections: int = 512
    connections_each: int = 64
    times: Times = field(default_factory=Times)
    grace: int = 30

    @property
    def is_open(self) -> bool:
        """Whether other machines can listen in: no certificate, no proxy that has one, not this machine alone."""
        local = self.host in {"localhost", "::1"} or self.host.startswith("127.")
        return not (self.certificate or self.proxies.networks or local)


class Serving(uvicorn.Server):
    """A folder that is served from when it is made; ``run`` answers, until ``stop``, SIGTERM or SIGINT.

    uvicorn's loop, with our socket, a time limit for the TLS handshake, and an end that is no failure: what is on its
    way may arrive, for ``grace`` seconds. ``log`` is given a line for each request. Raises UsageError for a certificate
    that is none, MachineError if the address cannot be had or the keys cannot be read.
    """

    def __init__(
        self,
        artefacts: Path,
        keys: KeyFile,
        settings: Settings,
        *,
        log: Callable[[str], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        keys.signing_key()  # a server whose keys cannot be read had better not start
        certificate = settings.certificate
        self._context = tls_context(certificate, settings.private_key) if certificate else None
        self._handshake = settings.times.head
        self._listener = listen(settings.host, settings.port)
        self.address = address_of(self._listener, secure=certificate is not None)
        self.when_ready: Callable[[], None] = lambda: None
        """Called once requests are answered, and signals end the server well."""
        allow_files(3 * settings.connections + 64)
        board = Connections(settings.connections, settings.connections_each, settings.proxies, settings.times)
        app = FileServer(
            artefacts,
            WatchedKeys(keys),
            rate=RateLimit(settings.rate, settings.burst),
            proxies=settings.proxies,
            log=lambda seen: log(log_line(seen, datetime.now(UTC))),
            warn=warn,
            clock=clock,
        )
        super().__init__(
            uvicorn.Config(
                app,
                http=connection_class(board),
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=settings.times.idle,
                timeout_graceful_shutdown=settings.grace,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer requests until the end."""
        with self._listener:
            super().run(sockets or [self._listener])

    def stop(self) -> None:
        """End as SIGTERM does; callable from any thread. A second call does not wait for what is on its way."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer what has come to the socket already."""
        limits: dict[str, Any] = (
            {"ssl": self._context, "ssl_handshake_timeout": self._handshake} if self._context else {}
        )
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(self._connection, sock=listener, backlog=BACKLOG, **limits)
            for listener in sockets or ()
        ]
        self.started = True
        self.when_ready()

    def _connection(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state={}
        )
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end; neither is raised again afterwards, as uvicorn's own does."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def log_line(seen: Seen, now: datetime) -> str:
    """Give a line of the log. Whatever a client sent is printable and cut short: it cannot write a line of its own."""
    path = "".join(character if "!" <= character <= "~" else "?" for character in seen.path[:_LONGEST_PATH])
    method = "".join(character if character.isalnum() else "?" for character in seen.method[:20])
    parts = [f"{now:%Y-%m-%dT%H:%M:%S}Z", seen.client, method, path, str(seen.status), str(seen.size)]
    parts.append(f"{seen.seconds * 1000:.1f}ms")
    if seen.kid:
        parts.append(f"kid={seen.kid}")
    if seen.reason:
        parts.append(f"({seen.reason})")
    return " ".join(parts)
