"""The embedded channel is a real one: bare py-rattler solves and installs from it, and what it installs works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.install import SYSTEM, install, solve
from support.servers import Server
from support.wheels import make_wheel

from hermetic.outputs.channel import make_channel
from hermetic.outputs.channel.index import read_records
from hermetic.outputs.channel.libraries import is_glibc

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the embedded channel is made on Linux")

SPECS = ["python", "numpy", "pandas", "requests", "pip", "prefix-probe", "accel"]
MODULES = (
    "ssl sqlite3 lzma bz2 zlib ctypes readline curses uuid hashlib decimal xml.parsers.expat numpy pandas requests"
)
USE = """
import importlib, importlib.util, json, sys
failed = {}
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
import numpy, pandas
assert round(numpy.linalg.det(numpy.eye(3) * 2)) == 8
assert pandas.DataFrame({"a": [1, 2]}).a.sum() == 3
loaded = sorted({line.split(None, 5)[5].rstrip() for line in open("/proc/self/maps") if ".so" in line})
print(json.dumps({"prefix": sys.prefix, "failed": failed, "loaded": loaded}))
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment with nothing of this machine's environment."""
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": "/nonexistent"})


@pytest.fixture(scope="module")
def prefix(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment from the channel, in a folder with a space in its name."""
    room = tmp_path_factory.mktemp("install")
    prefix = room / "an environment"
    install(solve(channel, SPECS, room / "repodata"), prefix, room / "packages")
    return prefix


def test_the_installed_python_works_and_loads_nothing_of_the_host_but_glibc(prefix: Path) -> None:
    done = run(prefix / "bin/python", "-I", "-c", USE, MODULES)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["prefix"] == str(prefix)
    # a module that the base has, the package has too
    base = run(sys.executable, "-I", "-c", "import sys, importlib.util as u\nfor m in sys.argv[1].split():\n"
               "  try: __import__(m)\n  except ImportError: print(m)", MODULES)  # fmt: skip
    assert set(answer["failed"]) <= set(base.stdout.split())
    foreign = [path for path in answer["loaded"] if not path.startswith(f"{prefix}/") and not is_glibc(Path(path).name)]
    assert not foreign


def test_programs_of_the_environment_run(prefix: Path) -> None:
    version = json.loads((next((prefix / "conda-meta").glob("numpy-*.json"))).read_text())["version"]
    assert run(prefix / "bin/f2py", "-v").stdout.strip() == version  # of a package for one platform
    assert str(prefix) in run(prefix / "bin/pip", "--version").stdout  # of a noarch one
    assert "sqrt" in run(prefix / "bin/pydoc", "math").stdout
    listed = run(prefix / "bin/python", "-m", "pip", "list", "--format", "json").stdout
    assert {"numpy", "pandas", "requests"} <= {entry["name"] for entry in json.loads(listed)}
    assert run(prefix / "bin/python", "-m", "pip", "check").returncode == 0


def test_the_prefix_in_a_binary_is_the_new_one(prefix: Path) -> None:
    assert run(prefix / "bin/prefix-probe").stdout == f"{prefix}\n"


def test_nothing_names_the_placeholder_any_more(prefix: Path) -> None:
    from hermetic.outputs.channel.archive import PLACEHOLDER

    left = [path for path in prefix.rglob("*") if path.is_file() and not path.is_symlink()
            and path.parent.name != "conda-meta" and PLACEHOLDER.encode() in path.read_bytes()]  # fmt: skip
    assert not left


def test_pip_can_remove_what_conda_installed(prefix: Path, channel: Path, tmp_path: Path) -> None:
    """RECORD is true for the environment, so that pip, uv and others know what belongs to a package."""
    room = tmp_path / "room"
    own = tmp_path / "own"
    install(solve(channel, ["numpy", "requests", "pip"], room), own, room / "packages")
    for name, path in (("numpy", "bin/f2py"), ("requests", "lib/python*/site-packages/requests/api.py")):
        assert list(own.glob(path))
        done = run(own / "bin/python", "-m", "pip", "uninstall", "--yes", name)
        assert done.returncode == 0, done.stderr
        assert not list(own.glob(path))
    assert prefix.is_dir()


@pytest.mark.parametrize(
    ("platform", "system", "build"),
    [
        ("linux-64", {}, "cpu_0"),
        ("linux-64", {"__cuda": "12.4"}, "cuda_1"),
        ("linux-64", {"__cuda": "11.8"}, "cpu_0"),
        ("linux-aarch64", {"__cuda": "12.4"}, "cuda_1"),
        ("osx-arm64", {"__osx": "14.0"}, "cpu_0"),
        ("win-64", {"__win": "10", "__cuda": "12.4"}, "cuda_1"),
    ],
)
def test_accel_is_chosen_by_the_machine_that_it_is_for(
    channel: Path, tmp_path: Path, platform: str, system: dict[str, str], build: str
) -> None:
    records = solve(channel, ["accel"], tmp_path / "repodata", platform=platform, system=system)
    assert [(str(r.version), str(r.build)) for r in records] == [("1.0", build)]


def test_python_is_offered_only_for_the_platform_it_was_made_on(channel: Path, tmp_path: Path) -> None:
    from rattler.exceptions import SolverError

    with pytest.raises(SolverError):
        solve(channel, ["python"], tmp_path / "repodata", platform="osx-arm64", system={"__osx": "14.0"})


def test_a_machine_with_an_older_glibc_is_refused(channel: Path, tmp_path: Path) -> None:
    from rattler.exceptions import SolverError

    with pytest.raises(SolverError, match="__glibc"):
        solve(channel, ["python"], tmp_path / "repodata", system={**SYSTEM, "__glibc": "2.5"})


def test_every_record_can_be_met_within_the_channel(channel: Path) -> None:
    records = [r for subdir in ("linux-64", "noarch") for r in read_records(channel, subdir).values()]
    names = {record["name"] for record in records}
    needed = {text.split()[0] for record in records for text in record["depends"]}
    assert {name for name in needed if not name.startswith("__")} <= names


def test_every_archive_passes_the_stores_own_checks(channel: Path, tmp_path: Path) -> None:
    from hermetic.store.archive import unpack

    archives = [channel / s / name for s in ("linux-64", "noarch") for name in read_records(channel, s)]
    assert len(archives) > 20
    for archive in archives:
        (tmp_path / archive.name).mkdir()
        assert unpack(archive, tmp_path / archive.name).notes == ()


def test_over_http_it_is_the_same_channel(
    channel: Path, tmp_path: Path, http_channel: Callable[[Path], Server]
) -> None:
    server = http_channel(channel)
    there = solve(server.url, SPECS, tmp_path / "a")
    here = solve(channel, SPECS, tmp_path / "b")
    assert sorted(r.sha256 for r in there) == sorted(r.sha256 for r in here)
    assert any(path.endswith("repodata.json") for _, path in server.requests)


def test_wheels_with_scripts_data_and_headers_are_installed_where_pip_puts_them(channel: Path, tmp_path: Path) -> None:
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    data = {
        "scripts/hello": "#!python\nimport many\nprint(many.WORD)\n",
        "data/share/many/info.txt": "data",
        "headers/many.h": "#pragma once\n",
        "platlib/many_plat.py": "WHERE = 'platlib'\n",
    }
    files = {"many.py": "WORD = 'hello'\ndef main():\n    print(WORD.upper())\n"}
    pure = make_wheel(tmp_path, "many", files=files, data=data, scripts={"shout": "many:main"})
    arch = {"marked.py": "def main():\n    print('marked')\n"}
    special = make_wheel(
        tmp_path, "marked", files=arch, tag=f"{tag}-{tag}-linux_x86_64", scripts={"mark": "marked:main"}
    )
    copy = tmp_path / "channel"
    subprocess.run(["cp", "-a", channel, copy], check=True)
    make_channel(copy, requirements=[], wheels=[pure, special])
    prefix = tmp_path / "env"
    install(solve(copy, ["many", "marked", "pip"], tmp_path / "r"), prefix, tmp_path / "p")
    assert run(prefix / "bin/hello").stdout == "hello\n"
    assert run(prefix / "bin/shout").stdout == "HELLO\n"
    assert run(prefix / "bin/mark").stdout == "marked\n"
    assert (prefix / "share/many/info.txt").read_text() == "data"
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert (prefix / f"include/python{minor}/many/many.h").is_file()
    assert run(prefix / "bin/python", "-c", "import many_plat; print(many_plat.WHERE)").stdout == "platlib\n"
    assert os.access(prefix / "bin/hello", os.X_OK)
