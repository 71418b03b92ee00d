"""Conda channels of nothing but repodata: enough to solve against, in a folder or on a loopback server."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import md5, sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TIMESTAMP = 1_700_000_000_000
"""2023-11-14: when everything was built that does not say otherwise."""


def record(
    name: str, version: str, *depends: str, subdir: str = "linux-64", build: str = "h0_0", **more: Any
) -> dict[str, Any]:
    """Give a repodata record with digests that follow from its name."""
    stem = f"{name}-{version}-{build}"
    seed = f"{subdir}/{stem}".encode()
    return {
        "name": name, "version": version, "build": build, "build_number": 0, "depends": list(depends),
        "subdir": subdir, "size": 1000 + len(stem), "timestamp": TIMESTAMP, "sha256": sha256(seed).hexdigest(),
        "md5": md5(seed, usedforsecurity=False).hexdigest(), **more,
    }  # fmt: skip


def python(version: str = "3.11.7", *, subdir: str = "linux-64", **more: Any) -> dict[str, Any]:
    return record("python", version, subdir=subdir, build="h0_0_cpython", **more)


def pure(name: str, version: str, *depends: str, **more: Any) -> dict[str, Any]:
    """Give the record of a pure Python package."""
    return record(name, version, "python >=3.8", *depends, subdir="noarch", build="py_0", noarch="python", **more)


def write_channel(folder: Path, *records: dict[str, Any]) -> Path:
    """Write a channel's repodata."""
    subdirs: dict[str, dict[str, Any]] = {"noarch": {}}
    for found in records:
        subdirs.setdefault(found["subdir"], {})[f"{found['name']}-{found['version']}-{found['build']}.conda"] = found
    for subdir, packages in subdirs.items():
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        value = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": packages, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(value))
    return folder


@dataclass
class Server:
    """A server of files that misbehaves on demand.

    ``/401/...`` answers 401, ``/hang/...`` never answers, ``/cut/...`` stops in the middle, ``/junk/...`` gives no
    repodata, ``/private/...`` wants user ``me`` and password ``pw``.
    """

    address: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    hanging: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, server_state: Server, **more: Any) -> None:
        self.state = server_state
        super().__init__(*arguments, **more)

    def do_HEAD(self) -> None:
        if not self._misbehaves():
            super().do_HEAD()

    def do_GET(self) -> None:
        self.state.asked[self.path] += 1
        if not self._misbehaves():
            super().do_GET()

    def _misbehaves(self) -> bool:
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind.isdigit():
            self._answer(int(kind), b"")
        elif kind == "hang":
            self.state.hanging.set()
            self.state.closing.wait(60)
        elif kind == "cut" and rest.endswith("/repodata.json"):
            self._answer(200, b'{"info": {}, "packages": {', claimed=10_000)
        elif kind == "junk":
            self._answer(200, b"<html>welcome</html>")
        elif kind == "private" and self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:pw").decode():
            self.path = "/" + rest
            return False
        elif kind in {"private", "cut"}:
            self._answer(401 if kind == "private" else 404, b"")
        else:
            return False
        return True

    def _answer(self, status: int, body: bytes, claimed: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
        self.close_connection = claimed is not None

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is part of what is tested."""


@contextmanager
def misbehaving(folder: Path) -> Iterator[Server]:
    """Serve a folder on a free port of loopback."""
    state = Server()
    server = _Server(("127.0.0.1", 0), partial(_Handler, server_state=state, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
