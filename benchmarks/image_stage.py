"""What ``image.py`` needs around it: packages, an index, bases, a Docker Engine, a registry; all of it on loopback.

What is dear to make lies in a folder that is kept (``--wheels``): the wheels, a channel with this Python, and a
base of Debian's essential packages. Everything else is in a temporary folder, and gone at the end.
"""

from __future__ import annotations

import compileall
import hashlib
import html
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.engine_keeper import start, stop
from support.registries import Registry, registry
from support.wheels import make_wheel

from hermetic.outputs.channel import make_channel

BIN = Path(sys.executable).parent
HERMETIC = str(BIN / "hermetic")
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
FULL = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "matplotlib", "requests", "rich", "jinja2", "pydantic",
        "typer", "tqdm")  # fmt: skip
QUICK = ("numpy", "requests", "rich")
PIPE = 1 << 20
SMALL, TEAM = "bench-small", "bench-team"
"""A small package of the list, and one's own package on top of it: both are bumped, never at the same time."""


class Relay:
    """Passes TCP connections on and counts the bytes that clients send; the kernel moves them."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self.upstream = (host, int(port))
        self.received = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    server = socket.create_connection(self.upstream)
                except OSError:
                    client.close()
                    continue
                for source, target, counted in ((client, server, True), (server, client, False)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pump, args=(source, target, counted), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        reader, writer = os.pipe()
        try:
            while moved := os.splice(source.fileno(), writer, PIPE):
                self.received += moved if counted else 0
                while moved:
                    moved -= os.splice(reader, target.fileno(), moved)
        except OSError:
            pass
        finally:
            os.close(reader)
            os.close(writer)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                source.shutdown(socket.SHUT_RD)


@dataclass
class Stage:
    """Everything that is up. ``folder`` is ours, ``kept`` outlives us, ``packages`` are the requirements."""

    folder: Path
    kept: Path
    packages: Sequence[str]
    engine: Path
    registry: Registry
    relay: Relay
    index: str
    wheels: Path
    moved: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The registry as every tool knows it: through the relay, which counts."""
        return self.relay.host

    @cached_property
    def env(self) -> dict[str, str]:
        """What every tool gets; nothing of the user's settings."""
        home = self.folder / "home"
        (home / "docker").mkdir(parents=True, exist_ok=True)
        (home / "docker/config.json").write_text("{}\n")
        return {
            "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(home),
            "DOCKER_HOST": f"unix://{self.engine / 'socket'}",
            "DOCKER_CONFIG": str(home / "docker"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": "",
            "HERMETIC_STORE": str(self.folder / "store"),
        }

    def servers(self) -> list[int]:
        """Give the processes that serve all tools alike."""
        return [self.registry.process.pid] if self.registry.process else []

    def run(self, *command: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run what is not timed."""
        ran = subprocess.run(
            command, env={**os.environ, **self.env, **(env or {})}, cwd=cwd, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            sys.exit(f"{' '.join(command)} ended with {ran.returncode}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        return ran.stdout

    def docker(self, *arguments: str) -> str:
        return self.run(DOCKER, *arguments)

    def aside(self, path: Path) -> None:
        """Move something away; it is deleted at the end, since deleting makes the disk slow for a while."""
        if path.exists():
            (self.folder / "aside").mkdir(exist_ok=True)
            path.rename(self.folder / "aside" / str(self.moved))
            self.moved += 1

    def bump(self, name: str) -> str:
        """Make the next version of a package, publish it, and give the version."""
        self.versions[name] = self.versions.get(name, -1) + 1
        version = f"1.{self.versions[name]}"
        publish(self.wheels, small_wheel(self.wheels / "files", name, version))
        return version

    def fresh_registry(self) -> None:
        """Take everything but the bases out of the registry."""
        self.registry.stop()
        self.aside(self.registry.storage)
        shutil.copytree(self.folder / "bases", self.registry.storage)
        self.registry.start()


def small_wheel(folder: Path, name: str, version: str) -> Path:
    """Make a pure wheel of about 60 KB, whose every module differs from that of another version."""
    noise = [hashlib.sha512(f"{name} {version} {number}".encode()).hexdigest() for number in range(600)]
    module = name.replace("-", "_")
    files = {f"{module}/__init__.py": f'VERSION = "{version}"\n'}
    for part in range(6):
        lines = "".join(f'    "{line}",\n' for line in noise[part * 100 : part * 100 + 100])
        files[f"{module}/part{part}.py"] = f"def words():\n    return WORDS\n\n\nWORDS = [\n{lines}]\n"
    return make_wheel(folder, name, version, files=files)


def publish(root: Path, *wheels: Path) -> None:
    """Put wheels into a simple index (PEP 503) of plain files."""
    projects = {re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower() for wheel in wheels}
    for project in projects:
        lines = []
        for file in sorted((root / "files").glob("*.whl")):
            if re.sub(r"[-_.]+", "-", file.name.split("-")[0]).lower() == project:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                lines.append(f'<a href="../../files/{file.name}#sha256={digest}">{html.escape(file.name)}</a>')
        page = root / "simple" / project / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("<!DOCTYPE html><html><body>\n" + "\n".join(lines) + "\n</body></html>\n")


class _Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        if self.path.startswith("/simple/"):
            self.send_header("Cache-Control", "no-cache")  # a version that came a moment ago is seen
        super().end_headers()


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _debian(target: Path) -> None:
    """Make the base: Debian's essential packages, from where this machine gets its own."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    sources = [str(path) for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("debian.*"))
               if path.exists()]  # fmt: skip
    part = target.with_suffix(".part.tar")
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=essential", release["VERSION_CODENAME"], str(part), *sources], check=True
    )
    part.rename(target)


def _bases(stage: Stage) -> None:
    """Bring two bases into the engine and the registry: Debian's, and on it, for the peers, the same Python as ours.

    The latter is in /usr/local, as in the images that people know, with pip and uv.
    """
    debian, python = (f"{stage.host}/base/{name}:1" for name in ("debian", "python"))
    path = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/bin"
    stage.docker("import", "--change", path, str(stage.kept / "base.tar"), debian)
    context = stage.folder / "base-python"
    context.mkdir()
    (context / "hermetic.toml").write_text(
        f'[channels]\nlocal = "{stage.kept / "channel"}"\n\n[environments.default]\nchannels = ["local"]\n'
        "dependencies = ['python=3.11', 'pip']\nsystem = { glibc = '2.36' }\nplatforms = ['linux-64']\n"
    )
    stage.run(HERMETIC, "build", "-q", "--prefix", str(context / "env"), cwd=context)
    from uv import find_uv_bin

    with tarfile.open(context / "python.tar", "w") as tar:
        for part in sorted((context / "env").iterdir()):
            if part.name not in {"conda-meta", "share"}:
                tar.add(part, part.name, filter=_root)
        tar.add(find_uv_bin(), "bin/uv", filter=_root)
    (context / "Dockerfile").write_text(f"FROM {debian}\nADD python.tar /usr/local/\n")
    (context / ".dockerignore").write_text("*\n!python.tar\n")
    stage.docker("build", "-q", "-t", python, str(context))
    for name in (debian, python):
        stage.docker("push", "-q", name)


def _root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def prepare(kept: Path, packages: Sequence[str]) -> Path:
    """Fill the kept folder with what is missing, and give the folder of the set's wheels."""
    kept.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(repr(sorted(packages)).encode()).hexdigest()[:8]
    wheels = kept / f"wheels-{digest}"
    if not wheels.exists():
        part = kept / f"wheels-{digest}.part"
        command = [sys.executable, "-m", "pip", "download", "-qq", "--only-binary", ":all:", "-d", str(part)]
        subprocess.run([*command, *packages], check=True)
        part.rename(wheels)
    make_channel(kept / "channel", requirements=["pip"], pyc=True)  # as published packages of Python have it
    if not (kept / "base.tar").exists():
        _debian(kept / "base.tar")
    return wheels


@contextmanager
def stage(kept: Path, packages: Sequence[str], folder: Path | None = None) -> Iterator[Stage]:
    """Set everything up, and take it down at the end."""
    missing = [name for name in ("dockerd", "docker-registry", "skopeo", "mmdebstrap")
               if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")]  # fmt: skip
    if missing or os.geteuid():
        sys.exit(f"needs root and, installed: {', '.join(missing)}")
    import hermetic

    compileall.compile_dir(str(Path(hermetic.__file__).parent), quiet=2)  # an installed hermetic has byte code
    kept = kept.absolute()
    downloaded = prepare(kept, packages)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hermetic-bench-", dir=folder)))
        engine = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hermetic-bench-engine-", dir=folder or "/tmp",
                                                                      ignore_cleanup_errors=True)))  # fmt: skip
        wheels = root / "index"
        (wheels / "files").mkdir(parents=True)
        for wheel in downloaded.glob("*.whl"):
            (wheels / "files" / wheel.name).symlink_to(wheel)
        publish(wheels, *(wheels / "files").glob("*.whl"))
        index = stack.enter_context(serve(wheels))
        running = stack.enter_context(registry(root))
        relay = Relay(running.host)
        stack.callback(relay.close)
        daemon = start(engine)
        stack.callback(stop, daemon, engine)
        found = Stage(root, kept, packages, engine, running, relay, f"{index}/simple/", wheels)
        _bases(found)
        running.stop()
        shutil.copytree(running.storage, root / "bases")
        running.start()
        for name in (SMALL, TEAM):
            found.bump(name)
        yield found
