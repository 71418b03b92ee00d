"""``hermetic environment build|builds|log|cancel``: in processes of their own, as a person or a script calls them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.yard import Yard, builders, until

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()


@pytest.fixture
def yard(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A project with a workspace and a definition in ``train``."""
    for name in [name for name in os.environ if name.startswith("HERMETIC_") and name != "HERMETIC_REQUIRE_ALL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    (tmp_path / "hermetic.toml").write_text('[workspace]\nname = "team"\n')
    define(tmp_path, "app")
    yield Yard(tmp_path, monkeypatch, channel_folder=tiny_channel)
    until(lambda: not builders(tmp_path))


def define(root: Path, package: str) -> None:
    (root / "train").mkdir(exist_ok=True)
    document = {"name": "train", "docker": {"baseImage": "scratch"}}
    (root / "train" / "azureml_environment.json").write_text(json.dumps(document))
    (root / "train" / "conda_dependencies.yml").write_text(f"channels: [conda-forge]\ndependencies: ['{package}']\n")


def begin(yard: Yard, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hermetic", "environment", *words],
        cwd=yard.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def call(yard: Yard, *words: str, status: int = 0) -> tuple[str, str]:
    process = begin(yard, *words)
    said = process.communicate(timeout=120)
    assert process.returncode == status, said
    assert "Traceback" not in said[1]
    return said


def documented(title: str) -> Any:
    found = re.search(rf"^### {re.escape(title)}\n(?:(?!###).*\n)*?```json\n((?:.*\n)*?)```", PAGE, re.MULTILINE)
    assert found, title
    return json.loads(found[1])


def test_a_build_is_followed_listed_and_read(yard: Yard) -> None:
    out, told = call(yard, "build", "-d", "train")
    assert out.startswith("train:1: build 1 succeeded in ")
    assert f"written to {yard.root}/.hermetic/workspace/images/train/1" in out
    assert "locking train:1" in told
    assert call(yard, "log", "1") == (told, "")
    assert call(yard, "log", "1", "--follow") == (told, "")
    assert call(yard, "build", "train", "--quiet") == ("", "")
    head, *lines = call(yard, "builds")[0].splitlines()
    assert head.split() == ["BUILD", "STATE", "ENVIRONMENT", "BEGAN", "TOOK", "BY", "TARGET"]
    assert [line.split()[:3] for line in lines] == [["2", "succeeded", "train:1"], ["1", "succeeded", "train:1"]]
    assert call(yard, "cancel", "1")[0].startswith("train:1: build 1 succeeded")
    assert call(yard, "builds", "train:1", "--limit", "1")[0].splitlines()[1].split()[0] == "2"


def test_documents_are_as_the_page_shows_them(yard: Yard) -> None:
    example = documented("environment build")
    built = json.loads(call(yard, "build", "-d", "train", "--json")[0])
    assert built.keys() == example.keys()
    assert built["result"].keys() == example["result"].keys()
    assert built["result"]["platforms"]["linux-64"].keys() == example["result"]["platforms"]["linux-64"].keys()
    assert json.loads(call(yard, "builds", "--json")[0]) == {"builds": [built]}
    logged = json.loads(call(yard, "log", "1", "--json", "--follow")[0])
    assert logged.keys() == documented("environment log").keys()
    assert logged["log"].endswith(f"done: {built['result']['digest']}\n")


def test_a_build_that_fails_has_the_status_of_its_error(yard: Yard) -> None:
    define(yard.root, "app >=9")
    out, told = call(yard, "build", "-d", "train", status=3)
    assert out == ""
    assert "app" in told.split("hermetic: ", 1)[1]
    error = json.loads(call(yard, "build", "train", "--json", status=3)[1])["error"]
    assert error["code"] == "unsatisfiable"
    listing = call(yard, "builds", "train")[0]
    assert "failed" in listing
    assert error["message"].splitlines()[0] in listing


def test_what_makes_no_sense_is_refused(yard: Yard) -> None:
    assert "name one environment" in call(yard, "build", status=2)[1]
    assert "name one environment" in call(yard, "build", "train", "-d", "train", status=2)[1]
    assert "no environment 'train'" in call(yard, "build", "train", status=2)[1]
    assert "there is no build 3" in call(yard, "log", "3", status=2)[1]
    assert call(yard, "builds") == ("no builds\n", "")


def test_nobody_need_wait_and_who_stops_waiting_stops_nothing(yard: Yard) -> None:
    with yard.gate() as gate:
        assert call(yard, "build", "-d", "train", "--no-wait")[0].startswith("train:1: build 1 is ")
        waiting = begin(yard, "build", "train")
        gate.busy.wait()
        assert waiting.stderr
        waiting.stderr.readline()  # it follows
        os.kill(waiting.pid, signal.SIGINT)
        _, told = waiting.communicate(timeout=60)
        assert waiting.returncode == 130
        assert "the build 1 goes on; 'hermetic environment cancel 1' stops it" in told
        following = begin(yard, "log", "1", "--follow")
        gate.opened.set()
        assert following.communicate(timeout=60)[0].splitlines()[-1].split()[1] == "done:"
    assert call(yard, "builds")[0].splitlines()[1].split()[:2] == ["1", "succeeded"]


def test_a_build_is_cancelled(yard: Yard) -> None:
    with yard.gate() as gate:
        waiting = begin(yard, "build", "-d", "train")
        gate.busy.wait()
        assert call(yard, "cancel", "1")[0].startswith("train:1: build 1 was cancelled in ")
        _, told = waiting.communicate(timeout=60)
        assert waiting.returncode == 6
        assert "the build 1 of train:1 was cancelled" in told
