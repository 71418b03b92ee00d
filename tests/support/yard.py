"""A workspace to build in: a tiny channel, a store, no Docker Engine and no registry unless a test has one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from hermetic.digest import key
from hermetic.workspace.model import Definition, EnvironmentVersion
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import address_in


@dataclass
class Yard:
    """A folder with a channel, and workspaces in it."""

    root: Path
    patch: pytest.MonkeyPatch

    @property
    def channel(self) -> Path:
        return self.root / "channel"

    def workspace(self, name: str = "team", **values: str) -> Workspace:
        return Workspace.create(address_in(self.root / "workspace", name, values), exist_ok=True)

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
