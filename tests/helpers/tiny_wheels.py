"""Real wheels, a few hundred bytes each, and a folder or a loopback index that serves them."""

from __future__ import annotations

import base64
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hermetic.lock.model import Wheel


def make_wheel(folder: Path, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> Wheel:
    """Make a wheel of one module that knows its version, and give its entry for a lock."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    wanted = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    extras = sorted({extra for requirement in requires for extra in re.findall(r"extra == '(\w+)'", requirement)})
    wanted += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
    files = {
        f"{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wanted}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join(lines) + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0)), text)
    data = path.read_bytes()
    names = tuple(sorted(requirement.split()[0] for requirement in requires))
    return Wheel(name, version, path.name, len(data), sha256(data).hexdigest(), requires=names)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of loopback, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_index(folder: Path, wheels: Path) -> None:
    """Write a simple index (PEP 503) over a folder of wheels."""
    for path in wheels.glob("*.whl"):
        project = folder / path.name.split("-")[0].replace("_", "-")
        project.mkdir(parents=True, exist_ok=True)
        page = project / "index.html"
        old = page.read_text() if page.exists() else ""
        digest = sha256(path.read_bytes()).hexdigest()
        page.write_text(f'{old}<a href="../../{wheels.name}/{path.name}#sha256={digest}">{path.name}</a>\n')
