"""``hermetic environment``: definitions as folders become versions, and are found, compared, labelled, archived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hermetic.cli import run
from hermetic.lock.file import read_lock


@pytest.fixture
def work(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in a workspace, where the default channel is the one made by hand."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "config.json").write_text('{"workspace_name": "team"}')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    return folder


@pytest.fixture
def call(work: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call ``hermetic environment ...``; give status, output and errors."""

    def call(words: str) -> tuple[int, str, str]:
        status = run(["environment", *words.split()])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def write(folder: Path, *packages: str, **variables: str) -> None:
    """Write the requirements of a definition that is there."""
    lines = ["channels: [conda-forge]", f"dependencies: {json.dumps(list(packages))}"]
    lines += [f"variables: {json.dumps(variables)}"] if variables else []
    (folder / "conda_dependencies.yml").write_text("\n".join(lines) + "\n")


@pytest.fixture
def train(call: Any, work: Path) -> Path:
    """An environment with two versions; the folder holds the second."""
    assert call("scaffold -n train -d train")[0] == 0
    write(work / "train", "app<2")
    assert call("register -d train")[0] == 0
    write(work / "train", "app")
    assert call("register -d train --label production")[0] == 0
    return work / "train"


def test_a_scaffold_is_what_the_v1_sdk_writes(call: Any, work: Path) -> None:
    status, said, _ = call("scaffold -n train -d new/train")
    assert status == 0
    assert "hermetic environment register -d" in said
    assert sorted(path.name for path in (work / "new" / "train").iterdir()) == [
        "azureml_environment.json",
        "conda_dependencies.yml",
    ]
    assert json.loads((work / "new" / "train" / "azureml_environment.json").read_text())["name"] == "train"
    status, _, complaint = call("scaffold -n train -d new/train")
    assert status == 2
    assert "is there already" in complaint
    assert "--overwrite" in complaint
    assert "True" not in complaint
    assert call("scaffold -n train -d new/train --overwrite")[0] == 0
    for name in ("a/b", "AzureML-mine"):
        assert call(f"scaffold -n {name} -d other")[0] == 2
    assert not (work / "other").exists()


def test_the_same_definition_is_the_same_version(call: Any, train: Path) -> None:
    assert call("register -d train")[1] == "nothing to do: it is registered already as train:2\n"
    write(train, "app<2")
    assert call("register -d train")[1] == "nothing to do: it is registered already as train:1\n"
    write(train, "base")
    assert call("register -d train")[1] == "registered train:3\n"
    assert call("register -d train -n other")[1] == "registered other:1\n"


@pytest.mark.parametrize("options", ["", " -q", " --json"])
def test_a_warning_is_told_in_one_line_without_source(call: Any, train: Path, options: str) -> None:
    path = train / "azureml_environment.json"
    values = json.loads(path.read_text())
    values["docker"]["baseImageRegistry"]["password"] = "typed-in-here"
    path.write_text(json.dumps(values))
    status, _, complaint = call(f"register -d train{options}")
    assert status == 0
    assert complaint.startswith("warning: ")
    assert "the registry's password is not used" in complaint
    assert len(complaint.splitlines()) == 1
    assert ".py" not in complaint
    assert "Warning" not in complaint
    assert "typed-in-here" not in complaint


def test_a_folder_that_is_not_there_is_said_not_to_be(call: Any) -> None:
    assert "there is no folder nothere" in call("register -d nothere")[2]


def test_versions_given_to_diff_lead_to_environment_diff(
    call: Any, train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", "train:1", "train@production"]) == 2
    complaint = capsys.readouterr().err
    assert "'hermetic environment diff train:1 train@production'" in complaint
    assert run(["diff", "train:1", "train:1", "--offline"]) == 2
    assert "registry:train:1" in capsys.readouterr().err
    assert run(["env", "list"]) == 2
    assert "did you mean 'environment'?" in capsys.readouterr().err


@pytest.mark.parametrize("label", ["prod,stage", "latest"])
def test_labels_are_checked_before_anything_is_kept(call: Any, train: Path, label: str) -> None:
    status, said, complaint = call(f"register -d train -n renamed --label {label}")
    assert (status, said) == (2, "")
    assert "label" in complaint
    assert call("show renamed")[0] == 2


def test_what_is_registered_is_listed_and_shown(call: Any, train: Path) -> None:
    _, said, _ = call("list")
    assert said.splitlines()[0].split()[:4] == ["train", "2", "2", "versions"]
    assert "AzureML-Tutorial:1" in said
    assert "scikit-learn" in said
    _, said, _ = call("show train")
    assert "train:2" in said
    assert "labels      latest, production" in said
    assert "from        train" in said
    assert "no lock yet" in said
    assert "app<2" in call("show train:1")[1]
    assert "train:2" in call("show train@production")[1]
    _, said, _ = call("versions train")
    assert [line.split()[0] for line in said.splitlines()] == ["train:1", "train:2"]


def test_what_is_not_there_is_told_with_what_is(call: Any, train: Path) -> None:
    for words, hint in (
        ("show trian", "did you mean 'train'"),
        ("show train:9", "versions 1 to 2"),
        ("show train@nothere", "its labels are: latest, production"),
        ("show train:", "NAME:VERSION"),
        ("versions nothere", "hermetic environment list"),
        ("register -d nothere", "azureml_environment.json"),
        ("list --workspace nothere", "'nothere'"),
    ):
        status, said, complaint = call(words)
        assert (status, said) == (2, ""), words
        assert hint in complaint, words


def test_versions_are_compared(call: Any, train: Path) -> None:
    status, said, _ = call("diff train:1 train:2")
    assert status == 1
    assert "~ conda app: app<2 -> app" in said
    assert "no lock yet" in said
    assert call("diff train:1 train:1")[0] == 0
    for version in (1, 2):
        assert call(f"lock train:{version}")[0] == 0
    status, said, _ = call("diff train:1 train:2")
    assert status == 0 or "locked:" in said


def test_a_version_is_locked_once(call: Any, train: Path, work: Path) -> None:
    status, said, _ = call("lock train:1 --platform linux-64 -o one.lock.json")
    assert status == 0
    assert "train:1 is locked (linux-64: 2 conda packages" in said
    assert call("lock train:1 --platform osx-arm64 -o two.lock.json")[0] == 0
    one, two = read_lock(work / "one.lock.json"), read_lock(work / "two.lock.json")
    assert sorted(two.platforms) == ["linux-64", "osx-arm64"]
    assert two.platforms["linux-64"] == one.platforms["linux-64"]
    assert "osx-arm64" in call("show train:1")[1]
    assert not (work / "lockfiles").exists()
    status, _, complaint = call("lock Hermetic-Minimal --platform win-64")
    assert status == 2
    assert "clone it" in complaint


def test_labels_move(call: Any, train: Path) -> None:
    assert call("label train:1 production old")[1] == "train:1: old, production\n"
    assert "train:1" in call("show train@production")[1]
    assert call("label train:1 old --remove")[1] == "train:1: production\n"
    for words in ("label train:1 latest", "label Hermetic-Minimal:1 mine"):
        assert call(words)[0] == 2


def test_archived_ones_are_out_of_sight(call: Any, train: Path) -> None:
    assert call("archive train:2")[0] == 0
    assert "train:1" in call("show train")[1]
    assert "archived" in call("show train:2")[1]
    assert call("archive train")[0] == 0
    assert "train" not in call("list")[1]
    assert "train" in call("list --archived")[1]
    assert call("show train")[0] == 2
    assert call("archive train --restore")[0] == 0
    assert "train" in call("list")[1]
    assert call("download -n train:1 -d copy")[0] == 0
    assert call("archive train:1")[0] == 0
    assert call("register -d copy")[1] == "restored train:1: it was registered already, and archived\n"
    assert "train:1" in call("show train")[1]


def test_a_download_is_what_was_registered(call: Any, train: Path, work: Path) -> None:
    assert call("download -n train -d copy --version 1")[0] == 0
    assert "app<2" in (work / "copy" / "conda_dependencies.yml").read_text()
    assert call("register -d copy")[1] == "nothing to do: it is registered already as train:1\n"
    assert call("download -n train@production -d labelled")[0] == 0
    assert call("download -n train:1 -d copy")[0] == 2
    assert call("download -n train:1 -d copy --overwrite")[0] == 0
    assert call("download -n train:1 --version 1 -d third")[0] == 2
    status, _, complaint = call("download -n train:1 -d third --lock third.lock.json")
    assert status == 2
    assert "has no lock yet" in complaint
    assert not (work / "third").exists()
    call("lock train:1")
    assert call("download -n train:1 -d third --lock third.lock.json")[0] == 0
    assert read_lock(work / "third.lock.json").platforms


def test_a_lock_that_fits_may_be_given(call: Any, train: Path, work: Path) -> None:
    call("lock train:2 -o mine.lock.json")
    write(train, "app", A="b")
    status, _, complaint = call("register -d train --lock mine.lock.json")
    assert status == 2
    assert "does not fit train" in complaint
    assert call("show train:3")[0] == 2
    write(train, "app")
    assert call("register -d train -n twin --lock mine.lock.json")[0] == 0
    call("lock twin -o twin.lock.json")
    assert (work / "twin.lock.json").read_bytes() == (work / "mine.lock.json").read_bytes()


@pytest.mark.parametrize(
    ("packages", "way"),
    [
        ('{"pip": ["./mine-1.0-py3-none-any.whl"]}', "add_private_pip_wheel"),
        ('{"pip": ["-e ."]}', "pip wheel --no-deps"),
    ],
)
def test_what_only_this_machine_has_is_refused(call: Any, train: Path, packages: str, way: str) -> None:
    (train / "conda_dependencies.yml").write_text(f"dependencies: [python, {packages}]\n")
    status, said, complaint = call("register -d train")
    assert (status, said) == (2, "")
    assert way in complaint


def test_outside_a_workspace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hermetic", "environment", "list", "-C", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if ran.returncode == 0:
        pytest.skip("a folder above the tests' is a workspace")
    assert ran.returncode == 2
    assert "hermetic workspace init" in ran.stderr
