"""Which lock a build takes, and when it is mended first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hermetic.errors import DriftError, UsageError
from hermetic.events import SILENT
from hermetic.platforms import PLATFORMS, current_platform
from hermetic.project.building import fitting_lock, platform_lock
from hermetic.project.editing import add_requirements, init_project
from hermetic.project.locking import lock_environments
from hermetic.project.project import open_project

OTHER = next(platform for platform in PLATFORMS if platform != current_platform())


@pytest.fixture
def project(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    folder = tmp_path / "project"
    folder.mkdir()
    init_project(str(folder), "default", channels=[f"tiny={tiny_channel}"])
    add_requirements(str(folder), None, ["app"], lock=False)
    return str(folder)


def test_a_lock_of_another_platform_gains_this_one_and_keeps_its_own(project: str) -> None:
    (outcome,) = lock_environments(project, platforms=[OTHER])
    before = json.loads(outcome.path.read_text())["platforms"]
    opened = open_project(project)
    lock = fitting_lock(opened, opened.declaration("default"), locked=False, offline=False, reporter=SILENT)
    assert set(lock.platforms) == {OTHER, current_platform()}
    assert json.loads(outcome.path.read_text())["platforms"][OTHER]["key"] == before[OTHER]["key"]


def test_a_platform_that_is_not_declared_is_refused(project: str) -> None:
    manifest = Path(project) / "hermetic.toml"
    manifest.write_text(manifest.read_text() + f'platforms = ["{OTHER}"]\n')
    lock_environments(project)
    opened = open_project(project)
    declaration = opened.declaration("default")
    lock = fitting_lock(opened, declaration, locked=True, offline=False, reporter=SILENT)
    with pytest.raises(UsageError, match=f"not for {current_platform()}"):
        platform_lock(lock, declaration)


def test_locked_refuses_a_missing_and_a_stale_lock(project: str) -> None:
    opened = open_project(project)
    with pytest.raises(DriftError, match="no lock"):
        fitting_lock(opened, opened.declaration("default"), locked=True, offline=False, reporter=SILENT)
    lock_environments(project)
    add_requirements(project, None, ["base <2"], lock=False)
    with pytest.raises(DriftError, match="base"):
        fitting_lock(opened, open_project(project).declaration("default"), locked=True, offline=False, reporter=SILENT)
