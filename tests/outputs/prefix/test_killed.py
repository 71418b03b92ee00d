"""A build that is killed, at any point, leaves either nothing or the old environment; the next one cleans up."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prefix_samples import config, lock_of, tree
from support.channel import PLACEHOLDER, write_package
from support.wheels import make_wheel

from hermetic.lock.file import write_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.outputs.prefix import build_prefix, is_current, verify_prefix
from hermetic.outputs.prefix.swap import staging_for
from hermetic.store import Store

BUILD = """
import json, os, signal, sys, threading
from contextlib import suppress
from pathlib import Path
from hermetic.config import Config
from hermetic.lock.file import read_lock
from hermetic.outputs.prefix import build_prefix
from hermetic.store import Store

wanted = json.loads(sys.argv[1])
(lock,) = read_lock(Path(wanted["lock"])).platforms.values()
prefix, events = Path(wanted["prefix"]), 0

def count(event, arguments):
    global events
    if wanted["die_at_file"] and event == "os.rename" and Path(os.fsdecode(arguments[1])) == prefix:
        os.kill(os.getpid(), signal.SIGKILL)  # a busy machine: whoever watches did not get to see that many
    if event.startswith(("open", "os.", "shutil.", "subprocess.", "ctypes.")):
        events += 1
        if events == wanted["die_at_event"]:
            os.kill(os.getpid(), signal.SIGKILL)

def watch():
    seen = 0
    while seen < wanted["die_at_file"]:
        with suppress(OSError):
            seen = len(list(prefix.parent.glob(f".{prefix.name}.hermetic-*/new/**/*")))
    os.kill(os.getpid(), signal.SIGKILL)

if wanted["die_at_file"]:
    threading.Thread(target=watch, daemon=True).start()
sys.addaudithook(count)
build_prefix(
    lock, prefix, store=Store.open(Path(wanted["store"])), config=Config(channels={"demo": wanted["channel"]}),
)
print(events, flush=True)
os._exit(0)
"""


class Builder:
    """Builds in another process, which may kill itself (and by that, what it started) at a point of its work."""

    def __init__(
        self, lock: PlatformLock, store: Path, prefix: Path, channel: Path, *, event: int = 0, file: int = 0
    ) -> None:
        prefix.parent.mkdir(exist_ok=True)
        lock_file = prefix.parent.parent / f"{lock.key()[:8]}.lock.json"
        write_lock(Lock({}, {lock.platform: lock}), lock_file)
        wanted = {
            "lock": str(lock_file), "prefix": str(prefix), "store": str(store), "channel": channel.as_uri(),
            "die_at_event": event, "die_at_file": file,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", BUILD, json.dumps(wanted)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self) -> int | None:
        """Wait for its end; give how many steps it took, or None if it was killed."""
        said, errors = self.process.communicate()
        assert self.process.returncode in (0, -signal.SIGKILL), errors
        return int(said) if self.process.returncode == 0 else None


def proved(prefix: Path, lock: PlatformLock, channel: Path, store: Store) -> bool:
    return is_current(prefix, lock.key()) and verify_prefix(prefix, lock, store=store, config=config(channel)) == ()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlatformLock, PlatformLock]:
    """Make a channel, and lock two small environments that are built over each other."""
    folder = tmp_path_factory.mktemp("small")
    python = write_package(
        folder, "python", "3.11.9", build="0_cpython", subdir="linux-64", files={"lib/python3.11/os.py": ""}
    )
    files = {f"share/{number}": f"{PLACEHOLDER} {number}" for number in range(20)}
    one = write_package(folder, "one", files=files)
    two = write_package(folder, "two", noarch="python", entry_points=["t = two:f"], files={"site-packages/two.py": ""})
    wheel = make_wheel(folder, "my-tool", scripts={"my-tool": "my_tool:main"})
    return folder, lock_of([python, one]), lock_of([python, one, two], [wheel])


@pytest.mark.parametrize("old", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("part", range(4))
def test_kill_9_at_any_point(
    tmp_path: Path, small: tuple[Path, PlatformLock, PlatformLock], part: int, old: bool
) -> None:
    """Every step that the build takes through Python is counted; it is killed at some of each quarter of them."""
    channel, first, second = small
    store, prefix = Store.open(tmp_path / "store"), tmp_path / "envs" / "env"
    steps = Builder(second, store.root, tmp_path / "envs" / "counted", channel).finish()
    assert steps
    chance = random.Random(part)
    quarter = range(steps * part // 4, steps * (part + 1) // 4)
    points = {*chance.sample(quarter, 4), *([steps - 3, steps - 20, steps - 60] if part == 3 else [])}
    for number, point in enumerate(sorted(points)):
        prefix = tmp_path / f"envs{number}" / "env"
        if old:
            build_prefix(first, prefix, store=store, config=config(channel))
            before = tree(prefix)
        Builder(second, store.root, prefix, channel, event=point + 1).finish()
        if not proved(prefix, second, channel, store):
            assert prefix.exists() == old, point
            if old:
                assert tree(prefix) == before, point
        build_prefix(second, prefix, store=store, config=config(channel))
        assert proved(prefix, second, channel, store)
        assert [path.name for path in prefix.parent.iterdir()] == ["env"], point


@pytest.mark.parametrize("files", [1, 300, 1200])
def test_kill_9_while_files_are_linked_and_compiled(
    tmp_path: Path, channel: Path, archives: list[Path], files: int
) -> None:
    lock, prefix, own = lock_of(archives), tmp_path / "envs" / "env", tmp_path / "store"
    assert Builder(lock, own, prefix, channel, file=files).finish() is None
    assert not prefix.exists()
    assert [path for path in prefix.parent.iterdir() if path.name.startswith(".env.hermetic-")]
    build_prefix(lock, prefix, store=Store.open(own), config=config(channel))
    assert proved(prefix, lock, channel, Store.open(own))
    assert [path.name for path in prefix.parent.iterdir()] == ["env"]


def test_processes_that_build_one_environment_at_once_build_it_once(
    tmp_path: Path, small: tuple[Path, PlatformLock, PlatformLock]
) -> None:
    channel, _, lock = small
    prefix = tmp_path / "envs" / "env"
    builders = [Builder(lock, tmp_path / "store", prefix, channel) for _ in range(4)]
    assert all(builder.finish() for builder in builders)
    assert proved(prefix, lock, channel, Store.open(tmp_path / "store"))
    assert [path.name for path in prefix.parent.iterdir()] == ["env"]


def test_processes_that_know_nothing_of_each_other_leave_one_whole_environment(
    tmp_path: Path, small: tuple[Path, PlatformLock, PlatformLock]
) -> None:
    channel, *locks = small
    prefix = tmp_path / "envs" / "env"
    builders = [
        Builder(lock, tmp_path / f"store{number}", prefix, channel) for number, lock in enumerate([*locks, *locks])
    ]
    assert all(builder.finish() for builder in builders)
    store = Store.open(tmp_path / "store0")
    assert sorted(proved(prefix, lock, channel, store) for lock in locks) == [False, True]
    build_prefix(locks[0], prefix, store=store, config=config(channel))
    assert [path.name for path in prefix.parent.iterdir()] == ["env"]


def test_a_staging_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    with staging_for(prefix) as mine:
        (mine / "x").write_text("")
        with staging_for(prefix) as other:
            assert (mine / "x").exists()
            assert other != mine
        assert (mine / "x").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    (tmp_path / ".env.hermetic-0123456789ab" / "new").mkdir(parents=True)
    kept = (".env.hermetic-notes", ".env2.hermetic-0123456789ab", ".env", "env.hermetic-0123456789ab")
    for name in kept:
        (tmp_path / name).mkdir()
    with staging_for(prefix):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
