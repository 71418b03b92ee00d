"""A server that misbehaves on demand, in front of the honest ones of ``support.servers``.

with faulty(folder) as server:
    server.fault("app-1.0", status(500), times=2)      # twice, then it behaves
    server.fault("repodata.json", cut(0.5))            # until server.mend()
"""

from __future__ import annotations

import base64
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.servers import _Files, _Index


@dataclass(frozen=True)
class Asked:
    """One request: its path with the query, and the headers that tests look at."""

    method: str
    path: str
    range: str = ""
    authorization: str = ""


@dataclass(frozen=True)
class Honest:
    """What an honest server would have answered."""

    head: bytes
    body: bytes


Fault = Callable[["_Misbehaving"], None]
"""Answers a request in its own way; the handler can still ask for the honest answer."""


@dataclass
class _Rule:
    part: str
    fault: Fault
    times: int | None


@dataclass
class FaultyServer:
    """A running server: its ``url``, what it was ``asked``, and how it misbehaves.

    ``credentials`` ("user:password") and ``query`` ("sig=...") are demanded for every request if they are set.
    ``busy`` is set when somebody hangs; ``opened`` is for tests to set.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    credentials: str = ""
    query: str = ""
    busy: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    rules: list[_Rule] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, part: str, fault: Fault, *, times: int | None = None) -> None:
        """Misbehave for paths that hold ``part``, so many times (default: until mended)."""
        with self.guard:
            self.rules.append(_Rule(part, fault, times))

    def mend(self) -> None:
        """Behave from now on; what was asked before is forgotten."""
        with self.guard:
            self.rules.clear()
            self.asked.clear()

    def asked_for(self, part: str) -> list[Asked]:
        """Give the requests for paths that hold ``part``."""
        return [asked for asked in self.asked if part in asked.path]

    def take(self, path: str) -> Fault | None:
        with self.guard:
            for rule in self.rules:
                if rule.part in path and rule.times != 0:
                    rule.times = None if rule.times is None else rule.times - 1
                    return rule.fault
        return None


class _Misbehaving:
    """Mixed into an honest handler."""

    server_state: FaultyServer
    requestline: str
    path: str
    command: str
    headers: Any
    wfile: Any
    connection: socket.socket
    close_connection: bool

    def do_GET(self) -> None:  # noqa: N802  the name that the base class calls
        state = self.server_state
        state.asked.append(
            Asked(self.command, self.path, self.headers.get("Range", ""), self.headers.get("Authorization", ""))
        )
        wanted = "Basic " + base64.b64encode(state.credentials.encode()).decode()
        if state.credentials and self.headers.get("Authorization") != wanted:
            status(401, {"WWW-Authenticate": 'Basic realm="x"'})(self)
            return
        if state.query and state.query not in urlsplit(self.path).query:
            status(403)(self)
            return
        fault = state.take(self.path)
        with suppress(OSError):  # a client that was killed, or gave up
            if fault:
                fault(self)
            else:
                self.behave()

    def do_HEAD(self) -> None:  # noqa: N802
        self.do_GET()

    def behave(self) -> None:
        (super().do_HEAD if self.command == "HEAD" else super().do_GET)()  # type: ignore[misc]

    def honest(self) -> Honest:
        wire, self.wfile = self.wfile, BytesIO()
        try:
            self.behave()
            head, _, body = self.wfile.getvalue().partition(b"\r\n\r\n")
        finally:
            self.wfile = wire
        return Honest(head, body)


class _FaultyFiles(_Misbehaving, _Files):
    def __init__(self, *args: Any, state: FaultyServer, **kwargs: Any) -> None:
        self.server_state = state
        super().__init__(*args, **kwargs)


class _FaultyIndex(_Misbehaving, _Index):
    def __init__(self, *args: Any, state: FaultyServer, **kwargs: Any) -> None:
        self.server_state = state
        super().__init__(*args, **kwargs)

    def behave(self) -> None:
        _Index.do_GET(self)  # it looks at the method itself


def status(code: int, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with a status and no body."""

    def answer(handler: Any) -> None:
        handler.send_response(code)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def body(data: bytes, kind: str = "application/octet-stream") -> Fault:
    """Answer with other bytes, as if nothing were wrong."""
    return lambda handler: handler.answer(data, kind)  # type: ignore[attr-defined,no-any-return]


def flipped(handler: Any) -> None:
    """Answer with the right number of bytes, the last of which is wrong."""
    honest = handler.honest()
    handler.wfile.write(honest.head + b"\r\n\r\n" + honest.body[:-1] + bytes([honest.body[-1] ^ 1]))


def cut(share: float, *, announced: bool = True, reset: bool = False) -> Fault:
    """Send a share of the body, then close the connection (or reset it); maybe without ``Content-Length``."""

    def answer(handler: Any) -> None:
        honest = handler.honest()
        head = honest.head
        if not announced:
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
            head = b"\r\n".join(lines) + b"\r\nConnection: close"
        handler.wfile.write(head + b"\r\n\r\n" + honest.body[: int(len(honest.body) * share)])
        handler.wfile.flush()
        if reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        handler.close_connection = True

    return answer


def hang(after: float | None = None) -> Fault:
    """Say nothing, or a share of the body and then nothing, until the server ends."""

    def answer(handler: Any) -> None:
        if after is not None:
            honest = handler.honest()
            handler.wfile.write(honest.head + b"\r\n\r\n" + honest.body[: int(len(honest.body) * after)])
            handler.wfile.flush()
        handler.server_state.busy.set()
        handler.server_state.closing.wait()
        handler.close_connection = True

    return answer


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed or give up are what is tested."""


@contextmanager
def faulty(folder: Path, *, index: bool = False) -> Iterator[FaultyServer]:
    """Serve a folder (or, with ``index``, a folder of wheels as a simple index) on loopback while the block runs."""
    state = FaultyServer()
    handler = partial(_FaultyIndex if index else _FaultyFiles, directory=str(folder), requests=[], state=state)
    server = _Quiet(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
