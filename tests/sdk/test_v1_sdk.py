"""Beside the real Azure ML v1 SDK: folders go to and fro, and methods do the same.

HERMETIC_AZUREML names an interpreter that has ``azureml-core``, which is too large, and too old, to be installed with
what the other tests need: ``uv venv v1 && uv pip install --python v1/bin/python azureml-core 'setuptools<80'``.
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from pathlib import Path

import pytest
from support.needs import suits

from hermetic import CondaDependencies, Environment, HermeticWarning
from hermetic.workspace.curated.catalogue import catalogue

PROGRAM = Path(__file__).parents[1] / "helpers" / "v1_sdk_program.py"
JSON = "azureml_environment.json"


def v1(*words: object, given: str = "") -> str:
    python = os.environ.get("HERMETIC_AZUREML")
    suits(python, "HERMETIC_AZUREML names no interpreter with azureml-core")
    assert python
    done = subprocess.run(
        [python, str(PROGRAM), *map(str, words)], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def document(folder: Path) -> object:
    return json.loads((folder / JSON).read_text())


def test_what_it_writes_is_read_and_written_back(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    v1("write", tmp_path / "theirs")
    folders = sorted((tmp_path / "theirs").iterdir())
    assert len(folders) == 10
    for folder in folders:
        ours = tmp_path / "ours" / folder.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if folder.name == "context" else "error", HermeticWarning)
            loaded = Environment.load_from_directory(folder)
            loaded.save_to_directory(ours)
            again = Environment.load_from_directory(ours)
        assert document(ours) == document(folder)
        assert list(document(ours)) == list(document(folder))  # type: ignore[call-overload]
        assert again.python.conda_dependencies.as_dict() == loaded.python.conda_dependencies.as_dict()
        written = {path.name for path in folder.iterdir()}
        assert {path.name for path in ours.iterdir()} == written
        assert (
            not (ours / "BaseDockerfile").exists()
            or (ours / "BaseDockerfile").read_bytes() == (folder / "BaseDockerfile").read_bytes()
        )


def test_what_hermetic_writes_is_read_there(tmp_path: Path) -> None:
    made = {name: Environment(name) for name in ("plain", "rich", "dockerfile", "user")}
    rich = made["rich"]
    rich.version, rich.environment_variables = "4", {"A": "é", "B": "${secret:b}"}
    rich.docker.base_image, rich.docker.base_image_registry.address = "team/base:1", "registry.example.org"
    rich.docker.base_image_registry.password, rich.docker.arguments = "${PASSWORD}", ["--network=host"]
    rich.python.conda_dependencies = CondaDependencies.create(
        "https://example.org/simple", ["a>=1; python_version < '3.9'"], ["numpy>=1,<2", "x::pandas"], ">=3.9,<3.13"
    )
    made["dockerfile"].docker.base_dockerfile = "FROM registry.example.org/base\n"
    made["user"].python.user_managed_dependencies = True
    for name, environment in made.items():
        environment.save_to_directory(tmp_path / "ours" / name)
    for name, item in catalogue().items():
        (tmp_path / "ours" / name).mkdir()
        for file, text in item.files.items():
            (tmp_path / "ours" / name / file).write_text(text)
    v1("pass", tmp_path / "ours", tmp_path / "theirs")
    for ours in (tmp_path / "ours").iterdir():
        back = tmp_path / "theirs" / ours.name
        expected = document(ours)
        assert isinstance(expected, dict)
        expected.pop("hermetic", None)
        assert document(back) == expected
        one, other = (Environment.load_from_directory(folder).python.conda_dependencies for folder in (ours, back))
        assert one.to_spec() == other.to_spec()


WHEEL = "my_pkg-1.0-py3-none-any.whl"
SAME: list[list[list[object]]] = [
    [["add_conda_package", "numpy"], ["add_conda_package", "numpy"]],
    [["add_conda_package", "numpy=1.2"], ["remove_conda_package", "numpy=1.2"]],
    [["add_conda_package", "conda-forge::numpy"]],
    [["add_conda_package", "numpy=1.2=py37_0"]],
    [["add_conda_package", "numpy ==1.2"]],
    [["add_conda_package", "pip=20.2.4"]],
    [["add_conda_package", "python=3.9"]],
    [["add_conda_package", "python-dateutil=2"]],
    [["add_conda_package", "mkl>=2020,<2021"], ["add_conda_package", "cudatoolkit=10.1"]],
    [["add_conda_package", "numpy[version='>=1']"]],
    [["set_python_version", "3.9.1"]],
    [["add_pip_package", "a==1"], ["add_pip_package", "a==2"]],
    [["add_pip_package", "a[x]==1"], ["add_pip_package", "a==2"]],
    [["add_pip_package", "a==1"], ["add_pip_package", "b"], ["remove_pip_package", "a"]],
    [["add_pip_package", "a ~= 1.0"]],
    [["add_pip_package", "torch==1.8.0+cu111"], ["add_pip_package", "azureml-sdk[notebooks]"]],
    [["add_pip_package", "git+https://example.org/x/y.git"]],
    [["add_pip_package", f"https://example.org/{WHEEL}"], ["add_pip_package", "my_pkg==2"]],
    [["add_channel", "pytorch"], ["add_channel", "pytorch"], ["remove_channel", "conda-forge"]],
    [["set_pip_option", "--pre"], ["set_pip_option", "--extra-index-url https://example.org/s"]],
    [["set_pip_option", "--pre"], ["remove_pip_option", "--pre"]],
    [["set_pip_index_url", "--index-url https://example.org/s"]],
    [["set_pip_option", "--find-links https://example.org/s/whl.html"], ["set_pip_option", "--no-binary :all:"]],
    [["set_pip_requirements", ["a==1", "--pre", "b"]]],
    [["add_pip_package", "a"], ["set_pip_requirements", []]],
    [["add_pip_package", "--pre"]],
    [["remove_pip_package", "--pre"]],
    [["set_pip_option", "a"]],
    [["remove_pip_option", "a"]],
]


def test_methods_do_the_same() -> None:
    theirs = json.loads(v1("calls", given=json.dumps(SAME)))
    assert len(theirs) == len(SAME)
    for calls, there in zip(SAME, theirs, strict=True):
        needs = CondaDependencies.create(python_version="3.11")
        if isinstance(there, str):
            with pytest.raises(ValueError):
                play(needs, calls)
            continue
        play(needs, calls)
        there[3].sort()  # hermetic gives options in an order of its own
        names = ("conda_channels", "conda_packages", "pip_packages", "pip_options")
        assert [*(list(getattr(needs, name)) for name in names), needs.get_python_version()] == there, calls


def play(needs: CondaDependencies, calls: list[list[object]]) -> None:
    for method, *arguments in calls:
        getattr(needs, str(method))(*arguments)
