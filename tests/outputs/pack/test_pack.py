"""Packs: the same bytes everywhere, and what comes out of them, without hermetic, is what a build would have made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefix_samples import addresses, config, tree
from support.mounts import room

from hermetic.digest import sha256_file
from hermetic.errors import UsageError
from hermetic.lock.file import write_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.outputs.pack import Pack, pack
from hermetic.outputs.prefix import build_prefix, verify_prefix
from hermetic.store import Store

CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
Packages = tuple[list[Path], list[Path]]


def unpack(file: Path, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a pack as a machine without hermetic would."""
    command = ["sh", str(file), *map(str, arguments)]
    return subprocess.run(command, check=False, **{"env": CLEAN, "capture_output": True, "text": True, **options})


def said_by(*command: str | Path) -> str:
    """Give what a command prints in an empty environment."""
    return subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout.strip()


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stderr


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def packed(
    tmp_path_factory: pytest.TempPathFactory, channel: Path, packages: Packages, lock: PlatformLock, store: Store
) -> Pack:
    """The environment, packed."""
    output = tmp_path_factory.mktemp("pack") / "env.sh"
    return pack(lock, output, name="demo", store=store, config=config(channel), addresses=addresses(packages[0]))


PATHS = {
    "plain": "env",
    "below folders that are not there": "a/b/c/env",
    "spaces": "my new env",
    "what shells read": "$HOME `env`; *?[a] & <b> (c) %s # ~ ! |",
    "letters": "umgebung-ä-€",
    "one that begins with a dash": "-env",
    "one too long for a first line": "l" * 100,
    "long, with spaces": "l o n g " * 12 + "l",
}


@pytest.mark.parametrize("name", PATHS.values(), ids=PATHS)
def test_what_comes_out_is_what_a_build_makes_there(
    name: str, tmp_path: Path, channel: Path, packages: Packages, lock: PlatformLock, store: Store, packed: Pack
) -> None:
    prefix = tmp_path / name
    options: dict[str, Any] = {"store": store, "config": config(channel), "addresses": addresses(packages[0])}
    build_prefix(lock, prefix, **options)
    built = tree(prefix)
    shutil.rmtree(prefix)
    good(unpack(packed.file, "--prefix", prefix))
    found = tree(prefix)
    assert sorted(found) == sorted(built)
    assert [path for path in built if found[path] != built[path]] == []
    assert verify_prefix(prefix, lock, **options) == ()
    assert not build_prefix(lock, prefix, **options).changed
    assert not [path for path in prefix.parent.iterdir() if path.name.startswith(".hermetic")]


def test_it_runs_where_there_is_no_hermetic(tmp_path: Path, packed: Pack) -> None:
    prefix = tmp_path / "env"
    good(unpack(packed.file, "--prefix", prefix))
    code = "import sys, points; print(sys.prefix, points.PREFIX, sys.flags.no_site)"
    assert said_by(prefix / "bin/python3", "-c", code).split() == [str(prefix)] * 2 + ["0"]
    spaced = tmp_path / "with spaces"
    good(unpack(packed.file, "--prefix", spaced))
    for folder in (prefix, spaced):
        for command, said in (("my-tool", "hello"), ("raw", "raw"), ("points", str(folder))):
            assert said_by(folder / "bin" / command) == said


PACK = """
import json, os, sys
from pathlib import Path
from hermetic.config import Config
from hermetic.lock.file import read_lock
from hermetic.outputs.pack import pack
from hermetic.store import Store

wanted = json.loads(sys.argv[1])
os.umask(wanted["umask"])
(lock,) = read_lock(Path(wanted["lock"])).platforms.values()
pack(
    lock, Path(wanted["output"]), name="demo", store=Store.open(Path(wanted["store"])), jobs=wanted["jobs"],
    config=Config(channels={"demo": wanted["channel"]}), addresses=wanted["addresses"],
    compression=wanted["compression"],
)
sys.stdout.flush()
os._exit(0)
"""


def pack_elsewhere(environment: Mapping[str, str], folder: Path, **wanted: Any) -> None:
    """Pack in a process of its own, with other settings than ours."""
    subprocess.run(
        [sys.executable, "-c", PACK, json.dumps(wanted, default=str)],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        cwd=folder,
        check=True,
    )


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_time_place_user_settings_and_caches_leave_no_trace(
    compression: str, tmp_path: Path, channel: Path, packages: Packages, lock: PlatformLock, store: Store
) -> None:
    file = tmp_path / "a.lock.json"
    write_lock(Lock({}, {lock.platform: lock}), file)
    common = {
        "lock": file,
        "channel": channel.as_uri(),
        "addresses": addresses(packages[0]),
        "compression": compression,
    }
    one, other = tmp_path / "one.sh", tmp_path / "other" / "name.sh"
    pack_elsewhere(
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"}, tmp_path,
        output=one, store=store.root, jobs=1, umask=0o077, **common,
    )  # fmt: skip
    cold = tmp_path / "a much longer name of a store" if compression == "gzip" else store.root
    pack_elsewhere(
        {"TZ": "America/New_York", "PYTHONHASHSEED": "7", "LC_ALL": "C", "USER": "x", "PYTHONOPTIMIZE": "2"}, Path("/"),
        output=other, store=cold, jobs=4, umask=0, **common,
    )  # fmt: skip
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_mode & 0o777 == other.stat().st_mode & 0o777 == 0o755


def test_what_a_pack_says_of_itself(packed: Pack, lock: PlatformLock) -> None:
    assert (packed.size, packed.sha256) == (packed.file.stat().st_size, sha256_file(packed.file))
    assert packed.files > 1000
    assert "the file is whole" in good(unpack(packed.file, "--check"))
    help_text = unpack(packed.file, "--help")
    assert help_text.returncode == 0
    assert f"demo: an environment for {lock.platform}, in one file" in help_text.stdout
    assert "tar and gzip, and no network" in help_text.stdout


def test_it_unpacks_for_any_user_with_any_umask(tmp_path: Path, packed: Pack) -> None:
    good(subprocess.run(
        ["sh", "-c", f'umask 077; exec sh "{packed.file}" --prefix "{tmp_path}/a/env"'],
        env=CLEAN, capture_output=True, text=True, check=False,
    ))  # fmt: skip
    good(unpack(packed.file, f"--prefix={tmp_path}/env/./"))
    assert tree(tmp_path / "a" / "env", times=True).keys() == tree(tmp_path / "env").keys()
    assert {entry[1] for entry in tree(tmp_path / "a" / "env").values() if entry[0] == "folder"} == {0o755}


def test_a_relative_path_and_an_empty_folder_will_do(tmp_path: Path, packed: Pack) -> None:
    shutil.copy(packed.file, tmp_path / "env.sh")
    (tmp_path / "env").mkdir()
    good(unpack(Path("env.sh"), "-p", "env/", cwd=tmp_path))
    assert said_by(tmp_path / "env/bin/points") == f"{tmp_path}/env"
    assert left(tmp_path) == ["env", "env.sh"]


def tampered(packed: Pack, folder: Path, how: str) -> Path:
    data = bytearray(packed.file.read_bytes())
    if how == "a flipped bit":
        data[len(data) // 2] ^= 1
    elif how == "the last byte":
        data[-1] ^= 1
    elif how == "cut off":
        del data[-1000:]
    elif how == "more behind it":
        data += b"more"
    file = folder / "bad.sh"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("how", ["a flipped bit", "the last byte", "cut off", "more behind it"])
def test_a_pack_that_was_changed_is_refused(how: str, tmp_path: Path, packed: Pack) -> None:
    bad = tampered(packed, tmp_path, how)
    for arguments in (["--check"], ["--prefix", tmp_path / "env"]):
        done = unpack(bad, *arguments)
        assert done.returncode == 5
        assert "copy it again" in done.stderr
    assert left(tmp_path) == ["bad.sh"]


def tools(folder: Path, *names: str) -> dict[str, str]:
    """Give an environment in which there are only some programs."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or name)
    return {"PATH": str(folder)}


FEW = "sh cat tail tar wc tr mkdir rm ls env"


def test_where_nothing_can_make_a_sha256_the_unpacked_python_does(tmp_path: Path, packed: Pack) -> None:
    few = tools(tmp_path / "bin", *FEW.split(), "gzip")
    good(unpack(packed.file, "--prefix", tmp_path / "env", env=few))
    assert (tmp_path / "env/bin/python3").exists()
    data = bytearray(packed.file.read_bytes())
    data[-4] ^= 1  # in the size that gzip states at its end: tar has all it wants by then
    bad = tmp_path / "bad.sh"
    bad.write_bytes(data)
    done = unpack(bad, "--prefix", tmp_path / "other", env=few)
    assert done.returncode in {5, 6}
    assert left(tmp_path) == ["bad.sh", "bin", "env"]
    assert unpack(packed.file, "--check", env=few).returncode == 6


@pytest.mark.parametrize("missing", ["tar", "gzip"])
def test_a_missing_program_is_named(missing: str, tmp_path: Path, packed: Pack) -> None:
    few = tools(tmp_path / "bin", *({*FEW.split(), "gzip", "sha256sum"} - {missing}))
    done = unpack(packed.file, "--prefix", tmp_path / "env", env=few)
    assert done.returncode == 6
    assert f"there is no {missing} on this machine" in done.stderr
    assert left(tmp_path) == ["bin"]


def test_a_place_that_is_taken_is_refused(tmp_path: Path, packed: Pack) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dead").symlink_to("nowhere")
    before = tree(tmp_path)
    for name, said in (
        ("full", "is not empty"),
        ("file", "is no folder"),
        ("link", "is a link"),
        ("dead", "is a link"),
    ):
        done = unpack(packed.file, "--prefix", tmp_path / name)
        assert done.returncode == 2
        assert said in done.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say where to unpack"),
        (["--prefix"], "--prefix needs a folder"),
        (["--prefix", ""], "say where to unpack"),
        (["--prefx", "/x"], "unknown argument: --prefx"),
        (["--prefix", "/"], "choose another folder"),
        (["--prefix", "//"], "choose another folder"),
        (["--prefix", "/."], "choose another folder"),
        (["--prefix", "a/../b"], "choose another folder"),
        (["--prefix", "/tmp/two\nlines"], "two lines"),
        (["--prefix", "it's"], "quotes or backslashes"),
        (["--prefix", 'my "env"'], "quotes or backslashes"),
        (["--prefix", "a\\b"], "quotes or backslashes"),
    ],
)
def test_calls_without_sense_are_refused(arguments: list[str], said: str, tmp_path: Path, packed: Pack) -> None:
    done = unpack(packed.file, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert left(tmp_path) == []


def test_a_path_longer_than_programs_leave_room_for_is_refused(tmp_path: Path, packed: Pack) -> None:
    prefix = tmp_path.joinpath(*["d" * 60] * 5)
    done = unpack(packed.file, "--prefix", prefix)
    assert done.returncode == 2
    assert "is too long: programs leave room for" in done.stderr
    assert left(prefix.parent) == []
    done = unpack(packed.file, "--prefix", tmp_path / ("d" * 300))
    assert done.returncode in {2, 6}
    assert done.stderr


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, packed: Pack) -> None:
    for prefix, parent in ((Path("/proc/env"), "/proc"), (Path("/proc/a/env"), "/proc/a")):
        done = unpack(packed.file, "--prefix", prefix)
        assert done.returncode == 6
        assert parent in done.stderr


def test_a_full_and_a_read_only_disk_leave_nothing(tmp_path: Path, packed: Pack) -> None:
    disk = tmp_path / "disk"
    with room() as held:
        held.small(disk, 20_000_000)
        for _ in range(2):  # a second try meets what the first met
            done = unpack_in(held.within(tmp_path), packed, disk / "opt" / "env")
            assert done.returncode == 6
            assert "cannot unpack" in done.stderr
            assert left(held.seen(disk)) == ["opt"]
            assert left(held.seen(disk / "opt")) == []
        held.writable(disk)
        held.read_only(disk)
        done = unpack_in(held.within(tmp_path), packed, disk / "env")
        assert done.returncode == 6
        assert f"cannot write in {disk}" in done.stderr
        assert left(held.seen(disk)) == []


def unpack_in(within: tuple[str, ...], packed: Pack, prefix: Path) -> subprocess.CompletedProcess[str]:
    """Unpack in a room with disks of its own."""
    command = [*within, "sh", str(packed.file), "--prefix", str(prefix)]
    return subprocess.run(command, env=CLEAN, capture_output=True, text=True, check=False)


def test_an_unpacking_that_is_interrupted_leaves_nothing(tmp_path: Path, packed: Pack) -> None:
    few = tools(tmp_path / "bin", *FEW.split(), "sha256sum", "mkfifo")
    slow = tmp_path / "bin" / "gzip"
    started = tmp_path / "started"
    os.mkfifo(started)
    slow.write_text(f'#!/bin/sh\n{shutil.which("gzip")} "$@" | head -c 3000000\necho > {started}\nexec sleep 600\n')
    slow.chmod(0o755)
    for name in ("head", "sleep"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    command = ["sh", str(packed.file), "--prefix", str(tmp_path / "env")]
    process = subprocess.Popen(command, env=few, stderr=subprocess.PIPE, text=True, start_new_session=True)
    started.read_text()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does for Ctrl-C
    process.communicate()
    assert process.returncode != 0
    assert left(tmp_path) == ["bin", "started"]


def test_an_unpacking_that_is_killed_leaves_nothing_that_looks_whole(tmp_path: Path, packed: Pack) -> None:
    few = tools(tmp_path / "bin", *FEW.split(), "sha256sum")
    killer = tmp_path / "bin" / "gzip"
    killer.write_text(f'#!/bin/sh\n{shutil.which("gzip")} "$@" | head -c 3000000\n{shutil.which("kill")} -9 $PPID\n')
    killer.chmod(0o755)
    (tmp_path / "bin" / "head").symlink_to(shutil.which("head") or "")
    done = unpack(packed.file, "--prefix", tmp_path / "env", env=few)
    assert done.returncode != 0
    assert not (tmp_path / "env").exists()
    assert "remove it, unless" in good(unpack(packed.file, "--prefix", tmp_path / "env"))
    assert (tmp_path / "env" / "bin" / "points").exists()


def test_of_two_that_unpack_in_one_place_one_wins(tmp_path: Path, packed: Pack) -> None:
    command = ["sh", str(packed.file), "--prefix", str(tmp_path / "env")]
    both = [subprocess.Popen(command, env=CLEAN, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[1]: process.returncode for process in both}
    assert min(said.values()) == 0
    assert max(said.values()) in {2, 6}
    assert any("is not empty" in text for text in said)
    assert left(tmp_path) == ["env"]
    assert said_by(tmp_path / "env" / "bin" / "points") == str(tmp_path / "env")


def test_an_environment_without_python_takes_the_machines(
    tmp_path: Path, packages: Packages, lock: PlatformLock, channel: Path, store: Store
) -> None:
    only = replace(lock, conda=tuple(p for p in lock.conda if p.name == "shebangs"), wheels=())
    options: dict[str, Any] = {"store": store, "config": config(channel), "addresses": addresses(packages[0])}
    made = pack(only, tmp_path / "small.sh", name="small", compression="none", **options)
    good(unpack(made.file, "--prefix", tmp_path / "env", env={"PATH": os.environ["PATH"]}))
    assert verify_prefix(tmp_path / "env", only, **options) == ()
    few = tools(tmp_path / "bin", *FEW.split(), "sha256sum")
    done = unpack(made.file, "--prefix", tmp_path / "other", env=few)
    assert done.returncode == 6
    assert "there is no python3 on this machine" in done.stderr
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_packed_is_refused(tmp_path: Path, lock: PlatformLock, store: Store) -> None:
    for wanted, options, said in (
        (replace(lock, platform="osx-arm64"), {}, "packs are for Linux"),
        (replace(lock, platform="linux-s390x"), {}, "cannot pack an environment for linux-s390x"),
        (lock, {"compression": "bzip2"}, "use one of: gzip, zstd, none"),
        (lock, {"link_scripts": "run"}, "use refuse or skip"),
    ):
        with pytest.raises(UsageError) as caught:
            pack(wanted, tmp_path / "x.sh", name="x", store=store, config=config(), **options)  # type: ignore[arg-type]
        assert said in str(caught.value)
    assert left(tmp_path) == []


def test_a_name_is_no_command(
    tmp_path: Path, packages: Packages, lock: PlatformLock, channel: Path, store: Store
) -> None:
    only = replace(lock, conda=(), wheels=())
    name = f"'; touch {tmp_path}/made; echo '$(touch {tmp_path}/made)`touch {tmp_path}/made`\n@SUM@"
    made = pack(only, tmp_path / "a.sh", name=name, store=store, config=config(channel))
    good(unpack(made.file, "--prefix", tmp_path / "env", env={"PATH": os.environ["PATH"]}))
    assert unpack(made.file, "--help").returncode == 0
    assert left(tmp_path) == ["a.sh", "env"]
