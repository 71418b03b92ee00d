"""Packages without wheels as a user meets them: refused, allowed, locked, built, and built again on another machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from source_samples import git, write_project, write_repository, write_sdist
from support.needs import require

from hermetic.errors import MachineError
from hermetic.lock.model import PlatformLock
from hermetic.realize.sandbox import usable_backend

from .conftest import share_environments

Hermetic = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def hermetic(project: Path, tmp_path: Path, made_environments: Path) -> Hermetic:
    for store in ("store", "another-store", "third-store"):
        share_environments(tmp_path / store, made_environments)
    try:
        usable_backend()
    except MachineError as error:
        require(False, error.message)

    def call(*arguments: str, status: int = 0, store: str = "store") -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-c", "from hermetic.cli import main; main()", *arguments],
            cwd=project, env={**os.environ, "HERMETIC_STORE": str(tmp_path / store)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == status, f"{arguments} gave {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    return call


def declare(project: Path, channel: Path, environment: PlatformLock, pip: list[str], builds: list[str]) -> None:
    """Write a manifest whose environment is the channel's Python and pip requirements."""
    depends = "\n".join(match for package in environment.conda for match in package.depends)
    found = re.findall(r"__glibc >=([\d.]+)", depends)
    glibc = max(found, key=lambda version: [int(part) for part in version.split(".")], default="2.28")
    (project / "requirements.txt").write_text("".join(f"{line}\n" for line in pip))
    (project / "hermetic.toml").write_text(
        f'[project]\nname = "sources"\n[channels]\nlocal = "{channel}"\n'
        f'[environments.default]\nfrom = ["requirements.txt"]\nchannels = ["local"]\ndependencies = ["python"]\n'
        f'system = {{ glibc = "{glibc}" }}\nsource-builds = {json.dumps(builds)}\n'
    )


def locked_wheels(project: Path) -> dict[str, dict[str, Any]]:
    (platform,) = json.loads((project / "lockfiles" / "default.lock.json").read_text())["platforms"].values()
    return platform["wheels"]


@pytest.fixture
def three_kinds(project: Path, tmp_path: Path, channel: Path, python_environment: PlatformLock) -> list[str]:
    """An sdist in a folder of links, a repository, and a folder of the project itself; each builds itself."""
    answers = {"packed": 1, "versioned": 2, "local": 3}
    for name, answer in answers.items():
        body = f"def files():\n    return {{'{name}.py': 'answer = {answer}\\n'}}"
        folder = {"packed": tmp_path, "versioned": tmp_path, "local": project}[name] / name
        write_project(folder, body, name=name)
    (tmp_path / "packed" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: packed\nVersion: 1.0\n")
    write_sdist(tmp_path / "packed", project / "links" / "packed-1.0.tar.gz", "packed-1.0")
    write_repository(tmp_path / "versioned")
    repository = (tmp_path / "versioned").as_uri()
    pip = ["--no-index", "--find-links ./links", "packed", f"versioned @ git+{repository}@main", "local @ ./local"]
    declare(project, channel, python_environment, pip, list(answers))
    return list(answers)


def test_sources_are_locked_built_run_and_built_again_elsewhere(
    hermetic: Hermetic, project: Path, tmp_path: Path, three_kinds: list[str]
) -> None:
    hermetic("lock")
    wheels = locked_wheels(project)
    assert sorted(wheels) == sorted(three_kinds)
    assert wheels["packed"]["origin"]["url"] == "./links/packed-1.0.tar.gz"
    assert wheels["versioned"]["origin"]["commit"] == git(tmp_path / "versioned", "rev-parse", "HEAD")
    assert wheels["local"]["origin"]["url"] == "./local"
    hermetic("build")
    ask = "import packed, versioned, local; print(packed.answer, versioned.answer, local.answer)"
    assert hermetic("run", "default", "--", "python", "-c", ask).stdout == "1 2 3\n"

    before = (project / "lockfiles" / "default.lock.json").read_bytes()
    hermetic("lock", "--offline")
    assert (project / "lockfiles" / "default.lock.json").read_bytes() == before
    hermetic("lock", "--check")
    hermetic("build", "--locked", "--prefix", str(tmp_path / "elsewhere"), store="another-store")
    done = subprocess.run(
        [tmp_path / "elsewhere" / "bin" / "python", "-c", ask], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1 2 3\n"

    (project / "local" / "more.py").touch()
    said = hermetic("build", "--locked", "--prefix", str(tmp_path / "third"), status=5, store="third-store").stderr
    assert "are not those that were locked" in said
    assert not (tmp_path / "third").exists()


def test_a_branch_stays_at_its_locked_commit_until_it_is_updated(
    hermetic: Hermetic, project: Path, tmp_path: Path, three_kinds: list[str]
) -> None:
    hermetic("lock")
    first = locked_wheels(project)["versioned"]
    body = "def files():\n    return {'versioned.py': 'answer = 20\\n'}"
    write_project(tmp_path / "versioned", body, name="versioned", version="2.0")
    git(tmp_path / "versioned", "commit", "--quiet", "--all", "--message", "Go on")
    hermetic("lock")
    assert locked_wheels(project)["versioned"] == first
    hermetic("lock", "--update", "versioned")
    assert locked_wheels(project)["versioned"]["version"] == "2.0"
    assert locked_wheels(project)["packed"]["version"] == "1.0"


def test_sources_are_refused_unless_they_are_allowed(hermetic: Hermetic, project: Path, three_kinds: list[str]) -> None:
    manifest = project / "hermetic.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace('"versioned", ', "").replace("versioned", "packed"))
    said = hermetic("lock", status=2).stderr
    assert "versioned would have to be built from source" in said
    assert 'source-builds = ["versioned"]' in said
    manifest.write_text(text.replace('"packed", ', ""))
    said = hermetic("lock", status=3).stderr
    assert 'source-builds = ["packed"]' in said
    assert not (project / "lockfiles").exists()


def test_a_failed_build_leaves_no_lock(hermetic: Hermetic, project: Path, three_kinds: list[str]) -> None:
    write_project(project / "local", "raise SystemExit('the build is over')", name="local")
    said = hermetic("lock", status=6).stderr
    assert "the build is over" in said
    assert "local-" in said
    assert not (project / "lockfiles").exists()


def test_a_project_of_setuptools_with_compiled_parts(
    hermetic: Hermetic, project: Path, tmp_path: Path, channel: Path, python_environment: PlatformLock
) -> None:
    """The most usual sdist there is: its tools come from the machine's index."""
    require(shutil.which("gcc"), "gcc compiles here")
    old = project / "old"
    old.mkdir()
    (old / "setup.py").write_text(
        "from setuptools import setup, Extension\n"
        "setup(name='old', version='1.0', py_modules=['old'], ext_modules=[Extension('fast', ['fast.c'])])\n"
    )
    (old / "old.py").write_text("from fast import answer\n")
    (old / "fast.c").write_text("""
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
""")
    declare(project, channel, python_environment, ["old @ ./old"], ["old"])
    probe = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "-"],
        input="setuptools", capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    require(probe.returncode == 0, "no package index can be reached")
    hermetic("lock")
    wheel = locked_wheels(project)["old"]
    assert wheel["file_name"].startswith("old-1.0-cp")
    assert "setuptools" in wheel["origin"]["tools"]
    hermetic("build")
    assert hermetic("run", "default", "--", "python", "-c", "import old; print(old.answer())").stdout == "42\n"
    hermetic("build", "--locked", "--prefix", str(tmp_path / "elsewhere"), store="another-store")
