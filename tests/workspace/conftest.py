"""Every contract of the database holds on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress, address_in


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> WorkspaceAddress:
    """A workspace's address, where nothing is so far."""
    values = {}
    if request.param == "postgresql":
        values["database"] = request.getfixturevalue("postgres").new_schema()
    return address_in(tmp_path / "workspace", "team", values)


@pytest.fixture
def workspace(address: WorkspaceAddress) -> Iterator[Workspace]:
    """An empty workspace."""
    workspace = Workspace.create(address)
    yield workspace
    workspace.close()
