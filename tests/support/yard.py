"""A workspace to build in: a tiny channel, a store, no Docker Engine and no registry unless a test has one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hermetic.digest import key
from hermetic.workspace.model import Definition, EnvironmentVersion
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import address_in
from support.faulty import FaultyServer, faulty


@dataclass
class Yard:
    """A folder with a channel, and workspaces in it."""

    root: Path
    patch: pytest.MonkeyPatch
    database: str = ""
    channel_folder: Path | None = None

    @property
    def channel(self) -> Path:
        return self.channel_folder or self.root / "channel"

    @property
    def folder(self) -> Path:
        return self.root / "workspace"

    def workspace(self, **values: str) -> Workspace:
        return Workspace.create(address_in(self.folder, "team", {"database": self.database, **values}), exist_ok=True)

    @contextmanager
    def gate(self) -> Iterator[FaultyServer]:
        """Have the channel behind a gate: ``busy`` is set when somebody stands before it; set ``opened`` to open it."""
        with faulty(self.channel) as server:
            server.fault("/app-", _wait)
            self.patch.setenv("HERMETIC_CHANNELS", f"shop={server.url} conda-forge={server.url}")
            try:
                yield server
            finally:
                server.opened.set()

    def registered(
        self, workspace: Workspace, name: str, *conda: str, variables: Mapping[str, str] | None = None, **docker: object
    ) -> EnvironmentVersion:
        """Register an environment of conda packages; ``docker`` as in azureml_environment.json."""
        document = {
            "name": name,
            "environmentVariables": dict(variables or {}),
            "docker": {"baseImage": "scratch", **docker},
        }
        files = {
            "azureml_environment.json": json.dumps(document),
            "conda_dependencies.yml": json.dumps({"channels": ["shop"], "dependencies": list(conda)}),
        }
        return workspace.environments.register(Definition(name, key("test", files), files))


def _wait(handler: Any) -> None:
    handler.server_state.busy.set()
    handler.server_state.opened.wait()
    handler.behave()


def builders(folder: Path) -> dict[int, Path]:
    """Give the processes that build in a workspace's folder, with the file that each holds."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = [str(handle.readlink()).removesuffix(" (deleted)") for handle in (process / "fd").iterdir()]
        except OSError:  # gone, or another user's
            continue
        mine = [path for path in held if path.startswith(str(folder)) and path.endswith(".held")]
        if mine:
            found[int(process.name)] = Path(mine[0])
    return found


def until(condition: Callable[[], object]) -> None:
    """Wait for what is sure to come."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
