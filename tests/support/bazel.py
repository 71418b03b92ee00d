"""Bazel on a project of the example's kind, with a store, a server and a cache of its own; no network in actions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.channel import index, write_package
from support.desk import Desk
from support.needs import require

ROOT = Path(__file__).parents[2]
# Bazel asks for this repository before any test, and would get it from a network.
_COVERAGE = 'filegroup(name = "coverage_report_generator", visibility = ["//visibility:public"])\n'


class Bazel:
    """A desk whose project is examples/bazel, on the real channel ``demo`` and a channel ``extra`` made by hand."""

    def __init__(self, folder: Path, channel: Path) -> None:
        require(shutil.which("bazel"), "bazel is not installed (Debian: bazel-bootstrap)")
        self.desk = Desk(folder)
        self.extra = folder / "extra"
        self.root = folder / "bazel"
        shutil.copytree(ROOT / "examples" / "bazel", self.desk.project, dirs_exist_ok=True)
        workspace = self.desk.project / "WORKSPACE"
        workspace.write_text(workspace.read_text().replace("../../rules", str(ROOT / "rules")))
        coverage = folder / "coverage"
        coverage.mkdir()
        (coverage / "WORKSPACE").touch()
        (coverage / "BUILD.bazel").write_text(_COVERAGE)
        self.coverage = coverage
        self.stock("1.0")
        self.desk.environment["HERMETIC_CHANNELS"] = f"demo={channel} extra={self.extra}"
        self.declare("probe")

    def stock(self, version: str) -> None:
        """Put a version of the package ``probe`` on the shelf."""
        text = f"VERSION = {version!r}\n"
        files = {"site-packages/probe.py": text}
        write_package(self.extra, "probe", version, noarch="python", depends=["python"], files=files)
        index(self.extra, "linux-64", "noarch")

    def declare(self, *names: str) -> None:
        """Declare the example's environment with more packages, for this machine's libc."""
        libc = os.confstr("CS_GNU_LIBC_VERSION") or "glibc 2.36"
        text = (ROOT / "examples" / "bazel" / "hermetic.toml").read_text()
        text = text.replace('["demo"]', '["demo", "extra"]').replace('demo = "./channel"', "")
        text = text.replace('"numpy"]', ", ".join(['"numpy"', *map(repr, names)]) + "]").replace(
            "python=3.11", "python"
        )
        text += f'system = {{ glibc = "{libc.split()[1]}" }}\n'
        (self.desk.project / "hermetic.toml").write_text(text)

    def __call__(self, verb: str, *words: str, status: int = 0, root: Path | None = None) -> str:
        """Run Bazel and give all that it says; with ``root`` as another machine would, with nothing done yet."""
        options = [
            "--sandbox_default_allow_network=false", "--jobs=2", "--color=no", "--curses=no", "--verbose_failures",
            f"--override_repository=remote_coverage_tools={self.coverage}",
        ]  # fmt: skip
        home = root or self.root
        command = ["bazel", f"--output_user_root={home}", "--max_idle_secs=60", verb]
        if verb in {"build", "test", "run"}:
            command += options
        environment = self.desk.variables({"HERMETIC_PYTHON": sys.executable, "USER": "nobody"})
        done = subprocess.run(
            [*command, *words], cwd=self.desk.project, env=environment, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        return said

    def steps(self, *words: str, root: Path | None = None) -> list[dict[str, Any]]:
        """Build, and give the actions that were run, from Bazel's execution log."""
        log = self.desk.root / "execution.json"
        self("build", f"--execution_log_json_file={log}", *words, root=root)
        decoder, text, found = json.JSONDecoder(), log.read_text(), []
        while text := text.lstrip():
            value, end = decoder.raw_decode(text)
            found.append(value)
            text = text[end:]
        return [step for step in found if step["mnemonic"].startswith("Hermetic")]

    def stop(self) -> None:
        """End its servers."""
        for root in {self.root, *self.desk.root.glob("bazel*")}:
            if root.is_dir():
                self("shutdown", root=root)


@contextmanager
def bazel_on(folder: Path, channel: Path) -> Iterator[Bazel]:
    """Give a Bazel; its servers end with the block."""
    bazel = Bazel(folder, channel)
    try:
        yield bazel
    finally:
        bazel.stop()


class HttpCache:
    """A cache that speaks Bazel's HTTP protocol, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.changed = threading.Condition()
        self.address = ""

    def wait_for(self, start: str) -> bool:
        """Wait until something is kept whose path begins so: Bazel may end before its last upload does."""
        with self.changed:
            return self.changed.wait_for(lambda: any(path.startswith(start) for path in self.kept), timeout=60)


@contextmanager
def http_cache() -> Iterator[HttpCache]:
    """Give a cache on loopback."""
    cache = HttpCache()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = cache.kept.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            with cache.changed:
                cache.kept[self.path] = data
                cache.changed.notify_all()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cache.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield cache
    finally:
        server.shutdown()
        server.server_close()
