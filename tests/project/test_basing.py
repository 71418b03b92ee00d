"""Bases in a project's locks: kept when packages move, pinned, and shown when they move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hermetic.lock.file import read_lock, write_lock
from hermetic.lock.model import Base, ImagePlan
from hermetic.plan.layers import plan_layers
from hermetic.platforms import current_platform
from hermetic.project.editing import add_requirements, init_project
from hermetic.project.locking import LockOutcome, lock_environments

HERE = current_platform()
BASE = Base("team/base:1", index="sha256:" + "c" * 64, manifest="sha256:" + "d" * 64)


@pytest.fixture
def project(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    folder = tmp_path / "project"
    folder.mkdir()
    init_project(str(folder), "default", channels=[f"tiny={tiny_channel}"])
    add_requirements(str(folder), None, ["app <2", "python"], lock=False)
    return str(folder)


def imaged(outcome: LockOutcome) -> ImagePlan:
    """Write an image plan into a lock, as `hermetic build --image` does."""
    platform = outcome.lock.platforms[HERE]
    image = ImagePlan(BASE, plan_layers(platform))
    platforms = {**outcome.lock.platforms, HERE: replace(platform, image=image)}
    write_lock(replace(outcome.lock, platforms=platforms), outcome.path)
    return image


def test_an_image_is_kept_when_nothing_moves(project: str) -> None:
    (first,) = lock_environments(project)
    imaged(first)
    before = first.path.read_bytes()
    (again,) = lock_environments(project)
    assert first.path.read_bytes() == before
    assert not again.moves


def test_a_new_package_joins_the_layers_that_there_are(project: str) -> None:
    (first,) = lock_environments(project)
    image = imaged(first)
    add_requirements(project, None, ["left"])
    after = read_lock(first.path).platforms[HERE].image
    assert after
    assert after.base == BASE
    had = {package: layer.name for layer in image.layers for package in layer.packages}
    has = {package: layer.name for layer in after.layers for package in layer.packages}
    assert had.items() <= has.items()
    assert "left" in has


def test_a_platform_without_an_image_gets_none(project: str) -> None:
    lock_environments(project)
    (again,) = lock_environments(project, update=["*"])
    assert '"image"' not in again.path.read_text()
