"""A pipe in front of a server: it remembers every request that goes through, and breaks off on demand.

with pipe(server_url) as found:
    found.url                       # what clients are told
    found.cut(1000)                 # the next answer to a GET breaks off after 1000 bytes of the body
    found.requests                  # (method, raw path with query, range) of all requests
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

_HEAD = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
_RANGE = re.compile(rb"(?im)^(?:x-ms-)?range:\s*(\S+)")
_SIGNATURES = {"sig", "x-amz-signature", "x-goog-signature"}


@dataclass
class Pipe:
    """A running pipe."""

    url: str
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    cuts: list[tuple[int, Callable[[], object]]] = field(default_factory=list)

    def cut(self, after: int, then: Callable[[], object] = lambda: None) -> None:
        """Break off the next answer to a signed GET that has so many bytes of body, and call ``then`` first."""
        self.cuts.append((after, then))

    @property
    def signed(self) -> list[tuple[str, str, str]]:
        """The requests with a signature in their address."""
        return [request for request in self.requests if _signature(request[1])]

    @property
    def signatures(self) -> set[str]:
        """All signatures that were sent."""
        return {found for _, path, _ in self.requests if (found := _signature(path))}


@contextmanager
def pipe(upstream: str) -> Iterator[Pipe]:
    """Run a pipe to a server on loopback while the block runs, on a free port."""
    to = urlsplit(upstream)
    assert to.hostname
    assert to.port
    target = (to.hostname, to.port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Pipe(f"http://127.0.0.1:{listener.getsockname()[1]}")
        open_now: set[socket.socket] = set()

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                    server = socket.create_connection(target)
                except OSError:
                    return
                open_now.update((client, server))
                connection = _Connection(found, client, server)
                for work in (connection.ask, connection.answer):
                    threading.Thread(target=work, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield found
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connected in open_now:
                connected.close()


class _Connection:
    def __init__(self, pipe: Pipe, client: socket.socket, server: socket.socket) -> None:
        self.pipe, self.client, self.server = pipe, client, server
        self.cut: tuple[int, Callable[[], object]] | None = None

    def ask(self) -> None:
        """Pass on what the client sends."""
        with suppress(OSError):
            while data := self.client.recv(1 << 16):
                for method, path, head in _HEAD.findall(data):
                    part = _RANGE.search(b"\r\n" + head)
                    self.pipe.requests.append((method.decode(), path.decode(), part[1].decode() if part else ""))
                    if method == b"GET" and _signature(path.decode()) and self.pipe.cuts:
                        self.cut = self.pipe.cuts.pop(0)
                self.server.sendall(data)
        self._close()

    def answer(self) -> None:
        """Pass on what the server answers, or the beginning of it."""
        body = b""
        with suppress(OSError):
            while data := self.server.recv(1 << 16):
                if self.cut is not None:
                    body += data
                    head = body.find(b"\r\n\r\n")
                    if head < 0 or len(body) < head + 4 + self.cut[0]:
                        continue
                    self.cut[1]()
                    self.client.sendall(body[: head + 4 + self.cut[0]])
                    break
                self.client.sendall(data)
        self._close()

    def _close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _signature(path: str) -> str:
    return next((value for name, value in parse_qsl(urlsplit(path).query) if name.lower() in _SIGNATURES), "")
