"""What docs/migration.md says of the v1 SDK's names: what it calls the same is there, and what is not here is not."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import hermetic
from hermetic import ContainerRegistry, DockerSection, Environment, PythonSection
from hermetic.cli.parser import parse
from hermetic.sdk.versions import ImageDetails
from hermetic.spec.azureml import default_values

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
OURS = {"ImageBuildDetails": hermetic.EnvironmentBuild, "DockerImageDetails": ImageDetails}
"""v1's names of classes that have another one here."""

# AZURE-ML-V1.md: every name that users of the v1 SDK know must be told of.
KNOWN = {
    "Environment": """register clone build build_local get_image_details save_to_directory get label list
        from_conda_specification from_pip_requirements from_existing_conda_environment from_dockerfile from_docker_image
        from_docker_build_context add_private_pip_wheel load_from_directory name version python docker
        environment_variables spark databricks r inferencing_stack_version asset_id""",
    "PythonSection": "interpreter_path user_managed_dependencies conda_dependencies conda_dependencies_file",
    "DockerSection": """enabled base_image base_dockerfile build_context shared_volumes shm_size arguments
        base_image_registry platform gpu_support""",
    "ContainerRegistry": "address username password registry_identity",
    "CondaDependencies": """create add_channel remove_channel add_conda_package remove_conda_package add_pip_package
        remove_pip_package set_pip_option remove_pip_option set_pip_requirements set_pip_index_url get_python_version
        set_python_version merge_requirements save save_to_file serialize_to_string as_dict conda_channels
        conda_packages pip_packages pip_options""",
    "Workspace": "create from_config get write_config name environments get_default_keyvault",
    "Keyvault": """set_secret set_secrets get_secret get_secrets list_secrets delete_secret delete_secrets
        get_secret_content_type""",
    "ImageBuildDetails": "status wait_for_completion get_log",
    "DockerImageDetails": "image_exist repository registry image",
}


class Row(NamedTuple):
    """A line of a table: a class, its member (empty: the class itself), what v1 says of it, and what is said here."""

    owner: str
    member: str
    text: str
    status: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.member}" if self.member else self.owner


def rows() -> Iterator[Row]:
    for line in PAGE.read_text().splitlines():
        found = re.match(r"\| `((?:[A-Z]\w+)[^`]*)` \| (same|differs|not here) \| .*\|\Z", line)
        if found:
            owner, _, member = re.split(r"[( ]", found[1], maxsplit=1)[0].partition(".")
            yield Row(owner, member, found[1], found[2])


ROWS = list(rows())


def target(row: Row) -> Any:
    owner = OURS.get(row.owner) or getattr(hermetic, row.owner)
    return getattr(owner, row.member) if row.member else owner


def test_every_line_of_the_tables_is_understood() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `[A-Z]\w+[.(]", line)]
    assert len(lines) == len(ROWS) > 90
    assert len({str(row) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("owner", KNOWN)
def test_every_known_name_is_told_of(owner: str) -> None:
    assert set(KNOWN[owner].split()) <= {row.member for row in ROWS if row.owner == owner}


@pytest.mark.parametrize("row", [row for row in ROWS if row.status != "not here"], ids=str)
def test_what_is_there_takes_what_the_page_says(row: Row) -> None:
    found = target(row)
    call = re.fullmatch(r"[\w.]+\((.*)\)", row.text)
    if not call:
        return
    ours = [
        parameter
        for name, parameter in inspect.signature(found).parameters.items()
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    function = ast.parse(f"def f({call[1]}): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    theirs, defaults = function.args.args, function.args.defaults
    assert [parameter.name for parameter in ours[: len(theirs)]] == [argument.arg for argument in theirs]
    required = len(theirs) - len(defaults)
    for parameter in ours[required:]:
        assert parameter.default is not inspect.Parameter.empty, f"{parameter.name} must be given here"
    if row.status == "same":
        for parameter, default in zip(ours[required:], defaults, strict=False):
            assert parameter.default == ast.literal_eval(default), parameter.name


@pytest.mark.parametrize("row", [row for row in ROWS if " = " in row.text], ids=str)
def test_defaults_are_those_of_the_page(row: Row) -> None:
    made = {
        "Environment": lambda: Environment("x"),
        "PythonSection": PythonSection,
        "DockerSection": DockerSection,
        "ContainerRegistry": ContainerRegistry,
    }[row.owner]()
    value = ast.literal_eval(row.text.partition(" = ")[2])
    if row.member == "name":
        made = Environment(None)
    assert getattr(made, row.member) == value


@pytest.mark.parametrize("row", [row for row in ROWS if row.status == "not here"], ids=str)
def test_what_is_not_here_is_refused(row: Row) -> None:
    with pytest.raises(AttributeError):
        target(row)


def test_the_fields_of_a_directory_are_all_told_of() -> None:
    def paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
        for name, value in values.items():
            if isinstance(value, dict) and value:
                yield from paths(value, f"{above}{name}.")
            else:
                yield above + name

    told = re.findall(r"^\| `([a-z][\w.]*)` \| (?:same|kept|differs) \|", PAGE.read_text(), re.MULTILINE)
    assert told == list(paths(default_values()))


def test_imports_of_the_page_work() -> None:
    lines = re.findall(
        r"\| `(from azureml\.core\S* import [^`]+)` \| `(from hermetic import [^`]+)` \|", PAGE.read_text()
    )
    assert len(lines) == 5
    for theirs, ours in lines:
        namespace: dict[str, Any] = {}
        exec(ours, namespace)
        names = [name.strip() for name in theirs.rpartition("import ")[2].split(",")]
        assert len(names) == len(namespace.keys() - {"__builtins__"})
        assert {*names, "DockerPlatform"} - {"DockerImagePlatform"} >= namespace.keys() - {"__builtins__"}


def test_commands_of_the_page_are_understood() -> None:
    found = re.findall(
        r"^\| `az ml environment ([^`]+)` \| `hermetic environment ([^`]+)` \|", PAGE.read_text(), re.MULTILINE
    )
    assert len(found) == 5
    for theirs, ours in found:
        assert theirs.split()[0] == ours.split()[0]
        arguments = parse(["environment", *ours.split()])
        assert arguments.action == ours.split()[0]
