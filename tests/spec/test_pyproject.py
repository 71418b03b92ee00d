"""pyproject.toml: PEP 621, PEP 735 and conda-lock's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import Place, SpecError
from hermetic.spec.load import LoadedSpec, load
from hermetic.spec.model import CondaRequirement

PROJECT = """\
[project]
name = "My_Demo"
requires-python = ">=3.9,<4"
dependencies = [
  "numpy>=1.26",
  "torch @ https://example.org/torch.whl",
]
[project.optional-dependencies]
gpu = ["cupy"]
all = ["my-demo[gpu,Docs]", "tqdm"]
Docs = ["sphinx; python_version >= '3.10'", "my.demo[all]"]
[dependency-groups]
test = ["pytest", {include-group = "Lint"}]
lint = ["ruff==0.9"]
loop = [{include-group = "pool"}]
pool = [{include-group = "loop"}]
odd = [{file = "x"}]
"""
NAMED = '[project]\nname = "x"\n'


def read(folder: Path, text: str, **options: list[str]) -> LoadedSpec:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return load([path], **options)


def test_dependencies_and_python(tmp_path: Path) -> None:
    found = read(tmp_path, PROJECT)
    file = str(tmp_path / "pyproject.toml")
    assert found.name == "My_Demo"
    assert found.spec.conda == (CondaRequirement("python", "python >=3.9,<4"),)
    assert [(item.text, item.place, item.category) for item in found.spec.pip] == [
        ("numpy>=1.26", Place(file, 5), "main"),
        ("torch @ https://example.org/torch.whl", Place(file, 6), "main"),
    ]


def test_an_extra_may_name_extras_of_its_own_project(tmp_path: Path) -> None:
    found = read(tmp_path, PROJECT, extras=["ALL"]).spec
    assert {item.name for item in found.pip if item.category == "ALL"} == {"cupy", "tqdm", "sphinx"}


def test_groups_include_groups(tmp_path: Path) -> None:
    found = read(tmp_path, PROJECT, groups=["test"]).spec
    assert {(item.text, item.category) for item in found.pip} >= {("pytest", "test"), ("ruff==0.9", "test")}


def test_a_file_with_groups_alone(tmp_path: Path) -> None:
    found = read(tmp_path, '[dependency-groups]\ndev = ["a"]\n', groups=["dev"]).spec
    assert [item.text for item in found.pip] == ["a"]


@pytest.mark.parametrize(
    ("specifier", "match"),
    [
        (">=3.9", ">=3.9"),
        ("==3.11.*", "3.11.*"),
        ("~=3.9", "~=3.9"),
        (">=3.9,!=3.9.1,!=3.10.*", ">=3.9,!=3.10.*,!=3.9.1"),
    ],
)
def test_requires_python_is_a_conda_requirement(tmp_path: Path, specifier: str, match: str) -> None:
    found = read(tmp_path, f'[project]\nname = "x"\nrequires-python = "{specifier}"\n').spec
    assert [item.match for item in found.conda] == [f"python {match}"]


def test_conda_locks_table(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
[project]
name = "x"
dependencies = ["numpy>=2", "rich>=13", "scipy"]
[tool.conda-lock]
channels = ["conda-forge", "nodefaults"]
platforms = ["linux-64"]
default-non-conda-source = "conda"
pip-repositories = ["https://example.org/simple"]
[tool.conda-lock.dependencies]
numpy = ">=1.26"
cuda-version = {version = "12.*", channel = "nvidia"}
scipy = {source = "pypi"}
""",
    )
    assert found.spec.channels == ("conda-forge",)
    assert found.spec.platforms == ("linux-64",)
    assert {item.text for item in found.spec.conda} == {"numpy >=1.26", "nvidia::cuda-version 12.*"}
    assert {item.text for item in found.spec.pip} == {"rich>=13", "scipy"}
    assert {item.text for item in found.spec.constraints} == {"numpy>=2"}
    assert found.spec.options.extra_indexes == ("https://example.org/simple",)
    assert ":7: default-non-conda-source is not used" in found.warnings[0]


@pytest.mark.parametrize(
    ("text", "options", "line", "message", "remedy"),
    [
        (NAMED + 'dynamic = ["version", "dependencies"]\n', {}, 3, "are dynamic", "list them in [project]"),
        (NAMED + 'dynamic = ["dependencies"]\n[tool.setuptools.dynamic]\ndependencies = {file = "r.txt"}\n',
         {}, 3, "are dynamic", "name r.txt as the spec file"),
        ('[tool.poetry.dependencies]\npython = "^3.9"\n', {}, 1, "Poetry's own table", "poetry export"),
        ("[tool.black]\nline-length = 1\n", {}, None, "no [project] table", "add [project]"),
        (NAMED + 'dependencies = ["a=1"]\n', {}, 3, "is no pip requirement", "compares with =="),
        (NAMED + 'dependencies = ["./x"]\n', {}, 3, "has no name", "name @ URL"),
        (NAMED + 'dependencies = "a"\n', {}, 3, "is a list of texts", 'dependencies = ["..."]'),
        (NAMED + 'requires-python = "3.9"\n', {}, 3, "no version specifier", ">=3.11"),
        (NAMED + 'requires-python = "===3.9"\n', {}, 3, "=== has no meaning", ">=3.11"),
        (PROJECT, {"extras": ["gpuu"]}, 8, "no extra 'gpuu'", "did you mean 'gpu'?"),
        (PROJECT, {"groups": ["tests"]}, 12, "no dependency group 'tests'", "did you mean 'test'?"),
        (PROJECT, {"groups": ["loop"]}, 15, "loop -> pool -> loop", "remove one include-group"),
        (PROJECT, {"groups": ["odd"]}, 17, "neither a requirement nor an include", "include-group"),
        ("[dependency-groups]\na-b = []\na_b = []\n", {"groups": ["a-b"]}, 3, "are one name", "merge"),
        ("[project\n", {}, 1, "malformed TOML", "mend"),
        (NAMED + 'name = "y"\n', {}, 3, "malformed TOML", "mend"),
        (NAMED + "[tool.conda-lock]\nchanels = []\n", {}, 4, "unknown key 'chanels'", "did you mean 'channels'?"),
        (NAMED + "[tool.conda-lock.dependencies]\na = 1\n", {}, 4, "'a' has no version", 'a = ">=1.2"'),
        (NAMED + '[tool.conda-lock]\nplatforms = ["x"]\n', {}, 4, "unknown platform", "linux-64"),
        ("project = 1\n", {}, 1, "project is a table", "[project]"),
        ("x = " + "[" * 50_000, {}, None, "malformed TOML: nested too deep", "flatten"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_remedy(
    tmp_path: Path, text: str, options: dict[str, list[str]], line: int | None, message: str, remedy: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text, **options)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == Place(str(tmp_path / "pyproject.toml"), line)
