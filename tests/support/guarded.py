"""A file server that asks for a user and a password, and looks whether any process shows them while it answers."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Guard:
    """A running server: ``url`` without a slash at the end, what was ``asked`` with the right credentials and
    ``refused`` without, and the command lines that had the password in them."""

    def __init__(self, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.url = ""
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.shown: list[str] = []

    def address(self, user_part: str) -> str:
        return self.url.replace("://", f"://{user_part}@")


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        self.guard = guard
        super().__init__(*args, **kwargs)

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        if self._is_allowed():
            super().do_HEAD()

    def do_GET(self) -> None:
        if self._is_allowed():
            super().do_GET()

    def _is_allowed(self) -> bool:
        self.guard.shown += command_lines_with(self.guard.password)
        wanted = b64encode(f"{self.guard.user}:{self.guard.password}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {wanted}":
            self.guard.asked.append(self.path)
            return True
        self.guard.refused.append(self.path)
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="guarded"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


def command_lines_with(text: str) -> list[str]:
    """Give the command lines of running processes (on Linux) that hold a text, plain or as URLs write it."""
    from urllib.parse import quote

    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line or quote(text, safe="") in line:
            found.append(line)
    return found


@contextmanager
def guarded(folder: Path, user: str, password: str) -> Iterator[Guard]:
    """Serve a folder on loopback to those who know the user and the password."""
    guard = Guard(user, password)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, guard=guard, directory=str(folder)))
    guard.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield guard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
