"""Packs, as a user meets them: from the command line here, and with nothing but a shell there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.desk import Desk

from hermetic.digest import sha256_file


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, channel: Path) -> Desk:
    """A project with a Python and numpy."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk("init", "--channel", f"demo={channel}", "--system", "glibc=2.99")
    desk("add", "python", "numpy")
    return desk


def test_an_environment_travels_in_one_file(desk: Desk, tmp_path: Path) -> None:
    answer = json.loads(desk("pack", "-o", "env.sh", "--json").stdout)
    file = desk.project / "env.sh"
    assert answer["size"] == file.stat().st_size
    assert answer["sha256"] == sha256_file(file)
    there = tmp_path / "another machine"
    there.mkdir()
    moved = file.rename(there / "env.sh")
    prefix = there / "opt" / "env"
    subprocess.run(["sh", moved, "--prefix", prefix], env={"PATH": "/usr/bin:/bin"}, check=True)
    code = "import numpy, sys; print(numpy.arange(3).sum(), sys.prefix)"
    said = subprocess.run([prefix / "bin/python3", "-c", code], env={}, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"3 {prefix}"
    assert "is what its lock says, file by file" in desk("verify", str(prefix), "-e", "default").stdout
    assert not json.loads(desk("build", "--prefix", str(prefix), "--json").stdout)["changed"]


def test_a_pack_has_a_name_of_its_own_and_is_the_same_again(desk: Desk) -> None:
    said = desk("pack").stdout
    file = desk.project / "default-linux-64.sh"
    first = sha256_file(file)
    assert f"sha256:{first}" in said
    assert "sh default-linux-64.sh --prefix DIR" in said
    desk("pack", "-q", "--offline", "--locked")
    assert sha256_file(file) == first


def test_a_missing_lock_and_a_file_that_cannot_be_written_are_said(desk: Desk) -> None:
    lock = desk.lock.read_bytes()
    desk.lock.unlink()
    assert "no lock" in desk("pack", "-o", "none.sh", "--locked", status=1).stderr
    desk.lock.write_bytes(lock)
    (desk.project / "folder").mkdir()
    assert "folder is a folder" in desk("pack", "-o", "folder", status=2).stderr
    assert "cannot pack /proc/env.sh" in desk("pack", "-o", "/proc/env.sh", status=6).stderr
    assert not list(desk.project.glob("none*"))
    assert not list((desk.project / "folder").iterdir())
