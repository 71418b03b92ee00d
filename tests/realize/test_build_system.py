from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import BuildError
from hermetic.realize.build_system import BuildSystem, build_requirements, read_build_system


def read(folder: Path, text: str) -> BuildSystem:
    (folder / "pyproject.toml").write_text(text)
    return read_build_system(folder, "demo")


def test_a_table_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '[build-system]\nrequires = ["flit_core >=3"]\nbuild-backend = "flit_core.buildapi"\nbackend-path = ["tools"]\n'
        '[project]\nname = "demo"\nversion = "1.0"\n',
    )
    assert found == BuildSystem(("flit_core >=3",), "flit_core.buildapi", ("tools",), "1.0")
    assert BuildSystem.from_dict(found.to_dict()) == found


def test_a_project_without_a_table_is_built_by_setuptools(tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    old = read_build_system(tmp_path, "demo")
    assert (old.backend, old.requires) == ("setuptools.build_meta:__legacy__", ("setuptools>=40.8.0",))
    assert read(tmp_path, "[tool.black]\n") == old
    assert read(tmp_path, '[build-system]\nrequires = ["setuptools", "cython"]\n') == BuildSystem(
        ("setuptools", "cython"), "setuptools.build_meta:__legacy__"
    )


def test_a_dynamic_version_is_not_told(tmp_path: Path) -> None:
    assert read(tmp_path, '[project]\nname = "demo"\ndynamic = ["version"]\n').version == ""


@pytest.mark.parametrize(
    "text",
    [
        "[build-system",
        "build-system = 1",
        "[build-system]\n",
        '[build-system]\nrequires = "setuptools"\n',
        "[build-system]\nrequires = [1]\n",
        '[build-system]\nrequires = []\nbuild-backend = ""\n',
        "[build-system]\nrequires = []\nbuild-backend = 1\n",
        '[build-system]\nrequires = []\nbackend-path = ".."\n',
        '[build-system]\nrequires = []\nbackend-path = ["../x"]\n',
        '[build-system]\nrequires = []\nbackend-path = ["/x"]\n',
    ],
)
def test_what_is_not_as_the_peps_say_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BuildError, match=r"demo cannot be built: .*pyproject\.toml"):
        read(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BuildError, match="no TOML"):
        read_build_system(tmp_path, "demo")


def test_a_link_out_of_the_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    read(tmp_path, "")
    (tmp_path / "project" / "pyproject.toml").symlink_to("../pyproject.toml")
    with pytest.raises(BuildError, match="leads out of the source"):
        read_build_system(tmp_path / "project", "demo")


def test_requirements_are_canonical_and_each_stands_once() -> None:
    found = build_requirements(("Setuptools >= 40, <90", "wheel", "setuptools<90,>=40", "a; python_version < '3'"), "x")
    assert [requirement.text for requirement in found] == [
        'a; python_version < "3"', "setuptools<90,>=40", "wheel",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["not a requirement!", "git+https://example.org/x", "a @ ./a", "a @ git+https://e.org/a"]
)
def test_requirements_that_no_wheel_serves_are_refused(text: str) -> None:
    with pytest.raises(BuildError, match="demo cannot be built"):
        build_requirements((text,), "demo")
