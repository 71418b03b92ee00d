"""What cannot be built is refused with the reason and the way out; nothing is half-written, nothing old is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prefix_samples import addresses, config, from_channel, lock_of, package, tree
from support.channel import PLACEHOLDER, index, write_package
from support.mounts import Room, room
from support.servers import Server
from support.wheels import make_wheel

from hermetic.config import Config
from hermetic.errors import BuildError, IntegrityError, OfflineError, UsageError
from hermetic.lock.file import write_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.outputs.prefix import build_prefix, verify_prefix
from hermetic.store import Store


def build(prefix: Path, archives: list[Path], store: Store, **more: object) -> None:
    build_prefix(
        lock_of(archives), prefix, store=store, config=config(), addresses=addresses(archives), **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return write_package(tmp_path / "channel", "one", files={"share/x": f"in {PLACEHOLDER}\n"})


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_what_hermetic_did_not_build_is_never_replaced(tmp_path: Path, store: Store, one: Path, there: str) -> None:
    prefix = tmp_path / "env"
    if there == "folder":
        prefix.mkdir()
        (prefix / "thesis.txt").write_text("years of work")
    elif there == "file":
        prefix.write_text("years of work")
    else:
        (tmp_path / "real").mkdir()
        prefix.symlink_to("real")
    before = tree(tmp_path)
    with pytest.raises(UsageError) as error:
        build(prefix, [one], store)
    assert "--prefix" in (error.value.remedy or "")
    assert tree(tmp_path) == before


def test_an_empty_folder_may_become_an_environment(tmp_path: Path, store: Store, one: Path) -> None:
    (tmp_path / "env").mkdir()
    build(tmp_path / "env", [one], store)
    assert (tmp_path / "env/share/x").read_text() == f"in {tmp_path}/env\n"


def test_an_environment_of_conda_is_not_ours(tmp_path: Path, store: Store, one: Path) -> None:
    (tmp_path / "env/conda-meta").mkdir(parents=True)
    (tmp_path / "env/conda-meta/history").write_text("")
    with pytest.raises(UsageError, match="does not say that hermetic built it"):
        build(tmp_path / "env", [one], store)


@pytest.mark.parametrize("prefix", ["/", "/tmp/with\nnewline"])
def test_places_that_cannot_hold_one(prefix: str, store: Store, one: Path) -> None:
    with pytest.raises(UsageError, match="cannot hold an environment"):
        build(Path(prefix), [one], store)


def test_unknown_choices_are_named(tmp_path: Path, store: Store, one: Path) -> None:
    with pytest.raises(UsageError, match="link_scripts cannot be 'maybe'"):
        build(tmp_path / "env", [one], store, link_scripts="maybe")
    with pytest.raises(UsageError, match="link_mode cannot be 'symlink'"):
        build(tmp_path / "env", [one], store, link_mode="symlink")


def test_wrong_bytes_are_refused_also_from_a_file(tmp_path: Path, store: Store, one: Path) -> None:
    build(tmp_path / "env", [one], store)
    before = tree(tmp_path / "env")
    two = write_package(tmp_path / "channel", "two", files={"share/y": "right"})
    lock, known = lock_of([two]), addresses([two])
    data = bytearray(two.read_bytes())
    data[len(data) // 2] ^= 1
    two.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"two-1\.0"):
        build_prefix(lock, tmp_path / "env", store=store, config=config(), addresses=known)
    assert tree(tmp_path / "env") == before


def test_wrong_bytes_over_http_are_refused(
    tmp_path: Path, store: Store, one: Path, http_channel: Callable[[Path], Server]
) -> None:
    lock = lock_of([one])
    index(tmp_path / "channel")
    one.write_bytes(one.read_bytes()[:-20] + b"0" * 20)
    with pytest.raises(IntegrityError, match=r"one-1\.0"):
        build_prefix(
            lock, tmp_path / "env", store=Store.open(tmp_path / "own"),
            config=Config(channels={"demo": http_channel(tmp_path / "channel").url}),
        )  # fmt: skip
    assert not (tmp_path / "env").exists()


def test_an_environment_comes_over_http_too(tmp_path: Path, one: Path, http_channel: Callable[[Path], Server]) -> None:
    own = Store.open(tmp_path / "own")
    build_prefix(
        lock_of([one]), tmp_path / "env", store=own,
        config=Config(channels={"demo": http_channel(tmp_path / "channel").url}),
    )  # fmt: skip
    assert verify_prefix(tmp_path / "env", lock_of([one]), store=own, config=config()) == ()
    assert "127.0.0.1" not in "".join(path.read_text() for path in (tmp_path / "env/conda-meta").iterdir())


def test_offline_what_the_store_lacks_is_named(tmp_path: Path, one: Path) -> None:
    with pytest.raises(OfflineError, match=r"one-1\.0"):
        build_prefix(
            lock_of([one]), tmp_path / "env", store=Store.open(tmp_path / "own"),
            config=Config(channels={"demo": "http://127.0.0.1:9/channel"}), offline=True,
        )  # fmt: skip
    own = Store.open(tmp_path / "own")
    build(tmp_path / "warm", [one], own)
    shutil.rmtree(tmp_path / "channel")
    build_prefix(lock_of_again(own, tmp_path / "warm"), tmp_path / "env", store=own, config=Config(), offline=True)
    assert (tmp_path / "env/share/x").exists()


def lock_of_again(store: Store, prefix: Path) -> PlatformLock:
    """Lock what a prefix has, from its own records: the archive itself is gone."""
    import json

    (record,) = [json.loads(path.read_bytes()) for path in (prefix / "conda-meta").glob("*.json")]
    blob = store.blob_path(record["sha256"])
    return PlatformLock("linux-64", (), (replace(package(Path(blob), record), file_name=record["fn"]),))


def test_an_archive_of_another_package_is_refused(tmp_path: Path, store: Store, one: Path) -> None:
    lock = lock_of([one])
    wrong = replace(lock, conda=tuple(replace(p, name="wanted") for p in lock.conda))
    with pytest.raises(IntegrityError, match=r"says that it is one 1\.0 .*, the lock says wanted 1\.0"):
        build_prefix(wrong, tmp_path / "env", store=store, config=config(), addresses=addresses([one]))


def test_wheels_and_noarch_packages_need_a_python(tmp_path: Path, store: Store) -> None:
    noarch = write_package(tmp_path / "channel", "one", noarch="python", files={"site-packages/one.py": ""})
    for lock in (lock_of([noarch]), lock_of([], [make_wheel(tmp_path, "two")])):
        with pytest.raises(UsageError, match="needs a python, and the lock has none"):
            build_prefix(lock, tmp_path / "env", store=store, config=config(), addresses=addresses([noarch]))


def test_a_python_that_does_not_run_here_is_explained(tmp_path: Path, store: Store) -> None:
    files = {
        "bin/python3.11": "#!/bin/sh\necho 'version GLIBC_9.9 not found' >&2\nexit 1\n",
        "lib/python3.11/os.py": "",
    }
    python = write_package(tmp_path / "channel", "python", "3.11.9", build="0_cpython", subdir="linux-64", files=files)
    with pytest.raises(BuildError, match=r"python 3\.11\.9 does not run on this machine: version GLIBC_9\.9"):
        build(tmp_path / "env", [python], store)
    assert not (tmp_path / "env").exists()


def test_pythons_without_such_pyc_get_none(tmp_path: Path, store: Store) -> None:
    """Python before 3.7, and PyPy: what they ship stays."""
    for version, text in (("3.6.9", "0_cpython"), ("3.9.1", "0_73_pypy")):
        minor = version[:3]
        files = {
            f"bin/python{minor}": "#!/bin/sh\nexit 1\n",
            f"lib/python{minor}/os.py": "",
            f"lib/python{minor}/__pycache__/os.cpython-{minor.replace('.', '')}.pyc": "shipped",
        }
        python = write_package(tmp_path / version, "python", version, build=text, subdir="linux-64", files=files)
        build(tmp_path / f"env{version}", [python], store)
        found = [path for path in tree(tmp_path / f"env{version}") if path.endswith(".pyc")]
        assert len(found) == 1


BUILD = """
import os, sys
from pathlib import Path
from hermetic.config import Config
from hermetic.errors import HermeticError
from hermetic.lock.file import read_lock
from hermetic.outputs.prefix import build_prefix
from hermetic.store import Store

file, prefix, store, channel = sys.argv[1:]
(lock,) = read_lock(Path(file)).platforms.values()
try:
    build_prefix(lock, Path(prefix), store=Store.open(Path(store)), config=Config(channels={"demo": channel}))
    print("built", flush=True)
except HermeticError as error:
    print(type(error).__name__, str(error), flush=True)
os._exit(0)
"""


def build_in(room: Room, lock: PlatformLock, prefix: Path, store: Path, channel: Path, folder: Path) -> str:
    """Build in a mount namespace; give what came of it."""
    file = folder / f"{lock.key()[:8]}.lock.json"
    write_lock(Lock({}, {lock.platform: lock}), file)
    command = [*room.within(folder), sys.executable, "-c", BUILD, file, prefix, store, channel.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("point", ["prefix", "store"])
def test_a_full_disk_is_told_and_the_old_environment_stays(
    tmp_path: Path, store: Store, channel: Path, python_lock: PlatformLock, point: str
) -> None:
    small = tmp_path / "small"
    with room() as here:
        here.small(small, 12 << 20)
        prefix = small / "env" if point == "prefix" else tmp_path / "env"
        own = store.root if point == "prefix" else small / "store"
        base = replace(python_lock, conda=lock_of(from_channel(channel, "prefix-probe")).conda)
        assert build_in(here, base, prefix, own, channel, tmp_path) == "built"
        before = tree(here.seen(prefix))
        said = build_in(here, python_lock, prefix, own, channel, tmp_path)
        assert said.startswith("MachineError ")
        assert "space" in said.lower()
        assert tree(here.seen(prefix)) == before
        assert [path.name for path in here.seen(prefix.parent).iterdir() if path.name.startswith(".env")] == []


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, store: Store, channel: Path) -> None:
    lock = lock_of(from_channel(channel, "prefix-probe"))
    closed = tmp_path / "closed"
    with room() as here:
        here.read_only(closed)
        for prefix in (closed / "env", closed / "deep" / "er" / "env"):
            said = build_in(here, lock, prefix, store.root, channel, tmp_path)
            assert said.startswith("MachineError ")
            assert "Read-only file system" in said
            assert "choose another folder" in said
    assert list(closed.iterdir()) == []


def test_a_damaged_tree_of_the_store_is_made_anew(tmp_path: Path, one: Path) -> None:
    own = Store.open(tmp_path / "own")
    build(tmp_path / "env", [one], own)
    (file,) = (own.root / "trees/conda").rglob("share/x")
    file.write_text("edited")
    build(tmp_path / "two", [one], own)
    assert (tmp_path / "two/share/x").read_text() == f"in {tmp_path}/two\n"
    file.unlink()
    build(tmp_path / "three", [one], own)
    assert (tmp_path / "three/share/x").read_text() == f"in {tmp_path}/three\n"


@pytest.mark.parametrize("mode", ["auto", "copy", "hardlink"])
def test_editing_an_environment_does_not_reach_the_next_one(tmp_path: Path, store: Store, mode: str) -> None:
    """With hard links the edit does reach the store's file; it is noticed, and the file made anew."""
    one = write_package(tmp_path / "channel", "one", files={"share/x": "as shipped\n", "bin/t": "#!/bin/sh\n"})
    wheel_home = write_package(
        tmp_path / "channel", "python", "3.11.9", build="0_cpython", subdir="linux-64",
        files={"lib/python3.11/os.py": ""},
    )  # fmt: skip
    wheel = make_wheel(tmp_path, "two")
    lock, known = lock_of([one, wheel_home], [wheel]), addresses([one, wheel_home])
    files = ("share/x", "bin/t", "lib/python3.11/site-packages/two.py")
    build_prefix(lock, tmp_path / "env", store=store, config=config(), addresses=known, link_mode=mode)
    shipped = {name: (tmp_path / "env" / name).read_bytes() for name in files}
    for name in files:
        with (tmp_path / "env" / name).open("r+b") as file:
            file.write(b"EDITED")
    for again, other in (("auto", "next"), ("hardlink", "last")):
        build_prefix(lock, tmp_path / other, store=store, config=config(), addresses=known, link_mode=again)
        assert {name: (tmp_path / other / name).read_bytes() for name in files} == shipped
        assert verify_prefix(tmp_path / other, lock, store=store, config=config()) == ()
    assert {f.path for f in verify_prefix(tmp_path / "env", lock, store=store, config=config())} == set(files)


def test_no_op_reads_next_to_nothing(tmp_path: Path, store: Store, one: Path) -> None:
    build(tmp_path / "env", [one], store)
    heavy = {"rattler", "asyncio", "urllib3", "installer", "rich", "subprocess", "concurrent", "xxhash"}
    code = f"""
import sys
from hermetic.outputs.prefix.state import is_current
print(is_current(sys.argv[1], "x"), *sorted({{name.partition(".")[0] for name in sys.modules}} & {heavy}))
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "env"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
