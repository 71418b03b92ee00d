"""An environment that somebody damaged: nothing is said to be in order that is not, and the host's programs do not
run in its place."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.desk import Desk, make_goods
from support.needs import suits


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    suits(sys.platform == "linux", "the tiny programs are for Linux")
    return make_goods(tmp_path_factory.mktemp("goods"))


@pytest.fixture
def desk(tmp_path: Path, goods: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.shops(goods / "channel")
    desk.declare("python", "app")
    desk("build")
    assert "nothing to do" in desk("build").stdout
    yield desk
    desk.settled()


@pytest.mark.parametrize("lost", ["bin", "bin/python", "bin/app", "share", "conda-meta"])
def test_what_is_lost_is_built_anew(desk: Desk, lost: str) -> None:
    path = desk.prefix / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if lost == "conda-meta":  # with it went the note that says whose the folder is
        assert "hermetic build --force" in desk("build", status=2).stderr
        desk("build", "--force")
    assert "nothing to do" not in desk("build").stdout or lost == "conda-meta"
    assert path.exists()
    assert "nothing to do" in desk("build").stdout
    assert desk.says().startswith("app 2.0 on base 2.0")


@pytest.mark.parametrize("lost", ["bin", "bin/python"])
def test_the_hosts_program_does_not_run_in_its_place(desk: Desk, lost: str) -> None:
    path = desk.prefix / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    ran = desk("run", "default", "--", "sh", "-c", "command -v python")
    assert ran.stdout.strip() == str(desk.prefix / "bin" / "python")


def test_what_is_added_is_no_damage(desk: Desk) -> None:
    added = desk.prefix / "bin" / "mine"
    added.write_text("")
    for _ in range(3):
        assert "nothing to do" in desk("build").stdout
    assert added.exists()
    added.unlink()
    assert "nothing to do" in desk("build").stdout


def test_the_hosts_python_is_named_where_the_environment_has_none(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    for name in ("python", "sh"):
        (tmp_path / "hosts" / name).write_text('#!/bin/sh\necho "the host\'s"\n')
        (tmp_path / "hosts" / name).chmod(0o755)
    path = f"{tmp_path / 'hosts'}:{desk.variables({})['PATH']}"
    assert "the host's" not in desk("run", "--", "python", "-c", "1", PATH=path).stdout
    desk.declare("app")
    ran = desk("run", "--", "python", PATH=path)
    assert ran.stdout == "the host's\n"
    assert f"default has no python: {tmp_path}/hosts/python runs" in ran.stderr
    assert "has no" not in desk("run", "--", "sh", PATH=path).stderr


def test_verify_says_which_build_mends_what(desk: Desk, tmp_path: Path) -> None:
    note = desk.prefix / "share" / "base.txt"
    note.write_text("mine\n")
    assert "'hermetic build default --force' mends it" in desk("verify", status=1).stdout
    desk("build", "--force")
    desk("build", "--prefix", str(tmp_path / "other"))
    (tmp_path / "other" / "share" / "base.txt").write_text("mine\n")
    command = f"hermetic build default --prefix {tmp_path}/other --force"
    assert f"'{command}' mends it" in desk("verify", str(tmp_path / "other"), status=1).stdout
    desk(*command.split()[1:])
    assert "file by file" in desk("verify", str(tmp_path / "other")).stdout
    desk("add", "spare")
    assert "'hermetic build default' builds what the lock says now" in desk("verify", status=1).stdout
    desk("build", "default")
    assert "file by file" in desk("verify").stdout


def test_a_folder_that_lost_its_note_is_replaced_by_force_and_only_at_home(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other"
    desk("build", "--prefix", str(other))
    for prefix in (desk.prefix, other):
        (prefix / "conda-meta" / "hermetic").unlink()
    assert "'hermetic build default --force' builds it anew" in desk("verify", status=2).stderr
    assert "--force" in desk("build", "default", status=2).stderr
    desk("build", "default", "--force")
    assert "file by file" in desk("verify").stdout
    assert "remove the folder yourself" in desk("build", "--prefix", str(other), "--force", status=2).stderr
    assert (other / "bin" / "app").exists()
