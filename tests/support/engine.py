"""A real Docker Engine for tests: one dockerd for all workers of a session, gone when the last of them is.

It has its own data, socket and process files in a folder of its own, so that it neither sees nor disturbs the
machine's. Containers have no network (``network_mode="none"``) or the machine's (``"host"``). Images are shared by
all tests of a session: use names and contents that no other test has.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from support.needs import require

if TYPE_CHECKING:
    from docker import DockerClient

_KEEPER = Path(__file__).with_name("engine_keeper.py")


@dataclass(frozen=True)
class Engine:
    """A running engine: ``host`` is what DOCKER_HOST has to be."""

    folder: Path

    @property
    def host(self) -> str:
        return f"unix://{self.folder / 'socket'}"

    @cached_property
    def client(self) -> DockerClient:
        from docker import DockerClient  # tests that need no engine do not pay for it

        return DockerClient(base_url=self.host, timeout=120)

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which the docker client and the SDK use this engine, and the user's settings stay out."""
        config = self.folder / "client"
        config.mkdir(exist_ok=True)
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(config)}

    def docker(self, *arguments: str, **more: str) -> str:
        """Run the docker client of the engine's own age, and give what it prints."""
        program = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
        result = subprocess.run(
            [program, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert result.returncode == 0, f"docker {' '.join(arguments)}: {result.stdout}{result.stderr}"
        return result.stdout

    def run(self, image: str, *command: str) -> str:
        """Run a command in a container without a network; give what it prints.

        By the client, which listens before it starts: the SDK reads logs, whose end a busy machine may lose.
        """
        return self.docker("run", "--rm", "--network=none", image, *command)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give the session's engine, started if this is the first test that needs it. See the module."""
    require(sys.platform == "linux" and os.geteuid() == 0, "a dockerd for tests is started by root, on Linux")
    require(shutil.which("dockerd"), "dockerd is not installed (Debian: docker.io)")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    lease = os.open(shared / "engine.lease", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with FileLock(shared / "engine.start"):
            fcntl.flock(lease, fcntl.LOCK_SH)  # waits while one that nobody used any more is stopped
            note = shared / "engine"
            if not (note.exists() and _answers(Engine(Path(note.read_text())))):
                note.write_text(_start(shared / "engine.lease"))
        yield Engine(Path(note.read_text()))
    finally:
        os.close(lease)


def _answers(engine: Engine) -> bool:
    from docker.errors import DockerException

    try:
        return bool(engine.client.ping())
    except (DockerException, OSError):
        return False


def _start(lease: Path) -> str:
    keeper = subprocess.Popen(
        [sys.executable, str(_KEEPER), str(lease)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests: they end, and with them the engine
    )
    assert keeper.stdout
    word, _, rest = keeper.stdout.readline().strip().partition(" ")
    keeper.stdout.close()
    require(word == "ready", f"no dockerd runs here: {rest}")
    return rest
