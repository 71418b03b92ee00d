"""HTTP servers on loopback, on a free port: a folder of files, and a simple index (PEP 503, PEP 691) of wheels."""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class Server:
    """A running server: its ``url`` (no slash at the end) and the ``(method, path)`` of every request so far."""

    def __init__(self, url: str, requests: list[tuple[str, str]]) -> None:
        self.url = url
        self.requests = requests


class _Files(SimpleHTTPRequestHandler):
    """Serves a folder, with byte ranges (one range, RFC 9110), and remembers what was asked."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, requests: list[tuple[str, str]], **kwargs: Any) -> None:
        self.seen = requests
        super().__init__(*args, **kwargs)

    def log_message(self, *args: Any) -> None:
        pass

    def list_directory(self, path: Any) -> BytesIO | None:
        self.send_error(HTTPStatus.NOT_FOUND)
        return None

    def do_HEAD(self) -> None:
        self.seen.append(("HEAD", self.path))
        super().do_HEAD()

    def do_GET(self) -> None:
        self.seen.append(("GET", self.path))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        size = path.stat().st_size
        first, last = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
        if first > last:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with path.open("rb") as file:
            file.seek(first)
            body = file.read(last - first + 1)
        self.answer(body, self.guess_type(str(path)), HTTPStatus.PARTIAL_CONTENT, f"bytes {first}-{last}/{size}")

    def answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Index(_Files):
    """Serves ``/simple/`` for the wheels of a folder, and the wheels themselves under ``/files/``."""

    json = True

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path))
        path = unquote(self.path.split("?")[0])
        folder = Path(self.directory)
        if match := re.fullmatch(r"/files/([^/]+?)(\.metadata)?", path):
            file = folder / match[1]
            if not file.is_file():
                self.send_error(HTTPStatus.NOT_FOUND)
            elif match[2]:
                self.answer(_metadata(file), "text/plain")
            else:
                self.answer(file.read_bytes(), "application/octet-stream")
            return
        projects: dict[str, list[Path]] = {}
        for file in sorted(folder.glob("*")):
            if file.name.endswith((".whl", ".tar.gz")):
                name = re.sub(r"[-_.]+", "-", re.split(r"-\d", file.name)[0]).lower()
                projects.setdefault(name, []).append(file)
        if path == "/simple/":
            self._answer_page("", projects)
        elif (match := re.fullmatch(r"/simple/([^/]+)/", path)) and match[1] in projects:
            self._answer_page(match[1], projects)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer_page(self, name: str, projects: dict[str, list[Path]]) -> None:
        accept = self.headers.get("Accept", "")
        if self.json and "application/vnd.pypi.simple.v1+json" in accept:
            meta = {"api-version": "1.1"}
            page: dict[str, Any] = {"meta": meta, "projects": [{"name": n} for n in projects]}
            if name:
                files = [_entry(file) for file in projects[name]]
                page = {"meta": meta, "name": name, "versions": [], "files": files}
            self.answer(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
            return
        links = [(n, f"/simple/{n}/", "") for n in projects]
        if name:
            links = []
            for file in projects[name]:
                entry = _entry(file)
                python = entry.get("requires-python")
                attribute = f' data-requires-python="{html.escape(python)}"' if python else ""
                links.append((file.name, f"{entry['url']}#sha256={entry['hashes']['sha256']}", attribute))
        anchors = "\n".join(f'<a href="{url}"{attribute}>{text}</a>' for text, url, attribute in links)
        self.answer(f"<!DOCTYPE html><html><body>\n{anchors}\n</body></html>".encode(), "text/html")


class _HtmlIndex(_Index):
    """An index that knows only PEP 503."""

    json = False


def _entry(file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    entry: dict[str, Any] = {
        "filename": file.name,
        "url": f"/files/{file.name}",
        "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
        "size": len(data),
        "upload-time": "2023-11-14T22:13:20Z",
        "yanked": False,
    }
    if file.name.endswith(".whl"):
        metadata = _metadata(file)
        entry["core-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
        if found := re.search(rb"(?m)^Requires-Python: (.*)$", metadata):
            entry["requires-python"] = found[1].decode()
    return entry


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA")))


@contextmanager
def serve(directory: Path, handler: type[_Files] = _Files) -> Iterator[Server]:
    """Serve a folder on loopback while the block runs."""
    requests: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory), requests=requests))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def simple_index(wheels: Path, *, json: bool = True) -> Iterator[Server]:
    """Serve a folder of wheels as an index; clients take ``server.url + "/simple/"``. ``json=False``: PEP 503 only."""
    with serve(wheels, _Index if json else _HtmlIndex) as server:
        yield server


@contextmanager
def refusing(status: int) -> Iterator[str]:
    """Answer every request on loopback with one status; gives the URL."""

    class Refusing(_Files):
        def do_GET(self) -> None:
            self.send_error(status)

        do_HEAD = do_GET  # noqa: N815

    with serve(Path(), Refusing) as server:
        yield server.url
