"""Many at once, and some that die: no number is given twice, none is left out, and nothing is half there."""

from __future__ import annotations

import pytest
from crowds import crowd, started
from workspace_samples import definition

from hermetic.errors import UsageError
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress

CROWD = 50


def test_fifty_processes_register_at_once(workspace: Workspace) -> None:
    lines = crowd(workspace.address, "crowd", CROWD)
    assert not [line for line in lines if line.startswith("failed")]
    own, shared = zip(*(map(int, line.split()) for line in lines), strict=True)
    assert len(set(shared)) == 1
    assert sorted([*own, shared[0]]) == list(range(1, CROWD + 2))
    found = workspace.environments.versions("train")
    assert [one.version for one in found] == list(range(1, CROWD + 2))
    for number, version in enumerate(own):
        assert found[version - 1].definition == definition(content=f"own {number}")
    assert [one.version for one in found if "latest" in one.labels] == [workspace.environments.get("train").version]


def test_many_processes_create_one_workspace(address: WorkspaceAddress) -> None:
    lines = crowd(address, "create", 8)
    assert sorted(lines) == ["made", *["there"] * 7]
    assert Workspace.open(address).environments.register(definition()).version == 1


def test_many_processes_lock_one_version(workspace: Workspace) -> None:
    workspace.environments.register(definition())
    held = set(crowd(workspace.address, "lock", 12))
    assert held == {workspace.environments.get("train").lock}
    data = workspace.environments.lock_bytes("train", 1)
    assert data


def test_killed_at_any_step_of_creating(address: WorkspaceAddress) -> None:
    kills = 0
    with started(address, "die-creating", 60) as process:
        assert process.stdin
        assert process.stdout
        while process.stdout.readline() == "killed\n":
            kills += 1
            with pytest.raises(UsageError, match="not there yet"):
                Workspace.open(address)
            process.stdin.write("go on\n")
            process.stdin.flush()
    assert not process.returncode
    assert 15 <= kills < 60
    assert Workspace.open(address).environments.register(definition()).version == 1


@pytest.mark.parametrize("first", [True, False], ids=["first version", "next version"])
def test_killed_at_any_step_of_registering(workspace: Workspace, first: bool) -> None:
    """Killed before each statement of the change and before its commit: afterwards nothing of it is there."""
    environments = workspace.environments
    if not first:
        environments.register(definition(content="old"))
    before = environments.list(archived=True)
    kills = 0
    with started(workspace.address, "die", 20) as process:
        assert process.stdin
        assert process.stdout
        while process.stdout.readline() == "killed\n":
            kills += 1
            assert environments.list(archived=True) == before
            process.stdin.write("go on\n")
            process.stdin.flush()
    assert not process.returncode
    assert 5 <= kills < 20  # in the middle too, not only before and after
    versions = environments.versions("train")
    assert [one.version for one in versions] == ([1] if first else [1, 2])
    assert versions[-1].definition == definition(content="new")
    assert environments.register(definition(content="newer")).version == len(versions) + 1
