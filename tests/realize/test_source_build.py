from __future__ import annotations

import csv
import io
import os
import shutil
import socket
import sysconfig
import threading
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from source_samples import git, write_project, write_repository, write_sdist
from support.needs import require
from support.servers import serve
from support.wheels import make_wheel

from hermetic.errors import BuildError, HermeticError, IntegrityError, OfflineError, UnsatisfiableError, UsageError
from hermetic.lock.model import Origin, Wheel
from hermetic.lock.source import BuildRequirements, BuiltWheel, SourceBuild, origin_of

from .conftest import Workshop

RANDOM = 'def files():\n    return {"demo.py": repr(os.urandom(16))}'


def members(built: BuiltWheel) -> dict[str, str]:
    with zipfile.ZipFile(built.path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def locked(source: SourceBuild, built: BuiltWheel, url: str = "") -> Wheel:
    """The wheel as a lock has it."""
    name, version = built.file_name.split("-")[:2]
    return Wheel(
        name, version, built.file_name, built.size, built.sha256, origin=origin_of(source, built, url)
    )  # fmt: skip


def tools(*wheels: Path) -> BuildRequirements:
    found = []
    for path in wheels:
        name, version = path.name.split("-")[:2]
        data = path.read_bytes()
        found.append(Wheel(name.replace("_", "-"), version, path.name, len(data), sha256(data).hexdigest()))
    return BuildRequirements(tuple(found), {w.sha256: p.as_uri() for w, p in zip(found, wheels, strict=True)})


# What is built


def test_a_folder_becomes_a_wheel_in_the_store(workshop: Workshop, tmp_path: Path) -> None:
    built = workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo"))))
    assert built.file_name == "demo-1.0-py3-none-any.whl"
    assert members(built)["demo.py"] == "version = '1.0'\n"
    assert sha256(workshop.store.blob_path(built.sha256).read_bytes()).hexdigest() == built.sha256
    assert Path(built.path).name == built.file_name
    assert built.size == Path(built.path).stat().st_size


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_sdist_becomes_a_wheel(workshop: Workshop, tmp_path: Path, suffix: str) -> None:
    project = write_project(tmp_path / "demo-1.0")
    if suffix == ".zip":
        sdist = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "demo-1.0"))
    else:
        sdist = write_sdist(project, tmp_path / "packed.tar.gz")
    digest = sha256(sdist.read_bytes()).hexdigest()
    built = workshop.build(SourceBuild("demo", "1.0", sdist.name, url=sdist.as_uri(), sha256=digest))
    assert built.source_sha256 == digest
    assert members(built)["demo.py"] == "version = '1.0'\n"


def test_an_sdist_is_fetched_and_one_without_a_digest_is_pinned(workshop: Workshop, tmp_path: Path) -> None:
    sdist = write_sdist(write_project(tmp_path / "demo"), tmp_path / "served" / "demo-1.0.tar.gz")
    digest = sha256(sdist.read_bytes()).hexdigest()
    with serve(sdist.parent) as server:
        source = SourceBuild("demo", "1.0", sdist.name, url=f"{server.url}/{sdist.name}")
        built = workshop.build(source)
        assert built.source_sha256 == digest
        other = workshop.elsewhere()
        assert other.build(replace(source, sha256=digest)).sha256 == built.sha256
    workshop.builder.offline = True  # the server is gone; what it gave last is known
    assert workshop.build(source) == built
    other = workshop.elsewhere()
    other.builder.offline = True
    with pytest.raises(OfflineError, match=r"demo-1\.0\.tar\.gz"):
        other.build(source)


def test_an_sdist_with_another_digest_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    sdist = write_sdist(write_project(tmp_path / "demo"), tmp_path / "demo-1.0.tar.gz")
    with pytest.raises(IntegrityError, match="0000"):
        workshop.build(SourceBuild("demo", "1.0", sdist.name, url=sdist.as_uri(), sha256="0" * 64))


def test_a_project_in_a_subdirectory_may_use_what_lies_beside_it(workshop: Workshop, tmp_path: Path) -> None:
    body = 'def files():\n    return {"demo.py": open("../shared.txt").read()}'
    write_project(tmp_path / "repo" / "packages" / "demo", body)
    (tmp_path / "repo" / "packages" / "shared.txt").write_text("shared")
    built = workshop.build(SourceBuild("demo", path=str(tmp_path / "repo"), subdirectory="packages/demo"))
    assert members(built)["demo.py"] == "shared"


@pytest.mark.parametrize("subdirectory", ["../x", "/etc", "a/../../b"])
def test_a_subdirectory_stays_inside(workshop: Workshop, tmp_path: Path, subdirectory: str) -> None:
    write_project(tmp_path / "demo")
    with pytest.raises(UsageError, match="outside"):
        workshop.build(SourceBuild("demo", path=str(tmp_path / "demo"), subdirectory=subdirectory))


def test_a_subdirectory_behind_a_link_stays_inside_too(workshop: Workshop, tmp_path: Path) -> None:
    write_project(tmp_path / "demo")
    write_project(tmp_path / "other")
    (tmp_path / "demo" / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(BuildError, match="no folder sub"):
        workshop.build(SourceBuild("demo", path=str(tmp_path / "demo"), subdirectory="sub"))


def test_compiled_parts_are_built_by_the_machines_compiler(workshop: Workshop, tmp_path: Path) -> None:
    require(shutil.which("gcc"), "gcc compiles here")
    body = """
import subprocess, sysconfig
def files():
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-I" + sysconfig.get_path("include"), "fast.c", "-o", "fast.so"],
                   check=True)
    return {"fast" + sysconfig.get_config_var("EXT_SUFFIX"): open("fast.so", "rb").read()}
"""
    project = write_project(tmp_path / "demo", body)
    (project / "fast.c").write_text("""
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
""")
    built = workshop.build(SourceBuild("demo", path=str(project)))
    with zipfile.ZipFile(built.path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        data = archive.read(name)
    assert str(tmp_path).encode() not in data
    assert b"/build/src/project" in data  # debugging information names the one place where everything is built
    moved = Path(shutil.copytree(project, tmp_path / "elsewhere" / "deep"))
    assert workshop.elsewhere().build(SourceBuild("demo", path=str(moved))).sha256 == built.sha256
    if name.endswith(sysconfig.get_config_var("EXT_SUFFIX")):  # the channel's Python is a copy of this one
        (tmp_path / name).write_bytes(data)
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("fast", tmp_path / name)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.answer() == 42


# Always the same


def test_the_wheel_is_the_same_from_another_folder_time_mask_and_environment(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
import sys, time
def files():
    listed = "\\n".join(str(value) for value in (os.getcwd(), sys.prefix, sys.path, os.environ, {"b", "a", "c", "d"},
        time.tzname, os.stat("data.txt"), oct(os.umask(0)), os.getuid(), os.uname()[1], os.path.expanduser("~"),
        os.environ["SOURCE_DATE_EPOCH"])).replace(str(os.stat("data.txt")), repr(os.stat("data.txt").st_mtime))
    return {name: listed for name in {"demo.py", "z.py", "a.py"}}
"""
    project = write_project(tmp_path / "demo", body)
    (project / "data.txt").write_text("data")
    one = workshop.build(SourceBuild("demo", path=str(project)))
    moved = Path(shutil.copytree(project, tmp_path / "another" / "place"))
    os.utime(moved / "data.txt", (1, 1))
    (moved / "__pycache__").mkdir()
    (moved / "__pycache__" / "backend.cpython-311.pyc").write_text("stale")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CFLAGS", "-O3")
    old = os.umask(0o077)
    try:
        other = workshop.elsewhere().build(SourceBuild("demo", path=str(moved)))
    finally:
        os.umask(old)
    assert members(one) == members(other)
    assert one.sha256 == other.sha256
    assert replace(one, path="") == replace(other, path="")


def test_nothing_is_built_twice(workshop: Workshop, tmp_path: Path) -> None:
    source = SourceBuild("demo", path=str(write_project(tmp_path / "demo", RANDOM)))
    assert workshop.build(source) == workshop.build(source)


def test_several_processes_build_one_wheel_once(workshop: Workshop, tmp_path: Path) -> None:
    source = SourceBuild("demo", path=str(write_project(tmp_path / "demo", RANDOM)))
    built: list[BuiltWheel] = []
    threads = [threading.Thread(target=lambda: built.append(workshop.build(source))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 3
    assert len({wheel.sha256 for wheel in built}) == 1


def test_a_damaged_wheel_of_the_store_is_built_again(workshop: Workshop, tmp_path: Path) -> None:
    source = SourceBuild("demo", path=str(write_project(tmp_path / "demo")))
    built = workshop.build(source)
    Path(built.path).chmod(0o644)
    Path(built.path).write_bytes(bytes(built.size))
    assert workshop.build(source) == built
    assert members(built)["demo.py"] == "version = '1.0'\n"


def test_a_changed_source_is_another_wheel(workshop: Workshop, tmp_path: Path) -> None:
    project = write_project(tmp_path / "demo")
    one = workshop.build(SourceBuild("demo", path=str(project)))
    write_project(project, 'def files():\n    return {"demo.py": "changed"}')
    other = workshop.build(SourceBuild("demo", path=str(project)))
    assert one.sha256 != other.sha256
    assert one.source_sha256 != other.source_sha256


def test_a_lock_in_the_folder_is_no_part_of_it(workshop: Workshop, tmp_path: Path) -> None:
    """Else a project that is locked in its own folder would never fit its lock."""
    project = write_project(tmp_path / "demo")
    one = workshop.build(SourceBuild("demo", path=str(project)))
    (project / "lockfiles").mkdir()
    (project / "lockfiles" / "default.lock.json").write_text(one.sha256)
    assert workshop.build(SourceBuild("demo", path=str(project))) == one


# The sandbox


def test_a_build_has_no_network(workshop: Workshop, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        body = f'def files():\n    import socket\n    socket.create_connection(("127.0.0.1", {port}), 5)'
        with pytest.raises(BuildError, match="ConnectionRefusedError"):
            workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo", body))))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_build_that_wants_the_network_is_told_so(workshop: Workshop, tmp_path: Path) -> None:
    body = 'def files():\n    import urllib.request\n    urllib.request.urlopen("https://files.example.org/data")'
    with pytest.raises(BuildError) as caught:
        workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo", body))))
    assert "builds have no network" in str(caught.value.remedy)


def test_a_build_sees_neither_the_home_nor_the_store_and_cannot_change_its_python(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    monkeypatch.setenv("HERMETIC_TOKEN", "hunter2")
    body = f"""
import sys
def files():
    seen = [path for path in ({str(secret)!r}, {str(workshop.store.root)!r}) if os.path.exists(path)]
    try:
        open(sys.prefix + "/lib/evil.py", "w")
        seen.append("python")
    except OSError:
        pass
    return {{"demo.py": repr((seen, [name for name, value in os.environ.items() if "hunter2" in value]))}}
"""
    built = workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo", body))))
    assert members(built)["demo.py"] == "([], [])"


def test_a_failed_build_shows_its_end_and_keeps_all_of_it(workshop: Workshop, tmp_path: Path) -> None:
    body = 'def files():\n    for n in range(5000):\n        print("line", n)\n    raise SystemExit("the end of it")'
    with pytest.raises(BuildError) as caught:
        workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo", body))))
    message, remedy = caught.value.message, str(caught.value.remedy)
    assert message.startswith("demo: its build failed with status 1\n")
    assert message.endswith("\nthe end of it")
    assert "line 10\n" not in message
    log = Path(remedy.rpartition(": ")[2])
    assert log.read_text().startswith("line 0\nline 1\n")
    assert not list((workshop.store.root / "trees").glob("built-wheel/*/*"))


def test_a_build_that_never_ends_is_ended(workshop: Workshop, tmp_path: Path) -> None:
    workshop.builder.timeout = 1.0
    source = SourceBuild(
        "demo", path=str(write_project(tmp_path / "demo", "print('begun', flush=True)\nwhile 1: pass"))
    )
    with pytest.raises(BuildError, match="did not end within 1 seconds") as caught:
        workshop.build(source)
    assert Path(str(caught.value.remedy).rpartition(": ")[2]).read_text() == "begun\n"


# Sources and backends that are not what they should be


WHEEL_LINK = """
def build_wheel(out, *_):
    os.symlink("/etc/passwd", out + "/demo-1.0-py3-none-any.whl")
    return "demo-1.0-py3-none-any.whl"
"""
ANSWER_LINK = """
def build_wheel(out, *_):
    os.symlink("HOST/answer", out + "/answer.json")
    os._exit(0)
"""
NO_ZIP = """
def build_wheel(out, *_):
    open(out + "/demo-1.0-py3-none-any.whl", "w").write("x")
    return "demo-1.0-py3-none-any.whl"
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('NAME = "other"', "gives a wheel of other"),
        ('VERSION = "2.0"', "gives version 2.0, not 1.0"),
        ("def build_wheel(*_): return 'demo-1.0-py3-none-any.whl'", "made demo-1.0-py3-none-any.whl, and did not"),
        ("def build_wheel(*_): return '../../etc/passwd'", "gives no wheel"),
        ("def build_wheel(*_): return None", "gives no wheel"),
        ("def build_wheel(*_): os._exit(0)", "ended before it answered"),
        (WHEEL_LINK, "and did not"),
        (ANSWER_LINK, "ended before it answered"),
        (NO_ZIP, "no sound wheel"),
    ],
)
def test_a_backend_that_lies_is_found_out(workshop: Workshop, tmp_path: Path, body: str, said: str) -> None:
    project = write_project(tmp_path / "demo")
    backend = project / "backend.py"
    backend.write_text(backend.read_text() + "\n" + body.replace("HOST", str(tmp_path)))
    (tmp_path / "answer").write_text('"a file of the host"')
    with pytest.raises(BuildError, match=said):
        workshop.build(SourceBuild("demo", "1.0", path=str(project)))


def test_a_folder_that_is_no_project_is_told(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match=r"neither pyproject\.toml nor setup\.py"):
        workshop.build(SourceBuild("demo", path=str(tmp_path / "empty")))
    with pytest.raises(BuildError, match="there is no"):
        workshop.build(SourceBuild("demo", path=str(tmp_path / "none")))


# What a build requires


def test_tools_are_resolved_locked_and_at_hand(workshop: Workshop, tmp_path: Path) -> None:
    stated = make_wheel(tmp_path / "wheels", "stated", "3.0")
    more = make_wheel(tmp_path / "wheels", "more", "4.0")
    body = 'def files():\n    import stated, more\n    return {"demo.py": stated.version + more.version}'
    body = body.replace(".version", ".__name__")
    project = write_project(tmp_path / "demo", body, requires=["stated >= 2"], asks=["stated >= 2", "more"])
    asked: list[tuple[object, ...]] = []
    built = workshop.build(SourceBuild("demo", path=str(project)), tools(stated), tools(stated, more), asked=asked)
    assert [[str(r.text) for r in wanted] for wanted in asked] == [["stated>=2"], ["more", "stated>=2"]]
    assert members(built)["demo.py"] == "statedmore"
    assert [(tool.name, tool.version) for tool in built.tools] == [("more", "4.0"), ("stated", "3.0")]


def test_a_build_sees_no_other_package_of_the_environment(workshop: Workshop, tmp_path: Path) -> None:
    body = "def files():\n    import numpy"
    with pytest.raises(BuildError, match="No module named 'numpy'") as caught:
        workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo", body))))
    assert "build requirements do not name" in str(caught.value.remedy)


def test_the_same_source_keeps_the_tools_of_the_old_lock(workshop: Workshop, tmp_path: Path) -> None:
    old, new = (make_wheel(tmp_path / "wheels", "tool", version) for version in ("1.0", "2.0"))
    body = 'from importlib.metadata import version as v\ndef files():\n    return {"demo.py": v("tool")}'
    project = write_project(tmp_path / "demo", body, requires=["tool"])
    source = SourceBuild("demo", path=str(project))
    first = workshop.build(source, tools(old))
    origin = origin_of(source, first, "./demo")
    assert workshop.build(replace(source, previous=origin)) == first  # nothing is asked for
    assert workshop.build(source, tools(new)).tools[0].version == "2.0"
    (project / "changed").touch()
    assert workshop.build(replace(source, previous=origin), tools(new)).tools[0].version == "2.0"


def test_tools_that_do_not_run_on_the_python_of_now_are_resolved_anew(workshop: Workshop, tmp_path: Path) -> None:
    tool = make_wheel(tmp_path / "wheels", "tool", "1.0")
    source = SourceBuild("demo", path=str(write_project(tmp_path / "demo", requires=["tool"])))
    origin = origin_of(source, workshop.build(source, tools(tool)), "./demo")
    foreign = replace(origin.tools[0], file_name="tool-1.0-cp27-cp27m-win32.whl")
    again = workshop.build(replace(source, previous=replace(origin, tools=(foreign,))), tools(tool))
    assert again.tools == origin.tools


def test_tools_that_cannot_be_had_are_explained(workshop: Workshop, tmp_path: Path) -> None:
    source = SourceBuild("demo", path=str(write_project(tmp_path / "demo", requires=["tool>=9"])))

    def requirements(_: object) -> BuildRequirements:
        raise UnsatisfiableError("there is no tool>=9")

    with pytest.raises(UnsatisfiableError, match=r"demo must be built, and what its build requires.*no tool>=9"):
        workshop.builder(source, workshop.environment, requirements)


# Git


def test_a_checkout_is_built_at_its_commit(workshop: Workshop, tmp_path: Path) -> None:
    project = write_project(tmp_path / "demo")
    commit = write_repository(project)
    write_project(project, version="2.0")
    git(project, "commit", "--quiet", "--all", "--message", "Go on")
    built = workshop.build(SourceBuild("demo", vcs_url=project.as_uri(), commit=commit))
    assert built.file_name == "demo-1.0-py3-none-any.whl"
    assert built.source_sha256 == ""


FROM_HISTORY = """
import subprocess
def version():
    told = os.environ.get("SETUPTOOLS_SCM_PRETEND_VERSION")
    return told or subprocess.check_output(["git", "describe", "--tags"], text=True).strip()
def files():
    listed = subprocess.check_output(["git", "ls-files"], text=True)
    return {"demo.py": listed, "dirty": subprocess.check_output(["git", "status", "--porcelain"], text=True)}
"""


def test_a_version_from_the_history_is_kept_when_tags_move(workshop: Workshop, tmp_path: Path) -> None:
    project = write_project(tmp_path / "demo", FROM_HISTORY, static=False)
    commit = write_repository(project, tag="1.5")
    source = SourceBuild("demo", vcs_url=project.as_uri(), commit=commit)
    built = workshop.build(source)
    assert built.file_name == "demo-1.5-py3-none-any.whl"
    assert members(built)["demo.py"] == "backend.py\npyproject.toml\n"
    assert members(built)["dirty"] == ""
    wheel = locked(source, built, f"git+{project.as_uri()}@main")
    git(project, "tag", "--delete", "1.5")
    git(project, "tag", "9.9")
    other = workshop.elsewhere()
    assert other.builder.rebuild(wheel, other.environment).name == built.file_name
    assert other.store.has_blob(built.sha256)


# Building again


def test_a_locked_wheel_is_built_again_elsewhere(workshop: Workshop, tmp_path: Path) -> None:
    tool = make_wheel(tmp_path / "wheels", "tool", "1.0")
    project = write_project(
        tmp_path / "demo", "def files():\n    import tool\n    return {'demo.py': ''}", requires=["tool"]
    )
    sdist = write_sdist(project, tmp_path / "demo-1.0.tar.gz")
    source = SourceBuild("demo", "1.0", sdist.name, url=sdist.as_uri())
    built = workshop.build(source, tools(tool))
    wheel = locked(source, built, sdist.as_uri())
    wheel = replace(wheel, origin=replace(wheel.origin, tools=(replace(wheel.origin.tools[0], url=tool.as_uri()),)))
    other = workshop.elsewhere()
    assert not other.store.has_blob(wheel.sha256)
    path = other.builder.rebuild(wheel, other.environment)
    assert sha256(path.read_bytes()).hexdigest() == wheel.sha256
    assert other.store.has_blob(wheel.sha256)


def test_a_local_folder_is_built_again_from_the_root_of_the_spec(workshop: Workshop, tmp_path: Path) -> None:
    project = write_project(tmp_path / "here" / "demo")
    source = SourceBuild("demo", path=str(project))
    wheel = locked(source, workshop.build(source), "./demo")
    shutil.move(tmp_path / "here", tmp_path / "there")
    other = workshop.elsewhere()
    other.builder.rebuild(wheel, other.environment, root=tmp_path / "there")
    assert other.store.has_blob(wheel.sha256)
    (tmp_path / "there" / "demo" / "backend.py").write_text("changed")
    another = workshop.elsewhere()
    with pytest.raises(IntegrityError, match="are not those that were locked"):
        another.builder.rebuild(wheel, another.environment, root=tmp_path / "there")


def test_another_wheel_is_refused_and_explained(workshop: Workshop, tmp_path: Path) -> None:
    project = write_project(tmp_path / "demo", RANDOM)
    source = SourceBuild("demo", path=str(project))
    wheel = locked(source, workshop.build(source), str(project))
    other = workshop.elsewhere()
    with pytest.raises(IntegrityError, match=f"another wheel came out.*{wheel.sha256}.*not reproducible") as caught:
        other.builder.rebuild(wheel, other.environment)
    assert not other.store.has_blob(wheel.sha256)
    assert "hermetic lock --update demo" in str(caught.value.remedy)


def test_only_a_built_wheel_can_be_built_again(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="not built from source"):
        workshop.builder.rebuild(Wheel("a", "1", "a-1-py3-none-any.whl", 1, "0" * 64), workshop.environment)


def test_a_source_that_is_gone_is_told(workshop: Workshop, tmp_path: Path) -> None:
    origin = Origin(url=(tmp_path / "gone.tar.gz").as_uri(), file_name="gone.tar.gz", sha256="0" * 64)
    wheel = Wheel("demo", "1.0", "demo-1.0-py3-none-any.whl", 1, "1" * 64, origin=origin)
    with pytest.raises(HermeticError, match=r"gone\.tar\.gz"):
        workshop.builder.rebuild(wheel, workshop.environment)


# The form of the wheel


def test_the_wheel_is_canonical(workshop: Workshop, tmp_path: Path) -> None:
    body = 'def files():\n    return {"z.py": "z", "a/b.py": "b", "a.py": "a"}'
    built = workshop.build(SourceBuild("demo", path=str(write_project(tmp_path / "demo", body))))
    with zipfile.ZipFile(built.path) as archive:
        entries = archive.infolist()
        assert archive.testzip() is None
        rows = list(csv.reader(io.StringIO(archive.read("demo-1.0.dist-info/RECORD").decode())))
    info = "demo-1.0.dist-info"
    assert [e.filename for e in entries] == [
        "a.py",
        "a/b.py",
        "z.py",
        *(f"{info}/{n}" for n in ("METADATA", "WHEEL", "RECORD")),
    ]
    assert {(e.date_time, e.external_attr >> 16, e.compress_type) for e in entries} == {
        ((1980, 1, 2, 0, 0, 0), 0o100644, 0)
    }
    assert [row[0] for row in rows] == sorted(e.filename for e in entries)
    assert {row[0]: row[2] for row in rows}["z.py"] == "1"
