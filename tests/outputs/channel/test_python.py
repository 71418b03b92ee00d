"""Any CPython can be packaged, is tried before it is offered, and leaves this machine's folders behind."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from support.needs import suits

from hermetic.errors import BuildError, UsageError
from hermetic.outputs.channel.archive import PLACEHOLDER, File
from hermetic.outputs.channel.interpreter import ask
from hermetic.outputs.channel.libraries import this_machine
from hermetic.outputs.channel.patch import relocate
from hermetic.outputs.channel.python import PythonPlan, abi_package, compile_files, plan_python, realise_python
from hermetic.outputs.channel.trial import try_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a channel is made on Linux")
DEBIAN = Path("/usr/bin/python3")


@pytest.fixture(scope="module")
def plan() -> PythonPlan:
    return plan_python(ask(), this_machine(), "linux-64")


@pytest.fixture(scope="module")
def files(plan: PythonPlan, tmp_path_factory: pytest.TempPathFactory) -> list[File]:
    return everything(plan, tmp_path_factory.mktemp("python"))


def everything(plan: PythonPlan, room: Path) -> list[File]:
    """Python's own files and those of the libraries it needs, ready to be put anywhere."""
    made, _ = realise_python(plan, room)
    for library in plan.libraries:
        place = f"lib/{library.name}"
        made.append(File(place, relocate(library.path, place, room / library.name), executable=True))
    return made


def test_the_interpreter_is_asked_behind_its_virtual_environment(tmp_path: Path) -> None:
    venv.create(tmp_path / "v", symlinks=True)
    inside, outside = ask(tmp_path / "v/bin/python"), ask()
    assert replace(inside, asked=outside.asked) == outside
    assert inside.version == ".".join(map(str, sys.version_info[:3]))
    assert inside.abi == f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "no Python interpreter"),
        ("echo hello", "no Python interpreter"),
        ('echo \'{"implementation": "pypy"}\'', "only CPython"),
    ],
)
def test_what_is_no_cpython_is_told(tmp_path: Path, script: str, message: str) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match=message):
        ask(program)
    with pytest.raises(UsageError, match="no Python interpreter"):
        ask(tmp_path / "nothing")


def test_the_package_runs_from_another_folder_on_its_own_libraries(
    plan: PythonPlan, files: list[File], tmp_path: Path
) -> None:
    try_python(plan.interpreter, files, plan.program, tmp_path)  # raises if anything of this machine is loaded


def test_a_package_that_lacks_a_library_is_not_offered(plan: PythonPlan, files: list[File], tmp_path: Path) -> None:
    suits(plan.libraries, "this Python needs no library")
    lost = {f"lib/{library.name}" for library in plan.libraries}
    with pytest.raises(BuildError, match=r"cannot be packaged: .*(it loads libraries of this machine|module )"):
        try_python(plan.interpreter, [f for f in files if f.path not in lost], plan.program, tmp_path)


def test_a_package_that_does_not_start_is_not_offered(plan: PythonPlan, files: list[File], tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="does not start"):
        try_python(plan.interpreter, [f for f in files if "/encodings/" not in f.path], plan.program, tmp_path)


def test_no_file_names_the_folder_python_was_built_for(plan: PythonPlan, files: list[File]) -> None:
    prefix = str(plan.interpreter.prefix)
    suits(prefix.count("/") > 2, "this Python's prefix is a common folder")
    assert [file.path for file in files if prefix.encode() in file.read()] == []
    marked = {file.path for file in files if file.prefix}
    assert marked == {file.path for file in files if PLACEHOLDER.encode() in file.read()}
    assert any("_sysconfigdata" in path for path in marked)


def test_what_others_installed_and_tests_stay_behind(files: list[File]) -> None:
    paths = [file.path for file in files]
    left_out = ("/test/", "/tests/", "/__pycache__/", "/idlelib/", "/tkinter/", "/dist-packages/", ".a")
    assert not [path for path in paths if any(part in path or path.endswith(part) for part in left_out)]
    assert [p for p in paths if "site-packages/" in p] == [f"lib/python{ask().minor}/site-packages/README.txt"]
    assert {"bin/python", "bin/python3", f"bin/python{ask().minor}"} <= set(paths)


def test_python_abi_and_python_hold_on_to_each_other(plan: PythonPlan) -> None:
    abi = abi_package(plan.interpreter)
    minor, tag = plan.interpreter.minor, plan.interpreter.abi
    assert plan.package.constrains == (f"python_abi {minor}.* *_{tag}",)
    assert abi.build.endswith(f"_{tag}")
    assert abi.constrains == (f"python {minor}.* *_cpython",)
    assert plan.package.build.endswith("_cpython")


def test_the_build_string_tells_the_inputs(plan: PythonPlan) -> None:
    again = plan_python(ask(), this_machine(), "linux-64")
    assert again.package == plan.package
    assert plan_python(ask(), this_machine(), "linux-64", pyc=True).package.build != plan.package.build


def test_an_extension_module_whose_library_is_lost_stays_behind(tmp_path: Path) -> None:
    """The rest of Python is packaged, and the summary names what is missing and why."""
    python = ask()
    dynload = tmp_path / "lib-dynload"
    dynload.mkdir()
    source = next((python.dynload or python.stdlib / "lib-dynload").glob("*.so"))
    broken = dynload / "_broken.so"
    broken.write_bytes(source.read_bytes())
    from hermetic.outputs.channel.patch import patchelf

    subprocess.run([patchelf(), "--add-needed", "libnowhere.so.9", broken], check=True)
    stdlib = tmp_path / python.stdlib.name
    stdlib.mkdir()
    for name in ("os.py", "site.py"):
        (stdlib / name).write_bytes((python.stdlib / name).read_bytes())
    changed = replace(python, dynload=dynload, stdlib=stdlib)
    plan = plan_python(changed, this_machine(), "linux-64")
    assert plan.left_out == ("_broken.so (needs libnowhere.so.9)",)
    assert not [file for file in plan.files if "_broken" in file.path]


def test_byte_code_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    sources = [
        File("lib/a.py", b"X = {'a', 'b', 'c'}\ndef f(x):\n    return x in {'p', 'q', 'r', 's'}\n"),
        File("lib/pkg/b.py", b"def g(): raise ValueError\n"),
        File("lib/held.py", f"P = '{PLACEHOLDER}'\n".encode(), prefix="text"),
        File("lib/data.txt", b"no module"),
    ]
    results = []
    for name, seed in (("one", "1"), ("two", "2")):
        room = tmp_path / name
        room.mkdir()
        old = os.environ.get("PYTHONHASHSEED")
        os.environ["PYTHONHASHSEED"] = seed
        try:
            results.append([(f.path, f.read()) for f in compile_files(ask(), sources, room)])
        finally:
            os.environ.pop("PYTHONHASHSEED") if old is None else os.environ.update(PYTHONHASHSEED=old)
    assert results[0] == results[1]
    assert [path.split("/")[-1].split(".")[0] for path, _ in results[0]] == ["a", "b"]
    for _, data in results[0]:
        assert data[4:8] == b"\1\0\0\0"  # PEP 552: checked by hash, and never checked
        assert str(tmp_path).encode() not in data


def test_debians_python_is_taught_to_look_in_site_packages(tmp_path: Path) -> None:
    site = DEBIAN.resolve().parent.parent / "lib" / DEBIAN.resolve().name / "site.py"
    suits(site.is_file() and "dist-packages" in site.read_text(), "there is no Debian Python here")
    python = ask(DEBIAN)
    plan = plan_python(python, this_machine(), "linux-64")
    assert not plan.left_out
    made = everything(plan, tmp_path)
    try_python(python, made, plan.program, tmp_path)  # raises unless site-packages is where it looks
    assert not [file.path for file in made if "EXTERNALLY-MANAGED" in file.path]
