"""Azure ML environment directories, of every age."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hermetic.errors import HermeticError, Place, SpecError
from hermetic.spec.azureml import default_values, json_text, read_azureml
from hermetic.spec.load import load
from hermetic.spec.model import CondaRequirement, PipRequirement

CONDA = "name: inner\nchannels: [conda-forge]\ndependencies:\n- python=3.8\n- pip:\n  - azureml-defaults~=1.59\n"


def write(folder: Path, values: Any, conda: str = CONDA) -> Path:
    (folder / "azureml_environment.json").write_text(values if isinstance(values, str) else json.dumps(values))
    if conda:
        (folder / "conda_dependencies.yml").write_text(conda)
    return folder


def test_a_directory(tmp_path: Path) -> None:
    values = default_values()
    values.update(name="train", version="Autosave_2020-12-23T17:02:24Z_66463d46", environmentVariables={"A": "b"})
    values["docker"].update(baseImage="base:1", baseImageRegistry={"address": "example.org", "password": "s3cr3t"})
    found = read_azureml(write(tmp_path, values))
    assert (found.name, found.version) == ("train", "Autosave_2020-12-23T17:02:24Z_66463d46")
    assert found.spec.conda == (CondaRequirement("python", "python 3.8.*"),)
    assert found.spec.pip == (PipRequirement("azureml-defaults", specifier="~=1.59"),)
    assert found.spec.variables == (("A", "b"),)
    assert found.spec.base == "example.org/base:1"
    assert found.conda == CONDA
    assert "s3cr3t" not in repr(found)
    assert found.files == (tmp_path / "azureml_environment.json", tmp_path / "conda_dependencies.yml")


def test_older_files_lack_fields(tmp_path: Path) -> None:
    found = read_azureml(write(tmp_path, {"name": "old", "python": {"interpreterPath": "py"}, "docker": None}))
    values = default_values()
    values["name"] = "old"
    values["python"]["interpreterPath"] = "py"
    assert found.values == values
    assert list(found.values) == list(values)
    assert json.loads(json_text(found.values)) == values
    assert json_text(values).startswith('{\n    "name": "old",\n    "version": null,\n')


def test_the_oldest_files_hold_the_conda_side_in_the_json(tmp_path: Path) -> None:
    inline = {"channels": ["conda-forge"], "dependencies": ["python=3.6", {"pip": ["a==1"]}]}
    found = read_azureml(write(tmp_path, {"name": "old", "python": {"condaDependencies": inline}}, conda=""))
    assert found.spec.conda == (CondaRequirement("python", "python 3.6.*"),)
    assert found.spec.pip == (PipRequirement("a", specifier="==1"),)


def test_a_conda_file_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(CONDA)
    values = {"name": "x", "python": {"condaDependenciesFile": "C:\\Users\\me\\mine.yml"}}
    assert read_azureml(write(tmp_path, values, conda="")).spec.channels == ("conda-forge",)


def test_user_managed_environments_have_no_conda_side(tmp_path: Path) -> None:
    found = read_azureml(write(tmp_path, {"name": "x", "python": {"userManagedDependencies": True}}, conda=""))
    assert found.spec.conda == found.spec.pip == ()


def test_a_build_context_needs_no_conda_side_and_is_said_not_to_be_used(tmp_path: Path) -> None:
    """The v1 SDK's from_docker_build_context writes the JSON alone."""
    context = {"locationType": "git", "location": "https://example.org/x.git", "dockerfilePath": "Dockerfile"}
    found = read_azureml(write(tmp_path, {"name": "x", "docker": {"buildContext": context}}, conda=""))
    assert found.spec.conda == found.spec.pip == ()
    assert found.values["docker"]["buildContext"] == context
    assert "buildContext is kept and not used" in found.warnings[0]


def test_a_dockerfile_stands_beside_or_inside(tmp_path: Path) -> None:
    values = {"name": "x", "docker": {"baseImage": "ignored", "baseDockerfile": "FROM a\n"}}
    assert read_azureml(write(tmp_path, values)).dockerfile == "FROM a\n"
    (tmp_path / "BaseDockerfile").write_text("FROM b\n")
    found = read_azureml(tmp_path)
    assert (found.dockerfile, found.spec.base) == ("FROM b\n", "")
    assert tmp_path / "BaseDockerfile" in found.files


def test_the_folder_and_its_file_are_specs(tmp_path: Path) -> None:
    write(tmp_path, {"name": "train"})
    assert load([tmp_path]) == load([tmp_path / "azureml_environment.json"])
    assert load([tmp_path]).name == "train"


@pytest.mark.parametrize(
    ("values", "conda", "file", "line", "message", "remedy"),
    [
        ('{\n"name": x}', CONDA, "azureml_environment.json", 2, "malformed JSON", "mend"),
        ("[1]", CONDA, "azureml_environment.json", None, "is a JSON object", "save_to_directory"),
        ("[" * 100_000, CONDA, "azureml_environment.json", None, "malformed JSON", "save_to_directory"),
        ('{"name": "a", "name": "b"}', CONDA, "azureml_environment.json", None, "'name' stands twice", "remove one"),
        ({"python": []}, CONDA, "azureml_environment.json", None, "python is an object", "{...}"),
        ({"docker": {"platform": 1}}, CONDA, "azureml_environment.json", None, "docker.platform is an object", "{...}"),
        ({"environmentVariables": {"A": 1}}, CONDA, "azureml_environment.json", None, "variable 'A'", '"A"'),
        ({"python": {"condaDependenciesFile": 1}}, "", "azureml_environment.json", None, "is a file's name", "folder"),
        ({"hermetic": {"system": {"glibc": 2.4}}}, CONDA, "azureml_environment.json", None, "is a text", "quotation"),
        ({"docker": {"baseDockerfile": 1}}, CONDA, "azureml_environment.json", None, "is a text", "text"),
        ({"docker": {"baseDockerfile": "BaseDockerfile"}}, CONDA, "", None, "no BaseDockerfile here", "folder"),
        ({}, "", "", None, "there is no conda_dependencies.yml", "userManagedDependencies"),
        ({}, "dependencies:\n- a=1=2=3\n", "conda_dependencies.yml", 2, "no build string", "name>=1.2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_remedy(
    tmp_path: Path, values: Any, conda: str, file: str, line: int | None, message: str, remedy: str
) -> None:
    write(tmp_path, values, conda)
    with pytest.raises(HermeticError) as caught:
        read_azureml(tmp_path)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == Place(str(tmp_path / file if file else tmp_path), line)


def test_another_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no azureml_environment\.json here"):
        read_azureml(tmp_path)
