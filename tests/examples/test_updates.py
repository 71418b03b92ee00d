"""What examples/updates gives to bots: their own schemas take it, its patterns find the pins, and update.sh updates."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from support.desk import Desk, make_goods
from support.needs import require, suits

from hermetic.lock.file import read_lock
from hermetic.spec import load_spec

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "updates"


def run(*arguments: str) -> None:
    ran = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("schema", "file"), [("vendor.renovate", "renovate.json"), ("vendor.dependabot", ".github/dependabot.yml")]
)
def test_the_bots_own_schemas_take_their_files(schema: str, file: str) -> None:
    require(find_spec("check_jsonschema"), "check-jsonschema is not installed")
    run("check_jsonschema", "--builtin-schema", schema, str(EXAMPLE / file))


def test_pre_commit_takes_its_files() -> None:
    require(find_spec("pre_commit"), "pre-commit is not installed")
    run("pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    run("pre_commit", "validate-config", str(EXAMPLE / ".pre-commit-config.yaml"))
    assert (EXAMPLE / ".pre-commit-config.yaml").read_text() in (ROOT / "docs" / "updates.md").read_text()
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    config = yaml.safe_load((EXAMPLE / ".pre-commit-config.yaml").read_text())
    assert {hook["id"] for repo in config["repos"] for hook in repo["hooks"]} == hooks


def test_hooks_look_at_every_kind_of_file_that_declares_or_locks() -> None:
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        for file in (
            "hermetic.toml", "environment.yml", "envs/conda.yaml", "requirements/dev.txt", "requirements.in",
            "pyproject.toml", "lockfiles/default.lock.json",
            "train/azureml_environment.json", "Dockerfile", "docker/Dockerfile.base",
            "dist/mine-1.0-py3-none-any.whl", "explicit.txt",
        ):  # fmt: skip
            assert re.search(hook["files"], file), file
        for file in ("train.py", "README.md", "data.json"):
            assert not re.search(hook["files"], file), file


def test_renovates_patterns_find_what_environment_yml_pins() -> None:
    text = (EXAMPLE / "environment.yml").read_text()
    managers = json.loads((EXAMPLE / "renovate.json").read_text())["customManagers"]
    found = {}
    for manager in managers:
        (pattern,) = (re.sub(r"\(\?<(\w+)>", r"(?P<\1>", text) for text in manager["matchStrings"])
        found[manager["datasourceTemplate"]] = [match.groupdict() for match in re.finditer(pattern, text)]
    assert found == {
        "conda": [
            {"depName": "python", "currentValue": "3.12.4"},
            {"depName": "numpy", "currentValue": "1.26.4"},
        ],
        "pypi": [{"depName": "humanize", "currentValue": "4.9.0"}],
    }
    spec = load_spec([EXAMPLE / "environment.yml"])
    assert {requirement.name for requirement in spec.conda} >= {"python", "numpy", "pandas"}
    assert [requirement.text for requirement in spec.pip] == ["humanize==4.9.0"]


def test_the_script_pushes_a_branch_with_the_update_and_its_text(tmp_path: Path) -> None:
    suits(sys.platform == "linux", "the tiny programs are for Linux")
    goods = make_goods(tmp_path / "goods")
    program = Path(sys.executable).parent / "hermetic"
    require(program.exists(), "hermetic is not installed as a program")
    desk = Desk(tmp_path / "desk")
    desk.shops(goods / "channel")
    desk.declare("app<2")
    desk("lock")
    desk.declare("app")
    desk("lock")
    variables = desk.variables({"GIT_CONFIG_GLOBAL": "/dev/null"})
    variables["PATH"] = f"{program.parent}:{variables['PATH']}"

    def call(*words: str) -> str:
        ran = subprocess.run(words, cwd=desk.project, env=variables, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    call("git", "init", "-q", "-b", "main")
    call("git", "config", "user.name", "bot")
    call("git", "config", "user.email", "bot@example.org")
    call("git", "init", "-q", "--bare", str(tmp_path / "remote"))
    call("git", "remote", "add", "origin", str(tmp_path / "remote"))
    call("git", "add", "-A")
    call("git", "commit", "-q", "-m", "declared and locked")
    text = tmp_path / "text.md"
    assert call(str(EXAMPLE / "update.sh"), "bot/update", str(text)) == "bot/update\n"
    assert text.read_text().startswith("# Update app from 1.0 to 2.0\n")
    told = call("git", "--git-dir", str(tmp_path / "remote"), "log", "--format=%s", "--name-only", "-1", "bot/update")
    assert told.split("\n") == ["Update app from 1.0 to 2.0", "", "lockfiles/default.lock.json", ""]
    assert {p.name: p.version for p in read_lock(desk.lock).platforms["linux-64"].conda}["app"] == "2.0"
    assert call(str(EXAMPLE / "update.sh"), "bot/update", str(text)) == "", "nothing moved since"
