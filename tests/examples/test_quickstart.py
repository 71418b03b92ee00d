"""The README's first command does what it says, on a channel that is there already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.needs import require

ROOT = Path(__file__).parent.parent.parent
QUICKSTART = ROOT / "examples" / "quickstart.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the embedded channel is made on Linux")
def test_the_main_job_from_nothing_to_nothing_to_do(channel: Path, tmp_path: Path) -> None:
    """Only the installation of hermetic is left out: the one that runs this test stands in its place."""
    program = Path(sys.executable).parent / "hermetic"
    require(program.is_file(), "hermetic is not installed beside this Python")
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/hermetic").symlink_to(program)
    (venv / "installed-for").write_text(f"{ROOT}\n{(ROOT / 'pyproject.toml').read_text()}")
    (tmp_path / "project").mkdir()
    subprocess.run(["cp", "-a", channel, tmp_path / "project/channel"], check=True)
    done = subprocess.run(
        [sys.executable, QUICKSTART, "--directory", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HERMETIC_STORE": "/nonexistent", "HERMETIC_CHANNELS": "embedded=/nonexistent"},
    )
    require("could not resolve" not in done.stderr and "network" not in done.stderr, "no index of wheels is reachable")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hello from a locked environment" in done.stdout
    assert "| mean |" in done.stdout  # pandas, by way of tabulate: a conda package and a wheel work together
    assert "nothing to do" in done.stdout
    assert (tmp_path / "project/lockfiles/default.lock.json").is_file()


def test_the_project_is_what_the_repository_holds() -> None:
    names = {path.name for path in (ROOT / "examples/quickstart").iterdir()}
    assert {"environment.yml", "hello.py"} <= names
