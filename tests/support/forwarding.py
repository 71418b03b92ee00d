"""A way through on loopback to an HTTP server, which sees, judges and spoils what passes.

with forwarding("127.0.0.1:10000") as way:
    way.url                     # the server, through us
    way.seen                    # (method, raw path with query, status) of all requests; 0 where the line was cut
    way.faults.append(...)      # (method, raw path with query) -> a status, "drop" (the request is lost), "lose" (its
                                # answer is), or None to let it pass
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[[str, str], int | str | None]
Judge = Callable[[str, str, dict[str, str], bytes], tuple[int, bytes] | None]
_OWN = {"content-length", "connection", "transfer-encoding", "server", "date"}


@dataclass
class Way:
    """What is known of the traffic. ``judge`` gets a request with headers and body, and may answer it.

    ``writing`` is held while anything but a GET or HEAD is forwarded, where the server cannot do two at once.
    """

    behind: str
    host: str = ""
    judge: Judge = lambda *_: None
    writing: AbstractContextManager[object] = field(default_factory=nullcontext)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@contextmanager
def forwarding(behind: str, judge: Judge = lambda *_: None) -> Iterator[Way]:
    """Forward to ``host:port`` while the block runs, from a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    way = Way(behind, f"127.0.0.1:{server.server_port}", judge)
    server.way = way  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield way
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        way: Way = self.server.way  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = next((found for fault in list(way.faults) if (found := fault(self.command, self.path))), None)
        if fault == "drop":
            self._cut()
            return
        if isinstance(fault, int):
            self._answer(fault, b"<Error><Code>ServerBusy</Code><Message>later</Message></Error>")
            return
        judged = way.judge(self.command, self.path, dict(self.headers.items()), body)
        if judged:
            self._answer(*judged)
            return
        connection = http.client.HTTPConnection(way.behind)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"expect", "connection"}}
        with way.writing if self.command not in {"GET", "HEAD"} else nullcontext():
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        connection.close()
        if fault == "lose":
            self._cut()
            return
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, data, kept, length)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _cut(self) -> None:
        self.server.way.seen.append((self.command, self.path, 0))  # type: ignore[attr-defined]
        self.close_connection = True

    def _answer(
        self, status: int, data: bytes, headers: list[tuple[str, str]] | None = None, length: str | None = None
    ) -> None:
        way: Way = self.server.way  # type: ignore[attr-defined]
        way.seen.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in headers if headers is not None else [("Content-Type", "application/xml")]:
            self.send_header(name, value)
        if headers is None:
            for name, value in way.headers.items():
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
