"""Loading: what a file is, and what several files together mean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hermetic.errors import HermeticError, Place, SpecError
from hermetic.spec.load import load, load_spec
from hermetic.spec.model import PipOptions

ENVIRONMENT = "name: demo\nchannels: [a]\ndependencies: [python=3.11, {pip: [flask]}]\n"


def write(folder: Path, **files: str) -> list[Path]:
    paths = []
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(text)
        paths.append(path)
    return paths


def test_several_files_are_joined(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        one__yml=ENVIRONMENT + "variables: {A: b}\n",
        two__yaml="channels: [b, a]\nplatforms: [linux-64]\ncategory: dev\n"
        "dependencies: [pytest, python=3.11]\nvariables: {A: b}\n",
        requirements__txt="flask\n-r more.in\n-i https://example.org/simple\n",
        more__in="rich\n",
    )
    found = load(paths[:3])
    assert found.name == "demo"
    assert found.spec.channels == ("a", "b")
    assert [(item.match, item.category) for item in found.spec.conda] == [
        ("pytest", "dev"), ("python 3.11.*", "dev"), ("python 3.11.*", "main"),
    ]  # fmt: skip
    assert [item.text for item in found.spec.pip] == ["flask", "rich"]
    assert found.spec.options == PipOptions(index="https://example.org/simple")
    assert found.spec.platforms == ("linux-64",)
    assert found.files == tuple(paths)


def test_the_order_of_files_changes_nothing_but_the_order_of_channels(tmp_path: Path) -> None:
    paths = write(
        tmp_path, a__yml="dependencies: [x]\n", b__txt="y\n--pre\n", c__yml="channels: [c]\ndependencies: [z]\n"
    )
    assert load_spec(paths) == load_spec(paths[::-1])


def test_categories_platforms_and_main(tmp_path: Path) -> None:
    paths = write(tmp_path, a__yml=ENVIRONMENT, b__yml="category: dev\nplatforms: [win-64]\ndependencies: [b]\n",
                  c__yml="category: docs\ndependencies: [c]\n")  # fmt: skip
    spec = load_spec(paths, categories=["dev"], platforms=["osx-64", "linux-64"])
    assert [item.name for item in spec.conda] == ["b", "python"]
    assert spec.platforms == ("linux-64", "osx-64")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("environment.yml", ENVIRONMENT),
        ("anything.YAML", ENVIRONMENT),
        ("environment", ENVIRONMENT),
        ("spec.conda", "# comment\n" + ENVIRONMENT),
        ("reqs.txt", "python-dotenv\n"),
        ("requirements.in", "a\n"),
        ("requirements", "a\n"),
        ("project.toml", '[project]\nname = "x"\n'),
    ],
)
def test_a_file_is_known_by_its_name_or_its_content(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = load([tmp_path / name])
    assert found.name == {"y": "demo", "p": "x"}.get("y" if "channels" in text else name[0], "")


@pytest.mark.parametrize(
    ("name", "text", "message", "remedy"),
    [
        ("Pipfile", "x", "is no spec that hermetic reads", "pipenv requirements"),
        ("poetry.lock", "x", "is no spec that hermetic reads", "poetry export"),
        ("uv.lock", "x", "is no spec that hermetic reads", "uv export"),
        ("setup.py", "x", "is no spec that hermetic reads", "pyproject.toml"),
        ("meta.yaml", "x", "is no spec that hermetic reads", "environment.yml"),
        ("hermetic.toml", "x", "is no spec that hermetic reads", "manifest"),
        ("conda-lock.yml", "version: 1\nmetadata: {}\npackage: []\n", "a lock, not a spec", "hermetic import"),
        ("pixi.lock", "environments: {}\nchannels: []\npackages: []\n", "a lock, not a spec", "hermetic import"),
        ("default.lock.json", "{}", "a JSON file is no spec", "hermetic import"),
    ],
)  # fmt: skip
def test_what_is_no_spec_says_what_to_do(tmp_path: Path, name: str, text: str, message: str, remedy: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError) as caught:
        load([tmp_path / name])
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == Place(str(tmp_path / name))


def test_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="neither an Azure ML environment nor a conda environment"):
        load([tmp_path])
    with pytest.raises(SpecError, match="there is no such file"):
        load([tmp_path / "missing.yml"])
    with pytest.raises(SpecError, match="no spec file"):
        load([])


@pytest.mark.parametrize(
    ("one", "two", "message", "places"),
    [
        ("variables:\n  A: b\n", "variables:\n  A: c\n", "the variable A is 'c' here and 'b' in", (3, 3)),
        ("", "", "", (0, 0)),
    ],
)
def test_two_answers_name_both_places(
    tmp_path: Path, one: str, two: str, message: str, places: tuple[int, int]
) -> None:
    paths = write(tmp_path, one__yml="channels: [a]\n" + one, two__yml="channels: [a]\n" + two)
    if not message:
        assert load(paths).spec.channels == ("a",)
        return
    with pytest.raises(HermeticError) as caught:
        load(paths)
    assert caught.value.message == f"{message} {Place(str(paths[0]), places[0])}"
    assert caught.value.place == Place(str(paths[1]), places[1])


def test_two_indexes_are_an_error_with_both_places(tmp_path: Path) -> None:
    paths = write(
        tmp_path, a__txt="\n-i https://example.org/a\n", b__yml="dependencies:\n- pip:\n  - -i https://example.org/b\n"
    )
    with pytest.raises(HermeticError, match=r"b\.yml:3: the package index is .*a\.txt:2"):
        load(paths)


def test_an_explicit_list_is_complete(tmp_path: Path) -> None:
    paths = write(
        tmp_path, a__txt="@EXPLICIT\nhttps://example.org/linux-64/a-1-0.conda\n", b__yml=ENVIRONMENT, c__txt="flask\n"
    )
    with pytest.raises(SpecError, match="an explicit list is complete"):
        load(paths[:2])
    both = load_spec([paths[0], paths[2]])
    assert both.exact
    assert [item.name for item in both.pip] == ["flask"]


def test_extras_need_a_pyproject(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="none is named"):
        load(write(tmp_path, a__txt="flask\n"), extras=["x"])


def test_local_paths_start_at_the_first_files_folder_or_the_root(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "r.txt").write_text("./x\n")
    first = write(tmp_path, a__txt="./y\n")
    assert {item.url for item in load_spec([*first, tmp_path / "sub" / "r.txt"]).pip} == {"./y", "./sub/x"}
    assert load_spec([tmp_path / "sub" / "r.txt"], root=tmp_path).pip[0].url == "./sub/x"
    assert load_spec([tmp_path / "sub" / "r.txt"]).pip[0].url == "./x"


def test_the_spec_does_not_know_where_it_was_read(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        digests.add(load_spec(write(tmp_path / name, environment__yml=ENVIRONMENT + "# ./x\n")).digest())
    assert len(digests) == 1


def test_an_everyday_spec_needs_no_solver_to_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, environment__yml=ENVIRONMENT.replace("flask", "'flask[async]>=2,<3'"))[0]
    code = "import sys; from hermetic.spec import load_spec; load_spec(sys.argv[1:]).digest(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert not {"rattler", "packaging", "conda_lock", "tomllib", "ruamel", "json.tool"} & set(out.stdout.split())
