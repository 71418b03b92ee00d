"""A version is built in a process of its own: the log, the lock, the image and where it is are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import channel as hand
from support.yard import Yard

from hermetic.errors import UnsatisfiableError, UsageError
from hermetic.lock.file import parse_lock
from hermetic.workspace.builds.model import FAILED, SUCCEEDED


def test_without_registry_and_engine_the_image_is_a_layout_in_the_workspace(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    build = workspace.builds.start(version)
    told = "".join(workspace.builds.follow(build.id))
    ended = workspace.builds.get(build.id)
    assert ended.state == SUCCEEDED, told
    assert "locking train:1" in told
    assert told == workspace.builds.log(build.id)
    assert ended.seconds > 0
    assert ended.finished_at > ended.started_at > ended.created_at
    layout = Path(ended.result["layout"])
    assert layout.is_relative_to(workspace.address.folder)
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == ended.result["digest"]
    (image,) = workspace.environments.images("train")
    assert (image.version, image.platform, image.digest, image.pushed) == (1, "linux-64", entry["digest"], False)
    assert image.reference == f"oci:{layout}:{ended.result['reference']}"
    assert list((workspace.address.folder / "builds").iterdir()) == []


def test_a_version_keeps_its_lock_whatever_the_channel_has_meanwhile(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    first = workspace.builds.wait(workspace.builds.start(version).id)
    hand.write_package(yard.channel, "app", "2.0", depends=["base"], files={"bin/app": "#!/bin/sh\n"})
    hand.index(yard.channel)
    again = workspace.builds.wait(workspace.builds.start(version).id)
    assert again.result["digest"] == first.result["digest"]
    assert (again.lock, again.result["changed"]) == (first.lock, False)
    assert workspace.environments.get("train").lock == first.lock
    data = workspace.environments.lock_bytes("train", 1)
    assert data
    (platform,) = parse_lock(data).platforms.values()
    assert platform.image
    assert platform.image.base.reference == "scratch"


def test_what_cannot_be_met_is_told_and_kept(yard: Yard) -> None:
    workspace = yard.workspace()
    build = workspace.builds.start(yard.registered(workspace, "train", "app >=9"))
    ended = workspace.builds.wait(build.id)
    assert ended.state == FAILED
    error = ended.failure()
    assert isinstance(error, UnsatisfiableError)
    assert "app" in error.message
    assert error.message.splitlines()[0] in workspace.builds.log(build.id)
    assert (workspace.environments.images("train"), ended.result, ended.lock) == ([], {}, "")
    assert [found.id for found in workspace.builds.list("train")] == [build.id]
    assert list((workspace.address.folder / "builds").iterdir()) == []
    assert workspace.builds.start(workspace.environments.get("train")).id != build.id


def test_a_build_that_is_not_there_is_refused(yard: Yard) -> None:
    with pytest.raises(UsageError, match="there is no build 7"):
        yard.workspace().builds.log(7)
