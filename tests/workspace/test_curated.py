"""The curated environments: what the catalogue says, and that each one's lock is of what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from hermetic import Environment, Workspace
from hermetic.errors import HermeticError, UsageError
from hermetic.lock.check import check
from hermetic.lock.file import read_lock
from hermetic.sdk.naming import RESERVED, check_name
from hermetic.workspace.curated.catalogue import FOLDER, LOCKS, Curated, catalogue, curated, curated_versions

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("HERMETIC_SHARED", ROOT.parent / "shared"))
SAMPLE = SHARED / "conda-data" / "repodata" / "conda-forge-sample"
NAMES = ["Hermetic-Minimal", "Hermetic-Tutorial", "Hermetic-PyTorch-CPU", "Hermetic-PyTorch-CUDA", "AzureML-Minimal",
         "AzureML-Tutorial"]  # fmt: skip
EVERY = [item for name in catalogue() for item in curated_versions(name)]
EVERY_ID = [f"{item.name}.{item.version}" for item in EVERY]


def environment(item: Curated, folder: Path) -> Environment:
    for name, text in item.files.items():
        (folder / name).write_text(text)
    return Environment.load_from_directory(folder)


def test_the_catalogue_lists_what_is_promised() -> None:
    assert list(catalogue()) == NAMES
    assert catalogue()["Hermetic-Minimal"].version == len(curated_versions("Hermetic-Minimal"))


@pytest.mark.parametrize("item", EVERY, ids=EVERY_ID)
def test_a_curated_environment_is_an_azure_ml_directory(item: Curated, tmp_path: Path) -> None:
    found = environment(item, tmp_path)
    assert found.name == item.name == check_name(item.name)
    assert item.name.startswith(RESERVED)
    assert found.version is None
    assert list(found.python.conda_dependencies.conda_channels) == ["conda-forge"]
    assert found.python.conda_dependencies.get_python_version()
    text = found.python.conda_dependencies.serialize_to_string()
    assert f"name: {item.name}\n" in text
    assert item.summary
    assert "\n" not in item.summary


@pytest.mark.parametrize("item", EVERY, ids=EVERY_ID)
def test_saving_a_curated_environment_gives_its_files_again(item: Curated, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    environment(item, tmp_path / "in").save_to_directory(tmp_path / "out")
    saved = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert saved.keys() == item.files.keys()
    assert json.loads(saved["azureml_environment.json"]) == json.loads(item.files["azureml_environment.json"])


@pytest.mark.parametrize("item", EVERY, ids=EVERY_ID)
def test_the_lock_is_of_what_the_catalogue_says(item: Curated, tmp_path: Path) -> None:
    """What ``hermetic lock --check`` holds: the spec is the lock's, and the graph is closed."""
    assert item.lock
    lock = read_lock(item.lock)
    assert check(environment(item, tmp_path).to_spec(), lock, platforms=["linux-64"], deep=True) == ()


def test_locks_are_where_people_look_for_them() -> None:
    """``lockfiles/`` shows the files that come with the package, which has all locks and no other."""
    locks = {item.lock for item in EVERY if item.lock}
    assert {path.resolve() for path in (ROOT / "lockfiles").glob("Hermetic-*")} == locks == set(LOCKS.iterdir())


@pytest.mark.parametrize("item", EVERY, ids=EVERY_ID)
def test_every_package_comes_from_the_named_channel_and_has_a_digest(item: Curated) -> None:
    assert item.lock
    for platform in read_lock(item.lock).platforms.values():
        assert {package.channel for package in platform.conda} == {"conda-forge"}
        assert all(re.fullmatch("[0-9a-f]{64}", package.sha256) and package.size for package in platform.conda)
        assert not platform.wheels


def test_what_they_promise_is_locked() -> None:
    def locked(name: str) -> dict[str, str]:
        lock = catalogue()[name].lock
        assert lock
        return {package.name: package.build for package in read_lock(lock).platforms["linux-64"].conda}

    assert {"python", "pip"} <= locked("Hermetic-Minimal").keys()
    assert {"scikit-learn", "pandas", "matplotlib-base", "numpy"} <= locked("Hermetic-Tutorial").keys()
    assert locked("Hermetic-PyTorch-CPU")["pytorch"].startswith("cpu")
    assert not any(name.startswith("cuda") for name in locked("Hermetic-PyTorch-CPU"))
    cuda = locked("Hermetic-PyTorch-CUDA")
    assert cuda["pytorch"].startswith("cuda")
    assert {"cuda-cudart", "cudnn", "nccl"} <= cuda.keys()


@pytest.mark.parametrize("name", ["Minimal", "Tutorial"])
def test_the_v1_names_have_our_content(name: str, tmp_path: Path) -> None:
    theirs, ours = catalogue()[f"AzureML-{name}"], catalogue()[f"Hermetic-{name}"]
    assert theirs.same_as == ours.name
    assert theirs.lock == ours.lock
    assert theirs.summary == ours.summary
    for folder in ("theirs", "ours"):
        (tmp_path / folder).mkdir()
    specs = [environment(item, tmp_path / folder).to_spec() for item, folder in ((theirs, "theirs"), (ours, "ours"))]
    assert specs[0].digest() == specs[1].digest()


@pytest.mark.parametrize("name", ["Hermetic-PyTorch-CUDA", "AzureML-Tutorial"])
def test_one_that_is_got_is_locked_as_it_came(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, and byte for byte; a changed clone is an environment like any other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    got = Workspace.create("mine").environments[name]
    got.lock("here.lock.json", ["linux-64"], offline=True)
    lock = catalogue()[name].lock
    assert lock
    assert (tmp_path / "here.lock.json").read_bytes() == lock.read_bytes()
    mine = got.clone("mine")
    mine.python.conda_dependencies.add_conda_package("no-such-package")
    with pytest.raises(HermeticError):
        mine.lock(platforms=["linux-64"], offline=True)


def test_a_version_is_found_as_number_and_as_text() -> None:
    first = curated_versions("Hermetic-Minimal")[0]
    assert first.version == 1
    assert curated("Hermetic-Minimal", 1) is curated("Hermetic-Minimal", "1") is first
    assert curated("Hermetic-Minimal") is catalogue()["Hermetic-Minimal"]
    assert curated("hermetic-minimal") is None
    assert curated_versions("mine") == ()
    with pytest.raises(UsageError, match="has no version '9'") as caught:
        curated("Hermetic-Minimal", 9)
    assert "there are: 1" in str(caught.value.remedy)


def test_the_catalogue_cannot_be_changed() -> None:
    item = catalogue()["Hermetic-Minimal"]
    with pytest.raises(TypeError):
        item.files["x"] = "y"  # type: ignore[index]


def test_listing_costs_no_library() -> None:
    code = (
        "import sys; from hermetic.workspace.curated.catalogue import catalogue; catalogue()\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rattler", "yaml", "ruamel", "sqlalchemy", "urllib3"} & set(found)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the shared repodata is not here")
def test_the_script_locks_them_anew(tmp_path: Path) -> None:
    """The committed locks come of the shared records: the same solve on the same records gives the same bytes."""
    channel = tmp_path / "channel"
    for subdir in ("linux-64", "noarch"):
        (channel / subdir).mkdir(parents=True)
        packed = (SAMPLE / subdir / "repodata.json.zst").read_bytes()
        text = zstandard.ZstdDecompressor().stream_reader(packed).read()
        (channel / subdir / "repodata.json").write_bytes(text)
    copy = tmp_path / "project"
    (copy / "lockfiles").mkdir(parents=True)
    (copy / "lockfiles" / "update.py").write_text((ROOT / "lockfiles" / "update.py").read_text())
    code = (
        "import runpy, sys, pathlib\n"
        "from hermetic.workspace.curated import catalogue\n"
        f"catalogue.LOCKS = pathlib.Path({str(copy / 'locks')!r})\n"
        "catalogue._catalogue.cache_clear()\n"
        f"sys.argv = ['update.py']; runpy.run_path({str(copy / 'lockfiles' / 'update.py')!r}, run_name='__main__')\n"
    )
    environ = {**os.environ, "HERMETIC_CHANNELS": f"conda-forge={channel}", "HERMETIC_STORE": str(tmp_path / "store")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = sorted((copy / "locks").iterdir())
    assert [path.name for path in made] == sorted(path.name for path in LOCKS.iterdir())
    for path in made:
        assert path.read_bytes() == (LOCKS / path.name).read_bytes()
        assert (copy / "lockfiles" / path.name).resolve() == path


def test_the_script_knows_what_there_is() -> None:
    command = [sys.executable, str(ROOT / "lockfiles" / "update.py"), "Hermetic-Minimal.9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is no Hermetic-Minimal.9 in the catalogue" in done.stderr


def test_the_catalogue_comes_with_the_package() -> None:
    """What is read at run time is of the kinds of files that pyproject.toml packs."""
    import tomllib

    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["hermetic"]
    data = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    assert len(data) > len(NAMES) - 2
    assert all(not path.is_symlink() and f"**/*{path.suffix}" in patterns for path in data)
