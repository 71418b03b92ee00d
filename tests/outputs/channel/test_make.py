"""A channel is made once, the same everywhere, and never half: by hand-made wheels, without a network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from support.servers import refusing, simple_index
from support.wheels import make_wheel

from hermetic.digest import sha256_file
from hermetic.errors import (
    CredentialsError,
    IntegrityError,
    MachineError,
    NetworkError,
    OfflineError,
    UnsatisfiableError,
    UsageError,
)
from hermetic.outputs.channel import DEFAULT_REQUIREMENTS, make_channel
from hermetic.outputs.channel.folder import Folder
from hermetic.outputs.channel.index import read_records

Use = Callable[[str], None]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a channel is made on Linux")

TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"
MAKE = """
import sys
from pathlib import Path
from hermetic.outputs.channel import make_channel
summary = make_channel(
    Path(sys.argv[1]), requirements=[], wheels=sorted(Path(sys.argv[2]).glob("*.whl")), jobs=int(sys.argv[3]), pyc=True
)
print(summary.text())
"""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"channels-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pure wheel with a script that needs another one with an extension for this Python."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "top", "2.0", requires=["leaf>=1"], scripts={"top": "top:main"})
    make_wheel(folder, "leaf", "1.5", tag=f"{TAG}-{TAG}-linux_x86_64", files={"leaf/__init__.py": "S = {'a', 'b'}\n"})
    return folder


@pytest.fixture(scope="session")
def small(wheels: Path, shared: Path) -> Path:
    """A channel of the two wheels and this Python, made once for all workers. Read only."""
    with FileLock(shared / "lock"):
        make_channel(shared / "small", requirements=[], wheels=sorted(wheels.glob("*.whl")), jobs=2, pyc=True)
    return shared / "small"


def tree(channel: Path) -> dict[str, str]:
    """Every file of a channel with its digest; the lock that guards it is empty and not a part of it."""
    files = (path for path in sorted(channel.rglob("*")) if path.is_file() and path.name != ".lock")
    return {path.relative_to(channel).as_posix(): sha256_file(path) for path in files}


def start(channel: Path, wheels: Path, jobs: int = 1, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKE, str(channel), str(wheels), str(jobs)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_sound(channel: Path) -> int:
    """Every index can be read and names only archives that are there and whole; give how many it names."""
    count = 0
    for index in channel.glob("*/repodata.json"):
        for name, record in json.loads(index.read_bytes())["packages.conda"].items():
            assert sha256_file(index.parent / name) == record["sha256"], name
            count += 1
    return count


def test_two_makings_differ_in_nothing(small: Path, wheels: Path, tmp_path: Path) -> None:
    """Other folder, number of jobs, umask, time zone, hash seed, locale, temporary folder: the same bytes."""
    (tmp_path / "tmp").mkdir()
    old = os.umask(0o077)
    try:
        process = start(
            tmp_path / "elsewhere",
            wheels,
            jobs=3,
            TZ="Pacific/Kiritimati",
            PYTHONHASHSEED="4711",
            LC_ALL="C",
            TMPDIR=str(tmp_path / "tmp"),
            SOURCE_DATE_EPOCH="5",
        )
        output, _ = process.communicate(timeout=300)
    finally:
        os.umask(old)
    assert process.returncode == 0, output
    assert tree(tmp_path / "elsewhere") == tree(small)
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "elsewhere").rglob("*.json"))
    assert not list((tmp_path / "tmp").iterdir())


def test_what_is_in_it(small: Path, wheels: Path) -> None:
    summary = make_channel(small, requirements=[], wheels=sorted(wheels.glob("*.whl")), pyc=True)
    names = {name.split("/")[1].rsplit("-", 2)[0] for name in summary.packages}
    assert {"python", "python_abi", "top", "leaf", "accel"} <= names
    assert summary.python == ".".join(map(str, sys.version_info[:3]))
    records = {**read_records(small, "linux-64"), **read_records(small, "noarch")}
    by_name = {record["name"]: record for record in records.values()}
    assert by_name["top"]["depends"] == ["leaf >=1", "python >=3.8"]
    assert by_name["top"]["purls"] == ["pkg:pypi/top@2.0"]
    assert by_name["leaf"]["subdir"] == "linux-64"
    assert by_name["python"]["constrains"] == [
        f"python_abi {sys.version_info[0]}.{sys.version_info[1]}.* *_{by_name['python_abi']['build'].split('_')[1]}"
    ]
    libraries = {record["name"] for record in records.values() if record["name"].startswith("sys-")}
    needed = {text.split()[0] for record in records.values() for text in record["depends"]}
    assert {name for name in needed if name.startswith("sys-")} == libraries
    cuda = [r for r in read_records(small, "linux-aarch64").values() if "__cuda >=12" in r["depends"]]
    assert len(cuda) == 1
    assert not [r for r in read_records(small, "osx-arm64").values() if r["depends"]]


def test_glibc_is_the_newest_that_any_file_asks_for(small: Path, wheels: Path) -> None:
    summary = make_channel(small, requirements=[], wheels=sorted(wheels.glob("*.whl")), pyc=True)
    bounds = {
        text.split(">=")[1].split(",")[0]
        for record in read_records(small, "linux-64").values()
        for text in record["depends"]
        if text.startswith("__glibc")
    }
    assert summary.glibc == max(bounds, key=lambda text: tuple(map(int, text.split("."))))
    assert tuple(map(int, summary.glibc.split("."))) <= tuple(
        map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))
    )  # type: ignore[union-attr]
    assert f"--system glibc={summary.glibc}" in summary.text()


def test_made_again_nothing_is_touched(small: Path, wheels: Path) -> None:
    before = {path: path.stat().st_ino for path in small.rglob("*.conda")}
    indexes = {path: path.stat().st_ino for path in small.rglob("repodata.json")}
    summary = make_channel(small, requirements=[], wheels=sorted(wheels.glob("*.whl")), pyc=True)
    assert summary.made == ()
    assert "is complete" in summary.text()
    assert {path: path.stat().st_ino for path in small.rglob("*.conda")} == before
    assert {path: path.stat().st_ino for path in small.rglob("repodata.json")} == indexes


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    """A copy of the small channel that a test may change."""
    subprocess.run(["cp", "-a", small, tmp_path / "copy"], check=True)
    return tmp_path / "copy"


def test_more_wheels_complete_a_channel(copy: Path, wheels: Path, tmp_path: Path) -> None:
    more = make_wheel(tmp_path, "more")
    summary = make_channel(copy, requirements=[], wheels=[more], pyc=True)
    assert [name.split("/")[1].split("-")[0] for name in summary.made] == ["more"]
    names = {record["name"] for record in read_records(copy, "noarch").values()}
    assert {"more", "top"} <= names


def test_a_newer_making_of_a_version_takes_the_older_ones_place(copy: Path, tmp_path: Path) -> None:
    """Two archives of one version would be a solver's coin toss; the old file stays for locks that name it."""
    before = {name for name, record in read_records(copy, "noarch").items() if record["name"] == "top"}
    changed = make_wheel(tmp_path, "top", "2.0", files={"top.py": "CHANGED = 1\n"})
    make_channel(copy, requirements=[], wheels=[changed], pyc=True)
    after = {name for name, record in read_records(copy, "noarch").items() if record["name"] == "top"}
    assert len(before) == len(after) == 1
    assert before != after
    assert (copy / "noarch" / next(iter(before))).is_file()


@pytest.mark.parametrize("damage", ["archive", "index", "no index"])
def test_damage_is_mended_to_the_same_bytes(copy: Path, small: Path, wheels: Path, damage: str) -> None:
    archive = next((copy / "noarch").glob("top-*.conda"))
    index = copy / "noarch/repodata.json"
    if damage == "archive":
        archive.write_bytes(archive.read_bytes()[:-10])
    elif damage == "index":
        index.write_text('{"packages.conda": {"x": ')
    else:
        index.unlink()
    make_channel(copy, requirements=[], wheels=sorted(wheels.glob("*.whl")), pyc=True)
    assert tree(copy) == tree(small)


@pytest.mark.parametrize("book", ["nonsense", "{}", '{"format": 0, "archives": {}, "recipes": {}}', "[]"])
def test_a_damaged_book_counts_as_none(copy: Path, book: str) -> None:
    recipe = next(iter(json.loads((copy / "channel.json").read_bytes())["recipes"]))
    assert Folder(copy).recall(recipe)
    (copy / "channel.json").write_text(book)
    assert Folder(copy).recall(recipe) is None


@pytest.fixture
def twenty(tmp_path: Path) -> Path:
    """Twenty wheels, so that there is work to be interrupted in."""
    for number in range(20):
        content = {f"m{number}/{n}.py": f"N = {n}\n" for n in range(40)}
        make_wheel(tmp_path / "twenty", f"w{number}", files=content)
    return tmp_path / "twenty"


@pytest.mark.parametrize("more", [0, 1, 7, 19])
def test_a_making_that_is_killed_leaves_a_sound_channel(more: int, copy: Path, twenty: Path) -> None:
    """Killed when so many archives were added: what the indexes name is whole, and the next run ends the work."""
    before = len(list(copy.glob("*/*.conda")))
    named = assert_sound(copy)
    process = start(copy, twenty)
    while process.poll() is None and len(list(copy.glob("*/*.conda"))) < before + more:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert assert_sound(copy) >= named
    make_channel(copy, requirements=[], wheels=sorted(twenty.glob("*.whl")), jobs=2, pyc=True)
    assert assert_sound(copy) == named + 20
    assert not list(copy.rglob("*.tmp"))


def test_two_at_once_make_one_channel(copy: Path, twenty: Path) -> None:
    both = [start(copy, twenty) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("is complete" in output for output in outputs) == [False, True]
    assert_sound(copy)


# ------------------------------------------------------------- requirements, from an index on loopback
@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Use:
    """pip as a user would have configured it: nothing but what the test says."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")

    return lambda url: monkeypatch.setenv("PIP_INDEX_URL", url)


def test_requirements_come_from_pips_index_and_are_remembered(copy: Path, tmp_path: Path, pip: Use) -> None:
    folder = tmp_path / "index"
    make_wheel(folder, "app", "1.0", requires=["dep[x]"])
    make_wheel(folder, "dep", "3.1", requires=["extra-dep; extra == 'x'"], extras=["x"])
    make_wheel(folder, "extra-dep", "0.1")
    make_wheel(folder, "dep", "4.0rc1")
    with simple_index(folder) as server:
        pip(f"{server.url}/simple/")
        first = make_channel(copy, requirements=["app"], pyc=True)
        assert {name.split("/")[1].split("-py")[0] for name in first.made} == {"app-1.0", "dep-3.1", "extra-dep-0.1"}
        app = next(record for record in read_records(copy, "noarch").values() if record["name"] == "app")
        assert app["depends"] == ["dep", "extra-dep", "python >=3.8"]
        make_wheel(folder, "app", "2.0")
        asked = len(server.requests)
        assert make_channel(copy, requirements=["app"], pyc=True).packages == first.packages
        assert len(server.requests) == asked  # what the requirement led to is remembered: no look at the index
        assert make_channel(copy, requirements=["app"], pyc=True, offline=True).packages == first.packages
        with pytest.raises(UsageError, match="--offline"):
            make_channel(copy, requirements=["app"], pyc=True, refresh=True, offline=True)
        newer = make_channel(copy, requirements=["app"], pyc=True, refresh=True)
        assert [name.split("/")[1].split("-py")[0] for name in newer.made] == ["app-2.0"]


def test_offline_no_index_is_asked(copy: Path, tmp_path: Path, pip: Use) -> None:
    folder = tmp_path / "index"
    own = make_wheel(folder, "app", "1.0")
    before = tree(copy)
    with simple_index(folder) as server:
        pip(f"{server.url}/simple/")
        with pytest.raises(OfflineError, match="we are offline: app, other>=1"):
            make_channel(copy, requirements=["other>=1", "app"], pyc=True, offline=True)
        assert tree(copy) == before
        made = make_channel(copy, requirements=[], wheels=[own], pyc=True, offline=True).made
        assert [name.split("/")[1].split("-py")[0] for name in made] == ["app-1.0"]
        assert server.requests == []


def test_requirements_that_cannot_be_met_say_so(copy: Path, tmp_path: Path, pip: Use) -> None:
    folder = tmp_path / "index"
    make_wheel(folder, "app", "1.0", requires=["dep>=5"])
    make_wheel(folder, "dep", "3.1")
    before = tree(copy)
    with simple_index(folder) as server:
        pip(f"{server.url}/simple/")
        for wanted in (["app"], ["nothing-here"], ["dep>9"]):
            with pytest.raises(UnsatisfiableError, match="no wheels for this"):
                make_channel(copy, requirements=wanted, pyc=True)
    assert tree(copy) == before


def test_an_index_that_is_not_there_says_so_without_its_credentials(copy: Path, pip: Use) -> None:
    pip("http://someone:s3cret@127.0.0.1:9/simple/")
    with pytest.raises(NetworkError, match="could not download") as caught:
        make_channel(copy, requirements=["app"], pyc=True)
    assert not isinstance(caught.value, CredentialsError)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, CredentialsError), (403, CredentialsError), (500, NetworkError), (404, UnsatisfiableError)],
)
def test_an_index_that_refuses_says_why(status: int, kind: type[Exception], copy: Path, pip: Use) -> None:
    with refusing(status) as url:
        pip(url.replace("://", "://someone:s3cret@") + "/simple/")
        with pytest.raises(kind) as caught:
            make_channel(copy, requirements=["app"], pyc=True)
    assert type(caught.value) is kind
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("wanted", ["", "-r file", "--index-url x", "a b", "https://example.org/x.whl", "a>=", "./x"])
def test_what_is_no_requirement_is_refused_before_anything_is_made(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(UsageError, match="is no requirement"):
        make_channel(tmp_path / "channel", requirements=[wanted])
    assert not (tmp_path / "channel").exists()


def test_a_wheel_that_does_not_fit_is_refused(copy: Path, tmp_path: Path) -> None:
    foreign = make_wheel(tmp_path, "foreign", tag="cp39-cp39-win_amd64")
    before = tree(copy)
    with pytest.raises(UsageError, match="does not run on Python"):
        make_channel(copy, requirements=[], wheels=[foreign], pyc=True)
    (tmp_path / "bad-1.0-py3-none-any.whl").write_bytes(b"PK")
    with pytest.raises(IntegrityError):
        make_channel(copy, requirements=[], wheels=[tmp_path / "bad-1.0-py3-none-any.whl"], pyc=True)
    assert tree(copy) == before


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="could not be written"):
        make_channel(tmp_path / "file" / "channel", requirements=[])


def test_a_full_disk_is_told_and_leaves_a_sound_channel(tmp_path: Path, wheels: Path) -> None:
    """The limit on a file's size stands in for a full disk: writing fails in the middle of an archive."""
    code = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from hermetic.errors import MachineError
        from hermetic.outputs.channel import make_channel
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            make_channel(Path(sys.argv[1]), requirements=[], wheels=sorted(Path(sys.argv[2]).glob("*.whl")), pyc=True)
        except MachineError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c"), str(wheels)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "free some space" in done.stdout
    assert_sound(tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*.tmp"))


def test_the_default_is_a_small_data_science_set() -> None:
    assert {"numpy", "pandas", "pip", "requests"} == set(DEFAULT_REQUIREMENTS)
