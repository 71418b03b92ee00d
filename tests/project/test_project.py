"""Which file declares a project, and what is told of those beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import UsageError
from hermetic.project.project import open_project

YAML = "channels: [demo]\ndependencies: [numpy]\n"


def told(folder: Path) -> tuple[str, ...]:
    return open_project(str(folder)).declaration("default").warnings


def test_of_several_spec_files_the_unread_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(YAML)
    assert told(tmp_path) == ()
    (tmp_path / "requirements.txt").write_text("rich\n")
    (warning,) = told(tmp_path)
    assert "environment.yml declares" in warning
    assert "requirements.txt beside it is not read" in warning
    assert "hermetic init" in warning


def test_a_pyproject_that_only_configures_tools_is_no_spec_file(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(YAML)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert told(tmp_path) == ()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "ours"\nversion = "1"\n')
    assert "pyproject.toml beside it is not read" in told(tmp_path)[0]


def test_a_file_that_is_included_is_read(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("dependencies:\n  - python\n  - pip:\n    - -r requirements.txt\n")
    (tmp_path / "requirements.txt").write_text("rich\n")
    assert told(tmp_path) == ()


@pytest.mark.parametrize("kind", ["a folder", "a link to nothing"])
def test_what_is_no_file_is_not_passed_over(tmp_path: Path, kind: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "ours"\nversion = "1"\n')
    path = tmp_path / "environment.yml"
    if kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere.yml")
    with pytest.raises(UsageError, match=f"environment.yml .* is {kind}"):
        open_project(str(tmp_path))
