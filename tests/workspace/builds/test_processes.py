"""Builds and processes: several that want one thing, some that die, some that leave, some that are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import update
from support.postgres import Postgres
from support.registries import registry
from support.yard import Yard, builders, until

from hermetic.digest import sha256_file
from hermetic.errors import MachineError, UnsatisfiableError
from hermetic.workspace.builds import joining
from hermetic.workspace.builds.joining import _WORKER
from hermetic.workspace.builds.model import ACTIVE, CANCELLED, FAILED, RUNNING, SUCCEEDED, CancelledError, DiedError
from hermetic.workspace.database.tables import builds
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import address_in

STARTED = """
import sys
from pathlib import Path
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import address_in
workspace = Workspace.open(address_in(Path(sys.argv[1]), "team", {"database": sys.argv[2]}))
build = workspace.builds.start(workspace.environments.get("train"))
print(build.id, flush=True)
"""
WAITED = f"""{STARTED}
for text in workspace.builds.follow(build.id):
    print(text, end="")
ended = workspace.builds.get(build.id)
print(ended.state, ended.result.get("digest"), ended.lock)
"""


def start(yard: Yard, script: str) -> subprocess.Popen[str]:
    """Run a script in a process group of its own."""
    arguments = [sys.executable, "-c", script, str(yard.folder), yard.database]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def rest(process: subprocess.Popen[str]) -> str:
    """Give what a script prints until it ends."""
    assert process.stdout
    text = process.stdout.read()
    assert process.wait(60) == 0, text
    return text


def test_two_processes_that_want_one_build_make_one_and_both_have_it(yards: Yard) -> None:
    workspace = yards.workspace()
    yards.registered(workspace, "train", "app")
    with yards.gate() as gate:
        one = start(yards, WAITED)
        gate.busy.wait()
        other = start(yards, WAITED)
        assert first_line(one) == first_line(other) == "1"
        gate.opened.set()
        told = {rest(process) for process in (one, other)}
    assert len(told) == 1
    (text,) = told
    assert "locking train:1" in text
    assert text.splitlines()[-1].startswith(f"{SUCCEEDED} sha256:")
    assert len(workspace.builds.list()) == 1
    assert len(gate.asked_for("app-1.0")) == 1


def test_many_who_start_at_once_start_one(yards: Yard) -> None:
    workspace = yards.workspace()
    version = yards.registered(workspace, "train", "app")
    with yards.gate() as gate, ThreadPoolExecutor(12) as pool:
        found = set(pool.map(lambda _: workspace.builds.start(version).id, range(12)))
        gate.opened.set()
        (build,) = found
        assert workspace.builds.wait(build).state == SUCCEEDED
    assert len(workspace.builds.list()) == 1


def test_what_differs_is_not_joined(yard: Yard) -> None:
    workspace = yard.workspace()
    with yard.gate() as gate:
        first = workspace.builds.start(yard.registered(workspace, "train", "app"))
        second = workspace.builds.start(yard.registered(workspace, "train", "app", "base"))
        other = workspace.builds.start(workspace.environments.get("train", 1), platforms=["linux-aarch64"])
        assert len({first.id, second.id, other.id}) == 3
        gate.opened.set()
        assert {workspace.builds.wait(build.id).state for build in (first, second, other)} == {SUCCEEDED}
    images = {image.platform: image.reference for image in workspace.environments.images("train", 1)}
    assert images.keys() == {"linux-64", "linux-aarch64"}
    for reference in images.values():
        assert (Path(reference.split(":")[1]) / "index.json").is_file()
    assert len(set(images.values())) == 2


def test_machines_that_share_a_database_and_a_registry_share_builds(yard: Yard, postgres: Postgres) -> None:
    shared = {"database": postgres.new_database(), "artefacts": str(yard.root / "artefacts")}
    with registry(yard.root) as hub, yard.gate() as gate:
        places = [address_in(yard.root / name, "team", {**shared, "registry": f"{hub.host}/team"}) for name in "ab"]
        here, there = (Workspace.create(place, exist_ok=True) for place in places)
        version = yard.registered(here, "train", "app")
        build = here.builds.start(version)
        gate.busy.wait()
        as_if(here, machine="b/1")  # "b" is the other's own machine: it finds no held file in its folder
        joined = there.builds.start(there.environments.get("train"))
        assert joined.id == build.id
        told = there.builds.follow(joined.id)
        assert "build 1 of train:1" in next(told)
        gate.opened.set()
        assert "pushed" in "".join(told)
        ended = there.builds.get(joined.id)
        assert ended.state == SUCCEEDED
        assert f"{hub.host}/{ended.result['reference'].partition('/')[2]}" == ended.result["reference"]
        name = ended.result["reference"].partition("/")[2]
        assert hub.inspect(name)["Digest"] == ended.result["digest"]
        assert not (yard.root / "b" / "images").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_builder_that_dies_is_found_out_at_once(yards: Yard, number: signal.Signals) -> None:
    workspace = yards.workspace()
    version = yards.registered(workspace, "train", "app")
    with yards.gate() as gate:
        build = workspace.builds.start(version)
        gate.busy.wait()
        ((process, held),) = builders(yards.root).items()
        os.kill(process, number)
        until(lambda: not builders(yards.root))
        assert held.exists()
        (ended,) = workspace.builds.list()
        assert (ended.id, ended.state) == (build.id, FAILED)
        assert isinstance(error := ended.failure(), DiedError)
        assert "died" in error.message
        assert error.remedy
        assert ("Segmentation fault" in ended.error.get("said", "")) == (number == signal.SIGSEGV)
        assert list(held.parent.iterdir()) == []
        gate.opened.set()
        again = workspace.builds.start(version)
        assert again.id != build.id
        assert workspace.builds.wait(again.id).state == SUCCEEDED


def test_who_waits_for_a_builder_that_dies_hears_of_it(yard: Yard) -> None:
    workspace = yard.workspace()
    yard.registered(workspace, "train", "app")
    with yard.gate() as gate:
        waiting = start(yard, WAITED)
        gate.busy.wait()
        (process,) = builders(yard.root)
        os.kill(process, signal.SIGKILL)
        assert rest(waiting).splitlines()[-1].startswith(FAILED)


def test_a_script_that_leaves_leaves_the_build_behind(yards: Yard) -> None:
    workspace = yards.workspace()
    yards.registered(workspace, "train", "app")
    with yards.gate() as gate:
        script = start(yards, STARTED)
        assert script.wait(60) == 0
        gate.busy.wait()
        assert workspace.builds.get(1).state == RUNNING
        gate.opened.set()
        assert workspace.builds.wait(1).state == SUCCEEDED


def test_a_script_that_is_killed_with_all_its_group_leaves_the_build_behind(yard: Yard) -> None:
    workspace = yard.workspace()
    yard.registered(workspace, "train", "app")
    with yard.gate() as gate:
        script = start(yard, WAITED)
        gate.busy.wait()
        os.killpg(script.pid, signal.SIGKILL)
        script.wait()
        gate.opened.set()
        assert workspace.builds.wait(1).state == SUCCEEDED


def test_a_build_is_cancelled_for_all(yards: Yard) -> None:
    workspace = yards.workspace()
    version = yards.registered(workspace, "train", "app")
    with yards.gate() as gate:
        waiting = start(yards, WAITED)
        gate.busy.wait()
        assert workspace.builds.cancel(1).state in {*ACTIVE, CANCELLED}
        ended = workspace.builds.wait(1)
        assert ended.state == CANCELLED
        assert isinstance(ended.failure(), CancelledError)
        lines = rest(waiting).splitlines()
        assert lines[-1].startswith(CANCELLED)
        assert lines[-2].endswith("cancelled")
        until(lambda: not builders(yards.root))
        gate.opened.set()
        assert workspace.builds.cancel(1).state == CANCELLED
        assert workspace.builds.wait(workspace.builds.start(version).id).state == SUCCEEDED


DEAF = """
import signal, threading
from hermetic.workspace.builds import running
def deaf(*_, **__):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Event().wait()
running.make_image, running._GRACE = deaf, 0.2
"""


def test_work_that_does_not_heed_is_ended_all_the_same(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    yard.patch.setattr(joining, "_START", DEAF + joining._START)
    build = workspace.builds.start(version)
    until(lambda: workspace.builds.get(build.id).state == RUNNING)
    workspace.builds.cancel(build.id)
    assert workspace.builds.wait(build.id).state == CANCELLED
    assert workspace.builds.log(build.id).splitlines()[-1].endswith("cancelled")


FAULTY = """
from hermetic.workspace.builds import running
def faulty(*_, **__):
    raise ZeroDivisionError("at https://me:sesame@example.org/")
running.make_image = faulty
"""


def test_a_fault_of_hermetics_own_is_kept_with_its_traceback(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    yard.patch.setattr(joining, "_START", FAULTY + joining._START)
    ended = workspace.builds.wait(workspace.builds.start(version).id)
    assert ended.state == FAILED
    assert ended.error["message"] == "internal error: ZeroDivisionError: at https://example.org/"
    told = workspace.builds.log(ended.id)
    assert "Traceback" in told
    assert "sesame" not in told


def test_a_builder_that_is_told_to_stop_says_so(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    with yard.gate() as gate:
        build = workspace.builds.start(version)
        gate.busy.wait()
        (process,) = builders(yard.root)
        os.kill(process, signal.SIGTERM)
        ended = workspace.builds.wait(build.id)
        assert ended.state == FAILED
        assert "SIGTERM" in str(ended.failure())
        assert "SIGTERM" in workspace.builds.log(build.id)


@pytest.mark.parametrize("moment", [0.1, 0.4, 0.7, 1.0, 1.5, 2.5])
def test_whoever_is_killed_at_whatever_moment_the_next_build_is_whole(yard: Yard, moment: float) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    script = start(yard, STARTED)
    with suppress(subprocess.TimeoutExpired):
        script.wait(moment)
    script.kill()
    for process in builders(yard.root):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    script.communicate()
    ended = workspace.builds.wait(workspace.builds.start(version).id)
    assert ended.state == SUCCEEDED
    assert workspace.environments.get("train").lock == ended.lock
    blobs = Path(ended.result["layout"]) / "blobs" / "sha256"
    for blob in blobs.iterdir():
        assert sha256_file(blob) == blob.name
    assert all(build.state in {SUCCEEDED, FAILED} for build in workspace.builds.list())
    until(lambda: not builders(yard.root))
    assert list((yard.folder / "builds").iterdir()) == []


def test_what_was_left_long_ago_is_cleared_up(yard: Yard) -> None:
    workspace = yard.workspace()
    left, young = (yard.folder / "builds" / f"{name}.held" for name in ("7-ab", "8-cd"))
    left.with_suffix("").mkdir(parents=True)
    for path in (left, young):
        path.touch()
    os.utime(left, (1, 1))
    workspace.builds.wait(workspace.builds.start(yard.registered(workspace, "train", "app")).id)
    assert list((yard.folder / "builds").iterdir()) == [young]


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_queued(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    (yard.folder / "builds").write_text("no folder")
    with pytest.raises(MachineError, match="could not be started"):
        workspace.builds.start(version)
    assert workspace.builds.list() == []


def as_if(workspace: Workspace, stopped: int = 0, **changed: object) -> None:
    """Change the row of a build; a process is stopped meanwhile, at a moment when it holds nothing in the database."""
    with workspace.database.write() as connection:
        connection.execute(update(builds).values(changed))
        if stopped:
            os.kill(stopped, signal.SIGSTOP)


def test_a_builder_of_another_machine_is_given_up_when_it_is_not_heard_of(yards: Yard) -> None:
    workspace = yards.workspace()
    version = yards.registered(workspace, "train", "app")
    with yards.gate() as gate:
        build = workspace.builds.start(version)
        gate.busy.wait()
        as_if(workspace, machine="far/1")
        assert workspace.builds.get(build.id).state == RUNNING
        (process,) = builders(yards.root)
        as_if(workspace, process, heartbeat=0)
        ended = workspace.builds.get(build.id)
        os.kill(process, signal.SIGCONT)
        assert isinstance(ended.failure(), DiedError)
        until(lambda: not builders(yards.root))  # it hears that it was given up, and stops
        assert workspace.builds.get(build.id) == ended


def test_where_the_held_file_is_gone_the_heartbeat_tells(yard: Yard) -> None:
    workspace = yard.workspace()
    with yard.gate() as gate:
        build = workspace.builds.start(yard.registered(workspace, "train", "app"))
        gate.busy.wait()
        ((process, held),) = builders(yard.root).items()
        held.unlink()
        os.kill(process, signal.SIGKILL)
        assert workspace.builds.get(build.id).state == RUNNING
        as_if(workspace, heartbeat=0)
        assert isinstance(workspace.builds.get(build.id).failure(), DiedError)


def test_a_builder_that_hears_nothing_is_cancelled_without_it(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    with yard.gate() as gate:
        build = workspace.builds.start(version)
        gate.busy.wait()
        (process,) = builders(yard.root)
        as_if(workspace, process, heartbeat=0)
        assert workspace.builds.cancel(build.id).state == CANCELLED
        os.kill(process, signal.SIGCONT)
        until(lambda: not builders(yard.root))
        assert workspace.builds.get(build.id).state == CANCELLED


def test_a_database_that_is_away_for_a_while_loses_nothing(yard: Yard, postgres: Postgres) -> None:
    yard.database = postgres.new_database()
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    with yard.gate() as gate:
        build = workspace.builds.start(version)
        gate.busy.wait()
        waiting = start(yard, WAITED)
        assert first_line(waiting) == "1"
        postgres.stop(at_once=True)
        gate.opened.set()
        postgres.start()
        ended = workspace.builds.wait(build.id)
        assert rest(waiting).splitlines()[-1].startswith(SUCCEEDED)  # who waited did not even notice
    assert ended.state == SUCCEEDED
    told = workspace.builds.log(build.id)
    assert [line for line in told.splitlines() if "build 1 of" in line or "done: " in line] == [
        told.splitlines()[0],
        told.splitlines()[-1],
    ]


def test_a_builder_that_cannot_start_is_told_and_kept(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    broken = yard.root / "python"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    broken.chmod(0o755)
    yard.patch.setattr(sys, "executable", str(broken))
    with pytest.raises(MachineError, match="no such luck"):
        workspace.builds.start(version)
    (ended,) = workspace.builds.list()
    assert ended.state == FAILED
    assert list((yard.folder / "builds").iterdir()) == []


def test_a_builder_that_never_begins_is_found_out(yard: Yard) -> None:
    workspace = yard.workspace()
    version = yard.registered(workspace, "train", "app")
    yard.patch.setattr(sys, "executable", "/bin/true")
    build = workspace.builds.start(version)
    ended = workspace.builds.get(build.id)
    assert ended.state == FAILED
    assert "did not begin" in str(ended.failure())


def test_the_process_list_shows_nothing_of_the_job(yards: Yard) -> None:
    workspace = yards.workspace()
    version = yards.registered(workspace, "train", "app")
    with yards.gate() as gate:
        build = workspace.builds.start(version)
        gate.busy.wait()
        (process,) = builders(yards.root)
        words = Path(f"/proc/{process}/cmdline").read_bytes()
        assert _WORKER.encode() in words
        assert b"team" not in words
        gate.opened.set()
        workspace.builds.wait(build.id)


def test_a_failure_that_everybody_waited_for_is_everybodys(yards: Yard) -> None:
    workspace = yards.workspace()
    yards.registered(workspace, "train", "app >=9")
    told = [rest(start(yards, WAITED)) for _ in range(2)]
    assert all(text.splitlines()[-1].startswith(FAILED) for text in told)
    for build in workspace.builds.list():
        assert isinstance(build.failure(), UnsatisfiableError)
