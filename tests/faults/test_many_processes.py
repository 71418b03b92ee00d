"""Several hermetics at once: they wait for each other where they must, and all of them succeed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from support.desk import Desk, snapshot
from support.faulty import Fault, FaultyServer


def ended(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Wait for processes; give their exit statuses and what they said."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        found.append((process.returncode, out + err))
    return found


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what a process says until it says this."""
    assert process.stderr
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


def gate(server: FaultyServer) -> Fault:
    """Answer only when the server's gate is opened; ``busy`` tells that somebody waits at it."""

    def answer(handler: object) -> None:
        server.busy.set()
        server.opened.wait(60)
        handler.behave()  # type: ignore[attr-defined]

    return answer


def test_two_build_one_environment(at_build: Desk, channel: FaultyServer) -> None:
    channel.fault("app-2.0", gate(channel))
    first = at_build.start("build")
    assert channel.busy.wait(60)
    second = at_build.start("build")
    until(second, "waiting for another hermetic")
    channel.opened.set()
    said = ended(first, second)
    assert [status for status, _ in said] == [0, 0], said
    assert ["built" in text for _, text in said] == [True, False]
    assert at_build.says().startswith("app 2.0")
    assert len(channel.asked_for("app-2.0")) == 1
    at_build.settled()


def test_four_prefixes_and_one_store(at_build: Desk, channel: FaultyServer, index: FaultyServer) -> None:
    prefixes = [at_build.root / f"env{number}" for number in range(4)]
    channel.fault("app-2.0", gate(channel))
    processes = [at_build.start("build", "--prefix", str(prefix)) for prefix in prefixes]
    assert channel.busy.wait(60)
    channel.opened.set()
    said = ended(*processes)
    assert [status for status, _ in said] == [0] * 4, said
    assert len(channel.asked_for("app-2.0")) == 1
    assert len(index.asked_for("/files/tool-1.0")) == 1
    contents = []
    for prefix in prefixes:
        at_build("verify", str(prefix))
        text = {path: repr(entry).replace(str(prefix), "PREFIX") for path, entry in snapshot(prefix).items()}
        contents.append({path: entry for path, entry in text.items() if "state" not in path})
    assert contents == [contents[0]] * 4
    at_build.settled()


def test_the_first_is_killed_and_the_one_that_waited_builds(at_build: Desk, channel: FaultyServer) -> None:
    channel.fault("app-2.0", gate(channel), times=1)
    first = at_build.start("build")
    assert channel.busy.wait(60)
    second = at_build.start("build")
    until(second, "waiting for another hermetic")
    first.kill()
    ((status, text),) = ended(second)
    assert status == 0, text
    channel.opened.set()
    ended(first)
    at_build.settled()


def test_two_lock_one_project(desk: Desk) -> None:
    desk.declare("python", "app", pip=("tool",))
    said = ended(desk.start("lock"), desk.start("lock"))
    assert [status for status, _ in said] == [0, 0], said
    desk("lock", "--check")
    desk.settled()


def test_two_add_and_nothing_is_lost(desk: Desk, channel: FaultyServer) -> None:
    desk.declare("base")
    channel.fault("noarch/repodata.json", gate(channel), times=1)
    first = desk.start("add", "app")
    assert channel.busy.wait(60)
    second = desk.start("add", "spare")
    until(second, "waiting for another hermetic")
    channel.opened.set()
    said = ended(first, second)
    assert [status for status, _ in said] == [0, 0], said
    assert {"app", "base", "spare"} <= json.loads(desk.lock.read_text())["platforms"]["linux-64"]["conda"].keys()
    desk("lock", "--check")
    desk.settled()


def test_one_add_fails_and_the_other_is_not_taken_back_with_it(desk: Desk, channel: FaultyServer) -> None:
    desk.declare("base")
    channel.fault("noarch/repodata.json", gate(channel), times=1)
    first = desk.start("add", "no-such-package")
    assert channel.busy.wait(60)
    second = desk.start("add", "spare")
    until(second, "waiting for another hermetic")
    channel.opened.set()
    said = ended(first, second)
    assert [status for status, _ in said] == [3, 0], said
    manifest = (desk.project / "hermetic.toml").read_text()
    assert "spare" in manifest
    assert "no-such-package" not in manifest
    desk("lock", "--check")


def test_two_projects_share_a_store(at_build: Desk, tmp_path: Path, goods: Path) -> None:
    other = Desk(tmp_path / "other")
    other.environment |= at_build.environment | {"HERMETIC_STORE": str(at_build.store)}
    other.declare("app <2")
    said = ended(at_build.start("build"), other.start("build"))
    assert [status for status, _ in said] == [0, 0], said
    assert at_build.says().startswith("app 2.0 on base 2.0")
    assert other.says().startswith("app 1.0 on base 1.0")
    at_build.settled()
