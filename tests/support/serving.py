"""A workspace's file server on loopback: in this process, with a clock that tests move; its keys, files and log."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.message import Message
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from hermetic.store.objects.signing import SigningKey, sign_url
from hermetic.workspace.serving.keys import KeyFile
from hermetic.workspace.serving.run import Serving, Settings

NOW = 1_800_000_000


class Log:
    """Lines that a server wrote; a test may wait for one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._grown = threading.Condition()

    def append(self, line: str) -> None:
        with self._grown:
            self.lines.append(line)
            self._grown.notify_all()

    def wait_for(self, text: str) -> str:
        """Give the first line that holds a text; it has half a minute to come."""
        with self._grown:
            assert self._grown.wait_for(lambda: any(text in line for line in self.lines), 30), self.lines
            return next(line for line in self.lines if text in line)


class Clock:
    """Seconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Message
    body: bytes


@dataclass
class Desk:
    """A running server; ``url`` is where clients reach it, which may be a proxy before it."""

    folder: Path
    keys: KeyFile
    server: Serving
    url: str
    clock: Clock
    thread: threading.Thread
    log: Log
    warnings: list[str] = field(default_factory=list)
    context: ssl.SSLContext | None = None

    @property
    def artefacts(self) -> Path:
        return self.folder / "artefacts"

    def end(self) -> list[str]:
        """Stop the server as SIGTERM does, and give its whole log."""
        self.server.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.log.lines

    def keep(self, key: str, data: bytes) -> str:
        """Write an artefact; gives its key."""
        path = self.artefacts / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return key

    def sign(self, key: str, seconds: float = 60, *, method: str = "GET", by: SigningKey | None = None) -> str:
        """Give an artefact's signed URL, without the server's address."""
        expires = int(self.clock.now + seconds)
        return sign_url("", key, by or self.keys.signing_key(), expires=expires, method=method)

    def ask(self, target: str, method: str = "GET", *, source: str = "", **headers: str) -> Reply:
        """Send a request for a target just as it is; ``_`` in a header's name stands for ``-``.

        ``source`` is the client's address, another one of loopback.
        """
        connection = self.connect(source)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            return _reply(connection.getresponse())
        finally:
            connection.close()

    def connect(self, source: str = "") -> HTTPConnection:
        """Give a connection to where clients reach the server."""
        parts = urlsplit(self.url)
        assert parts.hostname
        here = (source, 0) if source else None
        if self.context:
            return HTTPSConnection(parts.hostname, parts.port, timeout=30, context=self.context, source_address=here)
        return HTTPConnection(parts.hostname, parts.port, timeout=30, source_address=here)

    def raw(self, data: bytes) -> bytes:
        """Send bytes and give all that comes back until the server closes."""
        with self.plug() as plug:
            plug.sendall(data)
            received = b""
            try:
                while piece := plug.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
            return received

    @contextmanager
    def plug(self) -> Iterator[socket.socket]:
        """Give a bare connection."""
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), 30) as plain:
            if self.context:
                with self.context.wrap_socket(plain, server_hostname=parts.hostname) as secure:
                    yield secure
            else:
                yield plain


def _reply(answer: HTTPResponse) -> Reply:
    return Reply(answer.status, answer.headers, answer.read())


@contextmanager
def desk(folder: Path, settings: Settings | None = None, context: ssl.SSLContext | None = None) -> Iterator[Desk]:
    """Serve a folder while the block runs, on any free port."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "artefacts").mkdir(exist_ok=True)
    keys, clock, log, warnings = KeyFile(folder), Clock(), Log(), list[str]()
    settings = replace(settings or Settings(rate=0), port=0)
    server = Serving(folder / "artefacts", keys, settings, log=log.append, warn=warnings.append, clock=clock)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield Desk(folder, keys, server, server.address, clock, thread, log, warnings, context)
    finally:
        server.stop()
        server.stop()
        thread.join(30)
    assert not thread.is_alive()
