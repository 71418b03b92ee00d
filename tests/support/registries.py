"""Real registries (Distribution, Debian's ``docker-registry``) on loopback, on free ports, gone when the block ends.

with registry(tmp_path) as plain: ...                            # http://127.0.0.1:PORT
with registry(tmp_path, user="ada", password="pw") as basic: ...
with registry(tmp_path, tls=True) as secure: ...                  # SSL_CERT_FILE=secure.ca
with registry(tmp_path, tokens=TokenServer(...)) as bearer: ...   # see support.registry_tokens
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from support.needs import require

if TYPE_CHECKING:
    from support.registry_tokens import TokenServer

_START = 20.0


@dataclass
class Registry:
    """A running registry: its ``host`` (``127.0.0.1:PORT``) and ``url``, where it keeps its files, who may use it."""

    folder: Path
    user: str = ""
    password: str = ""
    ca: Path | None = None
    host: str = ""
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default=Path())

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.host}"

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    def stop(self) -> None:
        """End the process; what was pushed stays on disk."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def start(self) -> None:
        """Start the process, on the same port if it had one, and wait until it listens."""
        binary = shutil.which("docker-registry") or shutil.which("registry")
        require(binary, "no docker-registry is installed")
        assert binary
        configuration = self.folder / "config.yml"
        found = yaml.safe_load(configuration.read_text())
        found["http"]["addr"] = self.host or "127.0.0.1:0"
        configuration.write_text(yaml.safe_dump(found))
        self.log = self.folder / f"log.{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*_tied(), binary, "serve", str(configuration)], stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + _START
        while time.monotonic() < until and self.process.poll() is None:
            if listening := re.search(r"listening on (127\.0\.0\.1:\d+)", self.log.read_text()):
                self.host = listening[1]
                return
            time.sleep(0.01)
        self.stop()
        raise AssertionError(f"the registry did not start:\n{self.log.read_text()}")

    def blobs(self) -> set[str]:
        """Give the digests of all blobs on its disk."""
        found = (self.storage / "docker/registry/v2/blobs/sha256").glob("*/*/data")
        return {f"sha256:{path.parent.name}" for path in found}

    def copy(self, source: str, name: str, *options: str) -> None:
        """Copy an image in with skopeo, as another client: ``source`` as skopeo names it (``oci:FOLDER:TAG``)."""
        skopeo("copy", *self.flags("dest"), *options, source, f"docker://{self.host}/{name}")

    def inspect(self, name: str) -> dict[str, Any]:
        """Give what skopeo says of an image."""
        return json.loads(skopeo("inspect", *self.flags(), f"docker://{self.host}/{name}"))  # type: ignore[no-any-return]

    def flags(self, side: str = "") -> list[str]:
        """Give skopeo's options for this registry; ``side`` is ``src`` or ``dest`` of a copy, else empty."""
        prefix = f"--{side}-" if side else "--"
        flags = [f"{prefix}cert-dir={self.ca.parent}"] if self.ca else [f"{prefix}tls-verify=false"]
        return flags + ([f"{prefix}creds={self.user}:{self.password}"] if self.user else [])


def skopeo(*arguments: str) -> str:
    """Run skopeo and give what it prints."""
    require(shutil.which("skopeo"), "no skopeo is installed")
    ran = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"skopeo {arguments}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@contextmanager
def registry(
    folder: Path, *, user: str = "", password: str = "", tls: bool = False, tokens: TokenServer | None = None
) -> Iterator[Registry]:
    """Run a registry while the block runs; its files go into a new folder inside ``folder``."""
    home = folder / f"registry-{time.monotonic_ns()}"
    home.mkdir(parents=True)
    configuration: dict[str, Any] = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(home / "storage")}, "delete": {"enabled": True}},
        "http": {"secret": "for tests"},
    }
    found = Registry(home, user, password)
    if user:
        users = home / "htpasswd"
        users.write_text(f"{user}:{_bcrypt(password)}\n")
        configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
    if tokens:
        configuration["auth"] = {"token": tokens.registry_settings()}
    if tls:
        found.ca = make_certificates(home / "tls")
        configuration["http"]["tls"] = {
            "certificate": str(home / "tls/server.pem"),
            "key": str(home / "tls/server.secret"),
        }
    (home / "config.yml").write_text(yaml.safe_dump(configuration))
    found.start()
    try:
        yield found
    finally:
        found.stop()


def make_certificates(folder: Path) -> Path:
    """Make an authority (``ca.crt``) and a certificate for loopback (``server.pem``, ``server.secret``)."""
    require(shutil.which("openssl"), "no openssl is installed")
    folder.mkdir(parents=True)
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = [*"-x509 -days 30 -subj /CN=tests -keyout ca.secret -out ca.crt".split(), *curve]
    written = "-extfile extensions -out server.pem".split()
    for arguments in (
        ["req", *authority],
        ["req", *"-subj /CN=127.0.0.1 -keyout server.secret -out server.csr".split(), *curve],
        ["x509", *"-req -in server.csr -CA ca.crt -CAkey ca.secret -CAcreateserial -days 30".split(), *written],
    ):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    return folder / "ca.crt"


def _bcrypt(password: str) -> str:
    """Hash a password as the registry wants it."""
    require(shutil.which("htpasswd"), "no htpasswd is installed (apache2-utils)")
    ran = subprocess.run(["htpasswd", "-nbBC", "4", "user", password], capture_output=True, text=True, check=True)
    return ran.stdout.strip().partition(":")[2]


def _tied() -> list[str]:
    """Give the command that ties a process to ours, so that it ends also when the tests are killed.

    The system ties it to the thread that starts it, so only the main one may.
    """
    if threading.current_thread() is not threading.main_thread() or not shutil.which("setpriv"):
        return []
    return ["setpriv", "--pdeathsig", "KILL"]
