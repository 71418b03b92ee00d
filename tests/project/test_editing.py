"""Declaring environments: a manifest that is made, added to, and never half-written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.errors import HermeticError, UsageError
from hermetic.events import Silent
from hermetic.project.editing import init_project, manifest_text
from hermetic.project.project import open_project


def test_init_declares_an_environment_that_can_be_read(tmp_path: Path) -> None:
    init_project(str(tmp_path), "default", platforms=["linux-64"], accelerator="cuda-12.4", system=["glibc=2.35"])
    spec = open_project(str(tmp_path)).declaration("default").spec
    assert spec.channels == ("conda-forge",)
    assert spec.platforms == ("linux-64",)
    assert str(spec.accelerator) == "cuda-12.4"
    assert spec.system == (("__glibc", "2.35"),)


def test_init_takes_the_spec_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("channels: [demo]\ndependencies: [numpy]\n")
    init_project(str(tmp_path), "default")
    spec = open_project(str(tmp_path)).declaration("default").spec
    assert spec.channels == ("demo",)
    assert [requirement.match for requirement in spec.conda] == ["numpy"]


def test_a_second_environment_joins_the_first_and_comments_live(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    path = init_project(str(tmp_path), "default")
    path.write_text("# ours\n" + path.read_text())
    init_project(str(tmp_path), "train", channels=[f"demo={tmp_path}/channel"])
    assert path.read_text().startswith("# ours\n")
    project = open_project(str(tmp_path))
    assert project.names == ("default", "train")
    assert project.channels == {"demo": "channel"}
    assert project.declaration("train").spec.channels == ("demo",)


def test_declaring_twice_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = init_project(str(tmp_path), "default")
    before = path.read_text()
    with pytest.raises(UsageError, match="declared already"):
        init_project(str(tmp_path), "default")
    assert path.read_text() == before


@pytest.mark.parametrize(
    "bad",
    [
        {"platforms": ["amiga-68k"]},
        {"accelerator": "abacus"},
        {"system": ["glibc"]},
        {"system": ["colour=1"]},
        {"name": "a b/"},
        {"spec_files": ["nosuch.yml"]},
        {"channels": ["demo=./nosuch"]},
        {"channels": ["demo="]},
        {"channels": ["=https://example.org/demo"]},
        {"channels": ["demo=https://example.org/a", "demo=https://example.org/b"]},
    ],
)
def test_bad_words_are_refused_with_a_remedy_before_anything_is_written(tmp_path: Path, bad: dict) -> None:
    with pytest.raises(HermeticError) as error:
        init_project(str(tmp_path), **{"name": "default", **bad})
    assert error.value.exit_status == 2
    assert error.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "channel",
    [
        "ours=https://bob:s3cret@example.org/x",
        "ours=https://example.org/t/s3cret/x",
        "https://bob:s3cret@example.org/x",
        "=https://bob:s3cret@example.org/x",
    ],
)
def test_a_password_is_no_part_of_a_manifest(tmp_path: Path, channel: str) -> None:
    with pytest.raises(UsageError) as error:
        init_project(str(tmp_path), "default", channels=[channel])
    assert "s3cret" not in str(error.value)
    assert error.value.remedy
    assert not list(tmp_path.iterdir())
    init_project(str(tmp_path), "default", channels=["ours=https://${WHO}:${TOKEN}@example.org/x"])
    assert open_project(str(tmp_path)).channels == {"ours": "https://${WHO}:${TOKEN}@example.org/x"}


def test_a_spec_file_that_cannot_be_read_as_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Ours\n\nThis is how it works.\n")
    with pytest.raises(UsageError) as error:
        init_project(str(tmp_path), "default", spec_files=[str(tmp_path / "README.md")])
    assert error.value.place == (str(tmp_path / "README.md"), 3)
    assert not (tmp_path / "hermetic.toml").exists()


class Told(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_init_takes_all_spec_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("channels: [demo]\ndependencies: [numpy]\n")
    (tmp_path / "requirements.txt").write_text("rich\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "ours"\ndependencies = ["flask"]\n')
    told = Told()
    init_project(str(tmp_path), "default", reporter=told)
    spec = open_project(str(tmp_path)).declaration("default").spec
    assert ([item.name for item in spec.conda], [item.name for item in spec.pip]) == (["numpy"], ["rich"])
    assert [line.split()[0] for line in told.warnings] == ["pyproject.toml"]
    assert "--from" in told.warnings[0]


def test_a_file_that_another_includes_is_not_taken_twice(tmp_path: Path) -> None:
    text = "channels: [demo]\ndependencies:\n  - python\n  - pip:\n    - -r requirements.txt\n"
    (tmp_path / "environment.yml").write_text(text)
    (tmp_path / "requirements.txt").write_text("rich\n")
    path = init_project(str(tmp_path), "default")
    assert tomllib.loads(path.read_text())["environments"]["default"]["from"] == ["environment.yml"]


@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True),
    channels=st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=3),
    words=st.lists(st.text(max_size=12), max_size=3),
)
def test_a_written_manifest_is_read_as_it_was_meant(name: str, channels: dict[str, str], words: list[str]) -> None:
    text = manifest_text(channels, name, {"dependencies": words, "system": {"glibc": "2.36"}})
    found = tomllib.loads(text)
    assert found.get("channels", {}) == channels
    assert found["environments"] == {name: {"dependencies": words, "system": {"glibc": "2.36"}}}


def test_what_is_said_twice_is_written_once_and_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    twice = ["linux-64", "osx-arm64", "linux-64"]
    path = init_project(str(tmp_path), "default", platforms=twice, system=["glibc=2.36", "glibc=2.36"])
    declared = tomllib.loads(path.read_text())["environments"]["default"]
    assert (declared["platforms"], declared["system"]) == (["linux-64", "osx-arm64"], {"glibc": "2.36"})
    with pytest.raises(UsageError, match=r"glibc has two versions: 2\.36 and 2\.35"):
        init_project(str(tmp_path), "other", system=["glibc=2.36", "glibc=2.35"])
