"""``hermetic ci`` as each CI system runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.ci_runners import azure_commands, github_commands, github_outputs
from support.desk import Desk, make_goods


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk with a locked project, to be copied."""
    folder = tmp_path_factory.mktemp("ci")
    desk = Desk(folder / "desk")
    make_goods(folder / "goods")
    (desk.project / "hermetic.toml").write_text(
        f'[channels]\nshop = "{folder}/goods/channel"\n[environments.default]\nchannels = ["shop"]\n'
        'dependencies = ["app<2"]\nplatforms = ["linux-64"]\n'
    )
    desk("lock")
    return desk.project


@pytest.fixture
def desk(locked: Path, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "desk")
    shutil.copytree(locked, desk.project, dirs_exist_ok=True)
    return desk


def github(desk: Desk) -> dict[str, str]:
    runner = desk.root / "runner"
    runner.mkdir(exist_ok=True)
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(desk.project),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
    }


def edit(desk: Desk, old: str, new: str) -> None:
    path = desk.project / "hermetic.toml"
    path.write_text(path.read_text().replace(old, new))


def test_a_lock_that_fits_is_one_line_everywhere(desk: Desk) -> None:
    said = "default: lockfiles/default.lock.json fits its spec\n"
    assert desk("ci", "check").stdout == said
    assert desk("ci", "check", **github(desk)).stdout == said
    assert desk("ci", "check", TF_BUILD="True", BUILD_SOURCESDIRECTORY=str(desk.project)).stdout == said
    assert desk("ci", "check", "--quiet").stdout == ""


def test_github_gets_annotations_beside_the_code_and_a_summary(desk: Desk) -> None:
    edit(desk, '"app<2"', '"app<2", "spare"')
    ran = desk("ci", "check", status=1, **github(desk))
    (command,) = github_commands(ran.stdout)
    assert command.name == "error"
    assert command.properties == {"file": "hermetic.toml", "line": "5", "title": "hermetic: requirement-added"}
    assert "spare" in command.text
    assert "hermetic lock default" in command.text
    assert "spare" in (desk.root / "runner" / "summary.md").read_text()


def test_places_are_relative_to_the_repository_not_to_the_project(desk: Desk) -> None:
    edit(desk, '"app<2"', '"app"')
    variables = {**github(desk), "GITHUB_WORKSPACE": str(desk.root)}
    (command,) = github_commands(desk("ci", "check", status=1, **variables).stdout)
    assert command.properties["file"] == "project/hermetic.toml"


def test_azure_gets_log_issues(desk: Desk) -> None:
    edit(desk, '"app<2"', '"app"')
    (command,) = azure_commands(desk("ci", "check", status=1, TF_BUILD="True").stdout)
    assert command.name == "task.logissue"
    assert command.properties["type"] == "error"
    assert command.properties["sourcepath"] == "hermetic.toml"


def test_gitlab_gets_a_code_quality_report_and_a_readable_log(desk: Desk) -> None:
    edit(desk, '"app<2"', '"app"')
    ran = desk("ci", "check", "-o", "quality.json", "--junit", "junit.xml", status=1, GITLAB_CI="true")
    (item,) = json.loads((desk.project / "quality.json").read_text())
    assert item["location"] == {"path": "hermetic.toml", "lines": {"begin": 5}}
    assert ran.stdout.startswith("hermetic.toml:5: default: ")
    assert len(ET.parse(desk.project / "junit.xml").findall("./testsuite/testcase/failure")) == 1
    assert json.loads(desk("ci", "check", "--format", "gitlab", status=1).stdout) == [item]


def test_one_bad_file_hides_no_other(desk: Desk) -> None:
    manifest = desk.project / "hermetic.toml"
    manifest.write_text(manifest.read_text() + '[environments.other]\nchannels = ["shop"]\ndependencies = ["app"]\n')
    desk.lock.write_text("<<<<<<< HEAD\n")
    ran = desk("ci", "check", status=2, **github(desk))
    damaged, missing = github_commands(ran.stdout)
    assert damaged.properties["file"] == "lockfiles/default.lock.json"
    assert damaged.properties["title"] == "hermetic: lockfile"
    assert missing.properties["title"] == "hermetic: missing"


def test_what_cannot_be_read_is_an_annotation_too(desk: Desk) -> None:
    (desk.project / "hermetic.toml").write_text("junk\n")
    (command,) = github_commands(desk("ci", "check", status=2, **github(desk)).stdout)
    assert command.properties["file"] == "hermetic.toml"
    assert command.properties["line"] == "1"


def test_verify_finds_what_was_changed(desk: Desk) -> None:
    (command,) = github_commands(desk("ci", "check", "--verify", status=2, **github(desk)).stdout)
    assert "hermetic build" in command.text
    desk("build", "--locked")
    desk("ci", "check", "--verify")
    (desk.prefix / "share" / "base.txt").unlink()
    (desk.prefix / "share" / "##[stop-commands]x\n::error::y").write_text("")
    found = github_commands(desk("ci", "check", "--verify", status=1, **github(desk)).stdout)
    assert [command.name for command in found] == ["error", "error"]
    assert {command.properties["title"] for command in found} == {"hermetic: file-lost", "hermetic: file-added"}
    assert azure_commands(desk("ci", "check", "--verify", status=1, TF_BUILD="True").stdout)[0].name == "task.logissue"


def test_a_hostile_manifest_commands_nothing(desk: Desk) -> None:
    name = r'"x\n::stop-commands::t\n##[add-matcher]/tmp/m\n##vso[task.setvariable variable=PATH]/evil"'
    edit(desk, '["app<2"]', f"[{name}]")
    for variables in (github(desk), {"TF_BUILD": "True"}, {"GITLAB_CI": "true"}):
        ran = desk("ci", "check", status=2, **variables)
        assert {command.name for command in github_commands(ran.stdout + ran.stderr)} <= {"error"}
        assert {command.name for command in azure_commands(ran.stdout + ran.stderr)} <= {"task.logissue"}


def test_what_fails_is_told_as_the_system_reads_it(desk: Desk) -> None:
    name = r'"x\n::stop-commands::t\n##[add-matcher]/tmp/m\n##vso[task.setvariable variable=PATH]/evil"'
    edit(desk, '["app<2"]', f"[{name}]")
    ran = desk("ci", "key", status=2, **github(desk))
    assert [command.name for command in github_commands(ran.stdout + ran.stderr)] == ["error"]
    ran = desk("ci", "key", status=2, TF_BUILD="True")
    assert [command.name for command in azure_commands(ran.stdout + ran.stderr)] == ["task.logissue"]
    ran = desk("ci", "outputs", "##[add-matcher]x", status=2, **github(desk))
    assert [command.name for command in github_commands(ran.stdout + ran.stderr)] == ["error"]
    assert json.loads(desk("ci", "key", "--json", status=2, TF_BUILD="True").stderr)["error"]["code"] == "spec"


def test_the_key_goes_to_the_steps_that_follow(desk: Desk) -> None:
    key = desk("ci", "key").stdout.strip()
    assert key.startswith("hermetic-1-linux-64-")
    desk("ci", "key", "--dotenv", "ci.env", **github(desk))
    path = str(desk.store / "blobs")
    values = {"key": key, "path": path, "prefix": "hermetic-1-linux-64-"}
    assert github_outputs((desk.root / "runner" / "output").read_text()) == values
    lines = (desk.project / "ci.env").read_text().splitlines()
    assert lines == [f"HERMETIC_{name.upper()}={value}" for name, value in values.items()]
    commands = azure_commands(desk("ci", "key", TF_BUILD="True").stdout)
    assert {(c.properties["variable"], c.text) for c in commands} == {(f"hermetic_{n}", v) for n, v in values.items()}
    assert {c.properties.get("isOutput") for c in commands} == {None, "true"}


def test_the_key_follows_from_what_the_locks_name(desk: Desk, tmp_path: Path) -> None:
    before = desk("ci", "key").stdout
    elsewhere = Desk(tmp_path / "elsewhere")
    shutil.copytree(desk.project, elsewhere.project, dirs_exist_ok=True)
    assert elsewhere("ci", "key").stdout == before
    edit(desk, "[environments.default]", '[environments.default]\nvariables = { A = "b" }')
    desk("lock")
    assert desk("ci", "key").stdout == before  # other bytes are built, of the same archives
    edit(desk, '"app<2"', '"app=2"')
    desk("lock")
    assert desk("ci", "key").stdout != before
    assert "there is no lock" not in desk("ci", "key", "--platform", "osx-arm64", status=2).stderr
    desk.lock.unlink()
    assert "hermetic lock" in desk("ci", "key", status=1).stderr


def test_what_a_build_printed_goes_to_the_steps_that_follow(desk: Desk) -> None:
    (desk.project / "image.json").write_text('{"reference": "registry.example.org/a", "digest": "sha256:0", "x": 1}')
    desk("ci", "outputs", "image.json", **github(desk))
    values = github_outputs((desk.root / "runner" / "output").read_text())
    assert values == {"reference": "registry.example.org/a", "digest": "sha256:0"}
    for bad in ("", "[]", '{"reference": 1, "digest": "x"}', '{"reference": "a\\nb=c", "digest": "x"}'):
        (desk.project / "bad.json").write_text(bad)
        desk("ci", "outputs", "bad.json", status=2, **github(desk))
    desk("ci", "outputs", "nothere.json", status=2)
    assert github_outputs((desk.root / "runner" / "output").read_text()) == values
