"""The main job as a user does it: declare, lock, build, run, build again; and what happens when it goes wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Hermetic = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def hermetic(project: Path, tmp_path: Path) -> Hermetic:
    def call(*arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-c", "from hermetic.cli import main; main()", *arguments],
            cwd=project,
            env={**os.environ, "HERMETIC_STORE": str(tmp_path / "store"), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status, f"{arguments} gave {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    return call


@pytest.fixture
def tiny(hermetic: Hermetic, tiny_channel: Path) -> Hermetic:
    """A project on the channel made by hand, declared but not locked."""
    hermetic("init", "--channel", f"tiny={tiny_channel}", "--platform", "linux-64", "--platform", "osx-arm64")
    return hermetic


def needed_glibc(channel: Path) -> str:
    """Read from the repodata what the channel's packages demand of a machine."""
    found = re.findall(r"__glibc >=([\d.]+)", (channel / "linux-64" / "repodata.json").read_text())
    return max(found, key=lambda version: [int(part) for part in version.split(".")])


@pytest.fixture
def real(hermetic: Hermetic, channel: Path) -> Hermetic:
    """A project on the real channel, with numpy, locked."""
    hermetic("init", "--channel", f"demo={channel}", "--system", f"glibc={needed_glibc(channel)}")
    hermetic("add", "python=3.11", "numpy")
    return hermetic


def test_from_nothing_to_a_running_environment(real: Hermetic, project: Path) -> None:
    built = json.loads(real("build", "--json").stdout)
    assert built["changed"]
    out = real("run", "default", "--", "python", "-c", "import numpy, sys; print(numpy.zeros(3).sum(), sys.prefix)")
    assert out.stdout == f"0.0 {project}/.hermetic/envs/default\n"
    again = real("build")
    assert "nothing to do" in again.stdout
    assert "file by file" in real("verify").stdout


def test_a_new_pin_is_added_and_no_other_moves(real: Hermetic, project: Path) -> None:
    lock = project / "lockfiles" / "default.lock.json"
    before = json.loads(lock.read_text())["platforms"]["linux-64"]["conda"]
    real("add", "pandas")
    after = json.loads(lock.read_text())["platforms"]["linux-64"]["conda"]
    assert "pandas" not in before
    assert "pandas" in after
    assert {name: after[name] for name in before} == before
    real("remove", "pandas")
    assert json.loads(lock.read_text())["platforms"]["linux-64"]["conda"].keys() == before.keys()


def test_verify_names_what_was_changed_added_and_lost(real: Hermetic, project: Path) -> None:
    real("build")
    prefix = project / ".hermetic" / "envs" / "default"
    with (prefix / "lib/python3.11/os.py").open("a") as file:
        file.write("# mine\n")
    (prefix / "lib/python3.11/this.py").unlink()
    (prefix / "bin" / "mine").write_text("mine\n")
    findings = json.loads(real("verify", "--json", status=1).stdout)["findings"]
    kinds = {finding["path"]: finding["kind"] for finding in findings}
    assert kinds["lib/python3.11/os.py"] == "changed"
    assert kinds["lib/python3.11/this.py"] == "lost"
    assert kinds["bin/mine"] == "added"
    # the store is not the environment: another build is as the lock says
    real("build", "--prefix", str(project / "other"))
    assert "file by file" in real("verify", str(project / "other")).stdout
    assert "--force" in real("verify", status=1).stdout
    assert "nothing to do" in real("build").stdout
    real("build", "--force")
    assert "file by file" in real("verify").stdout


def test_a_lock_for_two_platforms_and_its_check(tiny: Hermetic, project: Path) -> None:
    tiny("add", "app", "base")
    assert set(json.loads((project / "lockfiles/default.lock.json").read_text())["platforms"]) == {
        "linux-64",
        "osx-arm64",
    }
    tiny("lock", "--check")
    manifest = project / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace('"app"', '"app <2"'))
    stale = tiny("lock", "--check", status=1)
    assert "app" in stale.stdout
    assert "hermetic.toml:" in stale.stdout
    tiny("build", "--locked", status=1)
    tiny("lock")
    tiny("lock", "--check")


def test_update_moves_only_what_it_must(tiny: Hermetic, project: Path) -> None:
    tiny("add", "app <2", "left")
    manifest = project / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace('"app <2", "left"', '"app"'))
    tiny("lock")
    lock = json.loads((project / "lockfiles/default.lock.json").read_text())
    assert lock["platforms"]["linux-64"]["conda"]["app"]["version"] == "1.5", "an old pin that fits is kept"
    moved = tiny("lock", "--update", "app")
    assert "1.5" in moved.stdout
    assert "2.0" in moved.stdout


def test_an_unsatisfiable_request_is_explained_and_changes_nothing(tiny: Hermetic, project: Path) -> None:
    tiny("add", "left")
    before = (project / "hermetic.toml").read_bytes(), (project / "lockfiles/default.lock.json").read_bytes()
    failed = tiny("add", "right", status=3)
    assert "left" in failed.stderr
    assert "right" in failed.stderr
    assert ((project / "hermetic.toml").read_bytes(), (project / "lockfiles/default.lock.json").read_bytes()) == before
    assert "hermetic.toml is as it was: nothing was changed" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["build", "nothere"], 2, "nothere"),
        (["add", "no-such-package-anywhere"], 3, "no-such-package-anywhere"),
        (["add", "numpy >=1.0,,"], 2, "numpy"),
        (["add", "--pip", "requests >>2"], 2, "requests"),
        (["lock", "--platform", "amiga"], 2, "amiga"),
        (["lock", "--exclude-newer", "tomorrow"], 2, "tomorrow"),
        (["lock", "--update", "nothere"], 2, "nothere"),
        (["tree"], 1, "no lock"),
        (["verify"], 2, "not built"),
        (["diff", "x.lock.json", "default"], 2, "x.lock.json"),
        (["import", "nothere.yml"], 2, "nothere.yml"),
        (["run", "default", "--"], 2, "no command"),
    ],
)
def test_bad_input_says_what_and_what_to_do(tiny: Hermetic, arguments: list[str], status: int, says: str) -> None:
    result = tiny(*arguments, status=status)
    assert says in result.stderr
    assert "internal error" not in result.stderr


def test_errors_are_json_where_json_was_asked_for(tiny: Hermetic) -> None:
    error = json.loads(tiny("build", "nothere", "--json", status=2).stderr)["error"]
    assert error["code"] == "usage"
    assert error["exit_status"] == 2
    assert error["remedy"]


def test_a_lock_edited_by_hand_is_refused_with_its_line(tiny: Hermetic, project: Path) -> None:
    tiny("add", "app")
    lock = project / "lockfiles" / "default.lock.json"
    lock.write_text(lock.read_text().replace('"version": "2.0"', '"version": "9.9"'))
    result = tiny("build", status=5)
    assert "default.lock.json:" in result.stderr
    assert "hermetic lock" in result.stderr
    tiny("lock")
    tiny("lock", "--check")


def test_outside_a_project_every_verb_says_how_to_begin(hermetic: Hermetic) -> None:
    for verb in (["build"], ["lock"], ["tree"], ["add", "x"], ["verify"], ["run", "default", "--", "true"]):
        assert "hermetic init" in hermetic(*verb, status=2).stderr


def test_tree_why_and_diff_answer_in_text_and_json(tiny: Hermetic, project: Path) -> None:
    tiny("add", "app <2")
    old = project / "old.lock.json"
    old.write_bytes((project / "lockfiles/default.lock.json").read_bytes())
    assert "base" in tiny("tree").stdout
    assert "app" in tiny("why", "base").stdout
    tiny("add", "app=2")
    assert "1.5" in tiny("diff", "old.lock.json", "default", status=1).stdout
    assert json.loads(tiny("diff", "old.lock.json", "default", "--json", status=1).stdout)
    tiny("diff", "default", "default")


def test_an_exported_lock_comes_back_the_same(tiny: Hermetic, project: Path) -> None:
    tiny("add", "app", "base")
    tiny("export", "--format", "conda-lock", "-o", "conda-lock.yml")
    tiny("init", "other", "--channel", "tiny")
    tiny("add", "-e", "other", "--no-lock", "app", "base")
    tiny("import", "conda-lock.yml", "--name", "other")
    locks = [json.loads((project / f"lockfiles/{name}.lock.json").read_text()) for name in ("default", "other")]
    assert [lock["platforms"]["linux-64"]["key"] for lock in locks] == [locks[0]["platforms"]["linux-64"]["key"]] * 2
    assert "already" in tiny("import", "conda-lock.yml", "--name", "other", status=2).stderr


def test_what_was_asked_for_is_printed_even_when_quiet(tiny: Hermetic) -> None:
    assert tiny("lock", "-q").stdout == ""
    assert tiny("tree", "-q").stdout == "no packages\n"
    tiny("add", "app <2", "-q")
    assert "base" in tiny("tree", "-q", "--flat").stdout
    assert "app" in tiny("why", "base", "-q").stdout
    assert "blobs" in tiny("store", "info", "-q").stdout


def test_an_export_says_what_it_leaves_out(tiny: Hermetic) -> None:
    tiny("add", "app")
    left_out = tiny("export", "-f", "requirements")
    assert "left out: app, base" in left_out.stderr
    assert "app" not in left_out.stdout
    assert tiny("export", "-f", "explicit").stderr == ""
    exported = json.loads(tiny("export", "-f", "requirements", "--json").stdout)
    assert exported == {"format": "requirements", "text": left_out.stdout}


def test_the_state_folder_stays_out_of_git(tiny: Hermetic, project: Path) -> None:
    tiny("lock")
    tiny("lock", "--check")
    ignore = project / ".hermetic" / ".gitignore"
    assert ignore.read_text() == "*\n"
    ignore.write_text("!/envs\n")
    tiny("add", "base")
    tiny("build")
    assert ignore.read_text() == "!/envs\n", "what a person wrote there stays"
    ignore.unlink()
    tiny("build", "--force")
    assert ignore.read_text() == "*\n"


def test_a_lock_that_is_not_there_is_drift_for_every_verb(tiny: Hermetic, project: Path) -> None:
    tiny("add", "base")
    tiny("build")
    (project / "lockfiles" / "default.lock.json").unlink()
    for words in (["verify"], ["tree"], ["why", "base"], ["build", "--locked"], ["lock", "--check"]):
        refused = tiny(*words, status=1)
        assert "hermetic lock" in refused.stdout + refused.stderr


def test_a_command_in_the_only_environment_needs_no_name(tiny: Hermetic, project: Path) -> None:
    tiny("add", "base")
    assert tiny("run", "--", "sh", "-c", "echo $CONDA_PREFIX").stdout == f"{project}/.hermetic/envs/default\n"
    assert tiny("run", "default", "--locked", "--", "sh", "-c", "exit 7", status=7).stdout == ""
    refused = tiny("run", "python", "x.py", status=2)
    assert "hermetic run -- python" in refused.stderr
    assert "default" in refused.stderr
