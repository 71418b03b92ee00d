"""``kill -9`` and Ctrl-C at moments spread over a command's run: the old state or the new one, and it goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.desk import Desk, snapshot, take
from support.faulty import FaultyServer, hang

OLD, NEW = "app 1.0 on base 1.0", "app 2.0 on base 2.0"
SEEDS = range(4)
KILLS = 3
"""Kills for each seed."""


def duration(run: Callable[[], object]) -> float:
    start = time.monotonic()
    run()
    return time.monotonic() - start


def moments(seed: int, full: float) -> list[float]:
    """Give moments of a run that takes so long, the seeds' spread over all of it (its start is only imports)."""
    choose = random.Random(seed).uniform
    step = 0.95 * full / (len(SEEDS) * KILLS)
    return [0.1 * full + step * (number * len(SEEDS) + seed + choose(0, 1)) for number in range(KILLS)]


def kill_after(desk: Desk, moment: float, *arguments: str, number: int = 0) -> int:
    """Kill a command after some seconds: by turns it alone, and it with all that it started. Give its status."""
    process = desk.start(*arguments)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        (os.killpg if number % 2 else os.kill)(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode


def manifest(desk: Desk) -> Path:
    return desk.project / "hermetic.toml"


def declared(desk: Desk, *dependencies: str) -> dict[Path, bytes]:
    """Declare and lock anew; give the files."""
    desk.declare(*dependencies)
    desk.lock.unlink(missing_ok=True)
    desk("lock")
    return {path: path.read_bytes() for path in (manifest(desk), desk.lock)}


def put(files: dict[Path, bytes]) -> None:
    for path, content in files.items():
        path.write_bytes(content)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_first_build_that_is_killed(
    tmp_path: Path, goods: Path, locked: Path, index: FaultyServer, seed: int
) -> None:
    def fresh(name: str) -> Desk:
        desk = Desk(tmp_path / name)
        desk.shops(goods / "channel", index.url)
        return take(locked, desk)

    full = duration(lambda: fresh("measured")("build"))
    for number, moment in enumerate(moments(seed, full)):
        desk = fresh(f"desk{number}")
        status = kill_after(desk, moment, "build", number=number + seed)
        assert status in {0, -signal.SIGKILL}
        if desk.prefix.exists():
            assert desk.says().startswith(NEW)
        desk("build")
        assert desk.says().startswith(NEW)
        desk.settled()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_build_over_an_old_environment_that_is_killed(desk: Desk, seed: int) -> None:
    old, new = declared(desk, "python", "app <2"), declared(desk, "python", "app")
    put(old)
    desk("build")
    put(new)
    full = duration(lambda: desk("build"))
    now, to = NEW, OLD
    for number, moment in enumerate(moments(seed, full)):
        put(old if to == OLD else new)
        status = kill_after(desk, moment, "build", number=number + seed)
        said = desk.says()
        assert said.startswith((now, to) if status else to), said
        desk("build")
        assert desk.says().startswith(to)
        desk.settled()
        now, to = to, now


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lock_that_is_killed(desk: Desk, seed: int) -> None:
    old, new = declared(desk, "app <2"), declared(desk, "app", "spare")
    put(new)
    full = duration(lambda: desk("lock", "--update", "*"))
    for number, moment in enumerate(moments(seed, full)):
        put(old | {manifest(desk): new[manifest(desk)]})
        kill_after(desk, moment, "lock", "--update", "*", number=number + seed)
        assert desk.lock.read_bytes() in (old[desk.lock], new[desk.lock])
        desk("lock", "--update", "*")
        assert desk.lock.read_bytes() == new[desk.lock]
        desk.settled()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_add_that_is_killed(desk: Desk, seed: int) -> None:
    old = declared(desk, "base <2")
    full = duration(lambda: desk("add", "app"))
    new = {path: path.read_bytes() for path in old}
    for number, moment in enumerate(moments(seed, full)):
        put(old)
        kill_after(desk, moment, "add", "app", number=number + seed)
        spec, lock = manifest(desk).read_bytes(), desk.lock.read_bytes()
        assert spec in (old[manifest(desk)], new[manifest(desk)])
        assert lock == old[desk.lock] or (lock, spec) == (new[desk.lock], new[manifest(desk)])
        desk("add", "app")
        assert {path: path.read_bytes() for path in old} == new
        desk.settled()


def test_what_a_killed_process_was_writing_is_swept_by_the_next(desk: Desk) -> None:
    desk.declare("app")
    crash = "import os, hermetic.files as f; os.fsync = lambda _: os.kill(os.getpid(), 9); f.write_whole({}, 'half')"
    for path in (manifest(desk), desk.lock):
        ran = subprocess.run(
            [sys.executable, "-c", crash.format(f"__import__('pathlib').Path({str(path)!r})")], check=False
        )
        assert ran.returncode == -signal.SIGKILL
        assert len(list(path.parent.glob(f".{path.name}.*"))) == 1
    desk("add", "spare")
    desk.settled()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_is_interrupted(at_build: Desk, channel: FaultyServer, sent: signal.Signals) -> None:
    """Ctrl-C reaches all processes of the terminal's foreground; a CI job is ended by SIGTERM."""
    channel.fault("app-2.0", hang(0.5))
    process = at_build.start("build")
    assert channel.busy.wait(60)
    os.killpg(process.pid, sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert "interrupted" in err
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in out + err
    assert not at_build.prefix.exists()
    assert list(at_build.prefix.parent.glob(".*.hermetic-*")) == []
    channel.mend()
    at_build("build")
    at_build.settled()


def test_an_add_is_interrupted_and_taken_back(desk: Desk, channel: FaultyServer, index: FaultyServer) -> None:
    files = declared(desk, "python", "app")
    before = snapshot(desk.project)
    for server, part, arguments in (
        (channel, "repodata", ("add", "spare")),
        (index, "/simple/tool/", ("add", "--pip", "tool")),
    ):
        server.fault(part, hang())
        process = desk.start(*arguments)
        assert server.busy.wait(60)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "interrupted" in err
        assert len(err.strip().splitlines()) == 1, err
        assert "Traceback" not in out + err
        assert {path: path.read_bytes() for path in files} == files
        assert snapshot(desk.project).keys() == before.keys()
        server.mend()
    desk("add", "--pip", "tool")
    desk.settled()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_interrupt_at_any_moment(at_build: Desk, seed: int) -> None:
    at_build("build", "--prefix", str(at_build.root / "warm"))
    full = duration(lambda: at_build("build", "--prefix", str(at_build.root / "measured")))
    for moment in moments(seed, full)[1:]:
        process = at_build.start("build")
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode in {0, 130}, (process.returncode, err)
        assert "Traceback" not in err
        if process.returncode and at_build.prefix.exists():
            assert at_build.says().startswith(NEW)
    at_build("build")
    at_build.settled()
