"""Packages that own one path: the same winner everywhere, a warning that names both, no file lost silently."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from prefix_samples import SHARED, addresses, config, lock_of, package, tree
from support.channel import Link, write_package
from support.needs import suits
from support.wheels import make_wheel

from hermetic.errors import BuildError
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix import build_prefix, verify_prefix
from hermetic.store import Store

CLOBBER = SHARED / "conda-data/packages/conda+rattler/test-data/clobber"


def build(prefix: Path, archives: list[Path], store: Store, wheels: list[Path] | None = None) -> tuple[str, ...]:
    lock = lock_of(archives, wheels or [])
    warnings = build_prefix(lock, prefix, store=store, config=config(), addresses=addresses(archives)).warnings
    assert verify_prefix(prefix, lock, store=store, config=config()) == ()
    return warnings


def python(folder: Path) -> Path:
    return write_package(
        folder, "python", "3.11.9", build="h0_0_cpython", subdir="linux-64", files={"lib/python3.11/os.py": ""}
    )


@pytest.mark.parametrize(
    ("names", "files", "warned"),
    [
        (
            [f"clobber-{n}-0.1.0-h4616a5c_0.tar.bz2" for n in (1, 2, 3)],
            {"clobber.txt": "clobber-1\n", "another-clobber.txt": "clobber-1\n"},
            ["clobber-3, clobber-2 and clobber-1 all have another-clobber.txt, clobber.txt"],
        ),
        (
            [f"clobber-nested-{n}-0.1.0-h4616a5c_0.tar.bz2" for n in (1, 2, 3)],
            {"clobber/bobber/clobber.txt": "clobber-2\n"},
            ["clobber-nested-3, clobber-nested-1 and clobber-nested-2 all have clobber/bobber/clobber.txt"],
        ),
        (
            ["clobber-python-0.1.0-cpython.conda", "clobber-pypy-0.1.0-h4616a5c_0.conda"],
            {"bin/python": "pypy\n"},
            ["clobber-python and clobber-pypy both have bin/python"],
        ),
    ],
    ids=["three", "nested", "python"],
)  # fmt: skip
def test_real_packages_that_collide(
    tmp_path: Path, store: Store, names: list[str], files: dict[str, str], warned: list[str]
) -> None:
    suits(CLOBBER.is_dir(), f"{CLOBBER} is not there")
    seen = set()
    for number, order in enumerate(itertools.permutations(names)):
        prefix = tmp_path / f"env{number}"
        warnings = build(prefix, [CLOBBER / name for name in order], store)
        assert [warning.partition(":")[0] for warning in warnings] == warned
        found = {path: entry for path, entry in tree(prefix).items() if "conda-meta/hermetic" not in path}
        for path, text in files.items():
            assert found[path][-1] == text.encode()
        assert not (prefix / "__clobbers__").exists()
        seen.add(json.dumps(sorted(found)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["clobber-fd-1-0.1.0-h4616a5c_0.conda", "clobber-fd-2-0.1.0-h4616a5c_0.conda"],
        ["clobber-fd-rev-1-0.1.0-h4616a5c_0.conda", "clobber-fd-rev-3-0.1.0-h4616a5c_0.conda"],
        ["clobber-with-dir-0.1.0-h4616a5c_0.conda", "clobber-without-dir-0.1.0-h4616a5c_0.conda"],
    ],
    ids=["fd", "fd-rev", "dir"],
)
def test_a_file_against_a_folder_is_refused_in_every_order(tmp_path: Path, store: Store, names: list[str]) -> None:
    suits(CLOBBER.is_dir(), f"{CLOBBER} is not there")
    messages = set()
    for order in itertools.permutations(names):
        with pytest.raises(BuildError, match=r"is a file for .* and a folder for") as error:
            build(tmp_path / "env", [CLOBBER / name for name in order], store)
        messages.add(str(error.value))
    assert len(messages) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_loser_does_not_claim_the_file(tmp_path: Path, store: Store) -> None:
    one = write_package(tmp_path, "one", files={"share/x": "1", "share/one": ""})
    two = write_package(tmp_path, "two", depends=["one"], files={"share/x": "2"})
    (warning,) = build(tmp_path / "env", [one, two], store)
    assert warning == "one and two both have share/x: two's is installed"
    files = {
        path.name.partition("-")[0]: json.loads(path.read_bytes())["files"]
        for path in (tmp_path / "env/conda-meta").glob("*.json")
    }
    assert files == {"one": ["share/one"], "two": ["share/x"]}


def test_the_same_file_twice_is_no_matter(tmp_path: Path, store: Store) -> None:
    one = write_package(tmp_path, "one", files={"share/x": "same", "lib/l": Link("../share/x")})
    two = write_package(tmp_path, "two", files={"share/x": "same", "lib/l": Link("../share/x")})
    assert build(tmp_path / "env", [one, two], store) == ()


def test_the_same_bytes_with_another_mode_or_kind_are_not_the_same(tmp_path: Path, store: Store) -> None:
    one = write_package(tmp_path, "one", files={"share/x": "same", "share/y": "z"})
    two = write_package(tmp_path, "two", files={"share/x": "same", "share/y": Link("x")}, executable=["share/x"])
    (warning,) = build(tmp_path / "env", [one, two], store)
    assert "share/x, share/y" in warning


def test_entry_points_and_scripts_collide_too(tmp_path: Path, store: Store) -> None:
    beside = python(tmp_path)
    one = write_package(
        tmp_path, "one", noarch="python", entry_points=["tool = one:main"], files={"site-packages/one.py": ""}
    )
    two = write_package(tmp_path, "two", files={"bin/tool": "#!/bin/sh\necho two\n"})
    (warning,) = build(tmp_path / "env", [beside, one, two], store)
    assert warning == "two and one both have bin/tool: one's is installed"
    assert b"from one import main" in (tmp_path / "env/bin/tool").read_bytes()


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path, store: Store) -> None:
    one = write_package(tmp_path, "one", files={"lib64": Link("lib"), "lib/a": ""})
    two = write_package(tmp_path, "two", files={"lib64/b": ""})
    with pytest.raises(BuildError, match="lib64 is a file for one and a folder for two"):
        build(tmp_path / "env", [one, two], store)


def test_packages_may_not_write_what_describes_the_environment(tmp_path: Path, store: Store) -> None:
    for path in ("conda-meta/hermetic", "conda-meta/state", "conda-meta/other-1.0-0.json", "conda-meta/history"):
        bad = write_package(tmp_path, "bad", files={path: "{}"})
        with pytest.raises(BuildError, match="bad holds conda-meta/"):
            build(tmp_path / "env", [bad], store)
    assert build(tmp_path / "env", [write_package(tmp_path, "good", files={"conda-meta/pinned": ""})], store) == ()


def test_a_wheel_against_a_conda_package_is_refused(tmp_path: Path, store: Store) -> None:
    beside = python(tmp_path)
    name = "lib/python3.11/site-packages/shared.py"
    conda = write_package(tmp_path, "conda-one", subdir="linux-64", files={name: "x = 1\n"})
    wheel = make_wheel(tmp_path, "wheel-one", files={"shared.py": "x = 2\n"})
    with pytest.raises(BuildError, match=r"shared\.py belongs to the conda package conda-one.*wheel wheel-one"):
        build(tmp_path / "env", [beside, conda], store, [wheel])
    same = make_wheel(tmp_path / "same", "wheel-one", files={"shared.py": "x = 1\n"})
    assert build(tmp_path / "env", [beside, conda], store, [same]) == ()


def test_two_wheels_that_collide_are_warned_of(tmp_path: Path, store: Store) -> None:
    beside = python(tmp_path)
    one = make_wheel(tmp_path, "one", files={"tests/__init__.py": "1"})
    two = make_wheel(tmp_path, "two", files={"tests/__init__.py": "2"})
    (warning,) = build(tmp_path / "env", [beside], store, [two, one])
    assert warning.startswith(
        "wheel one and wheel two both have lib/python3.11/site-packages/tests/__init__.py: wheel two"
    )
    assert (tmp_path / "env/lib/python3.11/site-packages/tests/__init__.py").read_text() == "2"


@pytest.mark.parametrize("folder", ["Name_X-1.0.dist-info/METADATA", "name.x-1.0-py3.11.egg-info/PKG-INFO"])
def test_a_project_that_conda_and_pip_both_bring_is_refused(tmp_path: Path, store: Store, folder: str) -> None:
    beside = python(tmp_path)
    conda = write_package(tmp_path, "other-name", noarch="python", files={f"site-packages/{folder}": "Name: name-x\n"})
    wheel = make_wheel(tmp_path, "name-x", "2.0")
    with pytest.raises(BuildError, match=r"other-name 1\.0 and the wheel name_x-2\.0.* both install .* project"):
        build(tmp_path / "env", [beside, conda], store, [wheel])


def test_the_winner_does_not_depend_on_what_the_store_has(tmp_path: Path, store: Store) -> None:
    one = write_package(tmp_path, "one", files={"x": "1"})
    two = write_package(tmp_path, "two", files={"x": "2"})
    for number in range(4):
        own = Store.open(tmp_path / f"store{number}")
        if number % 2:
            first = PlatformLock("linux-64", (), (package(two),))
            build_prefix(first, tmp_path / "first", store=own, config=config(), addresses=addresses([two]))
        build(tmp_path / f"env{number}", [one, two], own)
        assert (tmp_path / f"env{number}/x").read_text() == "1"
