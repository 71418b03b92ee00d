"""A proxy in front of a real registry that misbehaves on demand, and counts what is sent.

with registry(tmp_path) as real, proxy(real.host) as middle:
    middle.fault("PATCH", "/uploads/", drop_request(100_000), times=1)
    push(..., f"{middle.host}/team/image:1", ...)
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}
_BLOCK = 1 << 16


@dataclass
class Asked:
    """One request as it came: ``received`` counts the bytes of its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    received: int = 0
    status: int = 0


Fault = Callable[["Relay"], None]
"""Answers a request in its own way; ``Relay`` can still ask the registry."""


@dataclass
class _Rule:
    method: str
    part: str
    fault: Fault
    times: int | None
    skip: int


@dataclass
class Proxy:
    """A running proxy: its ``host``, what it was ``asked``, and how it misbehaves. ``busy``: somebody hangs."""

    host: str = ""
    asked: list[Asked] = field(default_factory=list)
    busy: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    rules: list[_Rule] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def fault(self, method: str, part: str, fault: Fault, *, times: int | None = None, skip: int = 0) -> None:
        """Misbehave for requests of a method (``*``: any) whose path holds ``part``, after ``skip`` good ones."""
        with self.guard:
            self.rules.append(_Rule(method, part, fault, times, skip))

    def mend(self) -> None:
        """Behave from now on; what was asked before is forgotten."""
        with self.guard:
            self.rules.clear()
            self.asked.clear()

    def asked_for(self, method: str, part: str = "") -> list[Asked]:
        """Give the requests of a method for paths that hold ``part``."""
        return [asked for asked in list(self.asked) if asked.method == method and part in asked.path]

    @property
    def received(self) -> int:
        """How many bytes of bodies came from clients."""
        return sum(asked.received for asked in list(self.asked))

    def take(self, method: str, path: str) -> Fault | None:
        with self.guard:
            for rule in self.rules:
                if rule.method in {"*", method} and rule.part in path and rule.times != 0:
                    if rule.skip:
                        rule.skip -= 1
                        continue
                    rule.times = None if rule.times is None else rule.times - 1
                    return rule.fault
        return None


class Relay(BaseHTTPRequestHandler):
    """Handles one client's connection: passes requests on, or lets a fault answer them."""

    protocol_version = "HTTP/1.1"
    asked: Asked

    def __init__(self, *args: Any, state: Proxy, upstream: str, **kwargs: Any) -> None:
        self.state = state
        self.upstream = upstream
        super().__init__(*args, **kwargs)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def serve(self) -> None:
        self.asked = Asked(self.command, self.path, {name.lower(): text for name, text in self.headers.items()})
        with self.state.guard:
            self.state.asked.append(self.asked)
        fault = self.state.take(self.command, self.path)
        with suppress(OSError, http.client.HTTPException):  # a client that was killed, or gave up
            if fault:
                fault(self)
            else:
                self.relay()
            return
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

    def body(self, most: int | None = None) -> Iterator[bytes]:
        """Read the request's body, or the first bytes of it."""
        left = int(self.headers.get("Content-Length") or 0)
        if most is not None:
            left = min(left, most)
        while left and (piece := self.rfile.read1(min(_BLOCK, left))):
            left -= len(piece)
            self.asked.received += len(piece)
            yield piece

    def send(self, body: Iterator[bytes]) -> http.client.HTTPConnection:
        """Pass a request on to the registry."""
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, text in self.headers.items():
            if name.lower() not in _HOP:
                connection.putheader(name, text)
        connection.putheader("Connection", "close")
        connection.endheaders()
        for piece in body:
            connection.send(piece)
        return connection

    def relay(self, change: Callable[[bytes], bytes] | None = None, most: int | None = None) -> None:
        """Pass the request on and the answer back, its body maybe changed (then small) or cut short."""
        connection = self.send(self.body())
        try:
            answer = connection.getresponse()
            self.head(answer)
            if change:
                self.wfile.write(change(answer.read()))
                return
            while piece := answer.read(_BLOCK if most is None else min(_BLOCK, most)):
                self.wfile.write(piece)
                if most is not None:
                    most -= len(piece)
                    if most <= 0:
                        self.wfile.flush()
                        self.close_connection = True
                        return
        finally:
            connection.close()

    def head(self, answer: http.client.HTTPResponse) -> None:
        self.asked.status = answer.status
        self.send_response_only(answer.status, answer.reason)
        for name, text in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, text)
        self.end_headers()


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Fault:
    """Answer with a status."""

    def answer(relay: Relay) -> None:
        for _ in relay.body():
            pass
        relay.asked.status = code
        relay.send_response_only(code)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            relay.send_header(name, text)
        relay.end_headers()
        if relay.command != "HEAD":
            relay.wfile.write(body)

    return answer


def drop_request(after: int, *, forward: bool = True) -> Fault:
    """Take some of the request's body, pass it on (or not), and cut both lines."""

    def answer(relay: Relay) -> None:
        body = relay.body(after)
        if forward:
            relay.send(body).close()
        else:
            for _ in body:
                pass
        relay.close_connection = True

    return answer


def drop_answer(after: int) -> Fault:
    """Send the answer's head and some of its body, then cut the line."""
    return lambda relay: relay.relay(most=after)


def lose_answer(relay: Relay) -> None:
    """Let the registry do what is asked, and cut the line before the client hears of it."""
    connection = relay.send(relay.body())
    relay.asked.status = connection.getresponse().status
    connection.close()
    relay.close_connection = True


def flipped(relay: Relay) -> None:
    """Pass the answer on with its last byte wrong."""
    relay.relay(change=lambda data: data[:-1] + bytes([data[-1] ^ 1]) if data else data)


def header(name: str, text: str) -> Fault:
    """Pass the answer on with another value of one header."""

    def answer(relay: Relay) -> None:
        send_header = relay.send_header
        relay.send_header = (  # type: ignore[method-assign]
            lambda n, t: send_header(n, text if n.lower() == name.lower() else t)
        )
        try:
            relay.relay()
        finally:
            relay.send_header = send_header  # type: ignore[method-assign]

    return answer


def after(act: Callable[[], object]) -> Fault:
    """Pass the request on, let something else happen, and only then answer."""

    def answer(relay: Relay) -> None:
        connection = relay.send(relay.body())
        try:
            response = connection.getresponse()
            data = response.read()
            act()
            relay.head(response)
            relay.wfile.write(data)
        finally:
            connection.close()

    return answer


def hang(relay: Relay) -> None:
    """Take the request, and say nothing until the proxy ends."""
    for _ in relay.body():
        pass
    relay.state.busy.set()
    relay.state.closing.wait()
    relay.close_connection = True


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed or give up are what is tested."""


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """Stand in front of a registry on ``HOST:PORT`` while the block runs."""
    state = Proxy()
    server = _Quiet(("127.0.0.1", 0), partial(Relay, state=state, upstream=upstream))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.host = f"127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
