"""A user's machine in a folder: a project, a store, a home, and the real command line in processes of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermetic.config import Config
from hermetic.lock.file import read_lock
from hermetic.outputs.prefix import verify_prefix
from hermetic.store import Store
from support import channel as hand
from support.wheels import make_wheel

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
COMMAND = (sys.executable, "-c", "from hermetic.cli import main; main()")
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


@dataclass
class Desk:
    """One machine with one project. Nothing of the machine that runs the tests reaches it but PATH and the like."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    """What every command starts with: how it gets into a room of its own (see ``support.mounts``)."""

    def __post_init__(self) -> None:
        for folder in (self.project, self.home, self.store.parent):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def store(self) -> Path:
        return self.root / "disk" / "store"

    @property
    def lock(self) -> Path:
        return self.project / "lockfiles" / "default.lock.json"

    @property
    def prefix(self) -> Path:
        return self.project / ".hermetic" / "envs" / "default"

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "HERMETIC_STORE": str(self.store),
            "HERMETIC_HTTP_TIMEOUT": "10",
            "HERMETIC_HTTP_RETRIES": "0",
        }
        return {**kept, **own, **self.environment, **more}

    def __call__(self, *arguments: str, status: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``hermetic`` and give its answer; whatever happens, no user may see a traceback."""
        result = subprocess.run(
            [*self.within, *COMMAND, *arguments],
            cwd=self.project,
            env=self.variables(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        shown = f"{arguments} gave {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert status is None or result.returncode == status, shown
        assert "Traceback" not in result.stderr, shown
        assert "internal error" not in result.stderr, shown
        return result

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``hermetic`` in a process group of its own, to be killed."""
        return subprocess.Popen(
            [*self.within, *COMMAND, *arguments],
            cwd=self.project,
            env=self.variables(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def declare(self, *dependencies: str, pip: tuple[str, ...] = (), **more: Any) -> None:
        """Write a ``hermetic.toml`` with one environment on the channel ``shop``."""
        lines = ["[environments.default]", 'channels = ["shop"]', f"dependencies = {list(dependencies)!r}"]
        lines += [f"pip = {list(pip)!r}"] if pip else []
        lines += ['platforms = ["linux-64"]', *(f"{name} = {value!r}" for name, value in more.items())]
        (self.project / "hermetic.toml").write_text("\n".join(lines) + "\n")

    def shops(self, channel: str | Path, index: str = "") -> None:
        """Say where the channel and the index are from now on."""
        self.environment["HERMETIC_CHANNELS"] = f"shop={channel}"
        if index:
            self.environment["UV_DEFAULT_INDEX"] = f"{index}/simple/"

    def says(self) -> str:
        """Give what the environment's program says: that it runs, and which versions it was built from."""
        ran = subprocess.run([self.prefix / "bin" / "app"], capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    def settled(self) -> None:
        """Assert that nothing is half-written, left over or damaged: in store, project and prefix."""
        store = Store.open(self.store)
        assert store.verify() == ()
        staging = self.store / "staging"
        assert not staging.is_dir() or list(staging.iterdir()) == []
        if self.prefix.is_dir():
            lock = read_lock(self.lock).platforms["linux-64"]
            assert verify_prefix(self.prefix, lock, store=store, config=Config(), offline=True) == ()
        hidden = [path for folder in (self.project, self.lock.parent, self.prefix.parent) for path in folder.glob(".*")]
        assert [path.name for path in hidden if path.name != ".hermetic"] == []


def snapshot(folder: Path) -> dict[str, Any]:
    """Give all that a folder holds: the kind, mode and content of each path."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[path.relative_to(folder).as_posix()] = (status.st_mode, content)
    return found


def make_goods(folder: Path) -> Path:
    """Make a channel and an index's wheels: programs that run, a Python that runs, all tiny."""
    channel, wheels = folder / "channel", folder / "wheels"
    site = f"{hand.PLACEHOLDER}/lib/python{MINOR}/site-packages"
    hand.write_package(
        channel,
        "python",
        f"{MINOR}.9",
        build="h0_0_cpython",
        subdir="linux-64",
        files={
            f"bin/python{MINOR}": f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n',
            "bin/python": hand.Link(f"python{MINOR}"),
            f"lib/python{MINOR}/mod.py": "X = 1\n",
        },
    )
    for version in ("1.0", "2.0"):
        hand.write_package(channel, "base", version, files={"share/base.txt": f"{version} in {hand.PLACEHOLDER}\n"})
        say = f'#!/bin/sh\nread -r base < {hand.PLACEHOLDER}/share/base.txt\necho "app {version} on base $base"\n'
        hand.write_package(channel, "app", version, depends=[f"base {version}"], files={"bin/app": say})
    hand.write_package(channel, "spare", files={f"share/spare/{n}.txt": f"{n}\n" * 50 for n in range(40)})
    hand.index(channel, "linux-64", "noarch")
    make_wheel(wheels, "helper", "1.0")
    make_wheel(wheels, "tool", "1.0", requires=["helper"], scripts={"tool": "tool:main"})
    return folder


def take(project: Path, desk: Desk) -> Desk:
    """Put a copy of a declared and locked project on a desk."""
    shutil.copytree(project, desk.project, dirs_exist_ok=True)
    return desk
