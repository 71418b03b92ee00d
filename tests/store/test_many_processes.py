from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pytest
from store_samples import Good, names_in
from support.faulty import FaultyServer, hang

from hermetic.digest import sha256_bytes
from hermetic.store import Store
from hermetic.store.fetch import Artifact, fetch
from hermetic.store.http import Client, Policy

KEYS = [sha256_bytes(bytes([n])) for n in range(12)]


@pytest.mark.parametrize("work", ["put", "put_file", "copy", "result", "tree", "drop", "touched"])
def test_killed_at_every_step(work: str, tmp_path: Path) -> None:
    crasher = Path(__file__).with_name("crasher.py")
    run = subprocess.run(
        [sys.executable, str(crasher), work, str(tmp_path / "stores"), str(tmp_path / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 5


def _everything(root: str, seed: int) -> int:
    """Put, make and drop the same few things as all the others do, in an order of one's own."""
    store = Store.open(Path(root))
    chance = random.Random(seed)
    for _ in range(60):
        number = chance.randrange(len(KEYS))
        data = bytes([number]) * 10_000
        action = chance.randrange(5)
        if action == 0:
            assert store.put_bytes(data) == sha256_bytes(data)
        elif action == 1:
            store.put_result(KEYS[number], {"number": number})
            assert store.get_result(KEYS[number]) == {"number": number}
        elif action == 2:
            with store.new_tree("conda", KEYS[number]) as folder:
                for name in "abc":
                    (folder / name).write_bytes(data)
            assert (store.tree_path("conda", KEYS[number]) / "c").read_bytes() == data
        elif action == 3:
            store.drop_blob(sha256_bytes(data))
        else:
            path = store.blob_path(sha256_bytes(data))
            with suppress(FileNotFoundError):  # dropped between the two looks
                if store.has_blob(path.name):
                    assert path.read_bytes() == data
    return seed


def test_many_processes_at_one_store(store: Store) -> None:
    context = get_context("spawn")
    with context.Pool(4) as pool:
        assert pool.starmap(_everything, [(str(store.root), seed) for seed in range(8)]) == list(range(8))
    assert store.verify() == ()


def _fetch(root: str, artifacts: list[Artifact]) -> bool:
    fetch(Store.open(Path(root)), artifacts, client=Client(Policy(timeout=20, retries=2, backoff=0.01)))
    return True


def test_many_processes_fetch_the_same(store: Store, goods: list[Good]) -> None:
    artifacts = [good.artifact() for good in goods]
    with get_context("spawn").Pool(4) as pool:
        assert all(pool.starmap(_fetch, [(str(store.root), artifacts)] * 8))
    assert store.verify() == ()
    for good in goods:
        assert len(good.server.asked_for(good.name)) == 1  # one downloads, the others wait for it
    assert names_in(store.root / "partial") == []


FETCH = (
    "import sys, pathlib; from hermetic.store import Store; from hermetic.store.fetch import Artifact, fetch\n"
    "fetch(Store.open(pathlib.Path(sys.argv[1])), [Artifact('it', (sys.argv[2],), sys.argv[3], int(sys.argv[4]))])"
)


@pytest.fixture
def child() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for process in children:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_in_the_middle_of_a_download_it_is_continued(
    store: Store,
    good: Good,
    server: FaultyServer,
    client: Client,
    child: list[subprocess.Popen[bytes]],
) -> None:
    server.fault(good.name, hang(0.5))
    url = f"{server.url}/{good.name}"
    size = str(len(good.data))
    child.append(subprocess.Popen([sys.executable, "-c", FETCH, str(store.root), url, good.sha256, size]))
    assert server.busy.wait(60)
    partial = store.root / "partial" / good.sha256
    while not partial.exists() or partial.stat().st_size < len(good.data) // 2:
        assert child[0].poll() is None
    os.kill(child[0].pid, signal.SIGKILL)
    child[0].wait()
    assert not store.has_blob(good.sha256)
    server.mend()
    fetch(store, [good.artifact()], client=client)
    assert [asked.range for asked in server.asked] == [f"bytes={len(good.data) // 2}-"]
    assert store.blob_path(good.sha256).read_bytes() == good.data
    assert store.verify() == ()


def test_ctrl_c_does_not_wait_for_a_server_that_hangs(
    store: Store, good: Good, server: FaultyServer, child: list[subprocess.Popen[bytes]]
) -> None:
    """It may be silent for an hour; if Ctrl-C waited, so would this test."""
    server.fault(good.name, hang(0.5))
    command = [sys.executable, "-c", FETCH, str(store.root), f"{server.url}/{good.name}", good.sha256, "300000"]
    child.append(subprocess.Popen(command, env={**os.environ, "HERMETIC_HTTP_TIMEOUT": "3600"}, stderr=subprocess.PIPE))
    assert server.busy.wait(60)
    child[0].send_signal(signal.SIGINT)
    _, said = child[0].communicate(timeout=120)
    assert b"KeyboardInterrupt" in said
    server.mend()
    fetch(store, [good.artifact()], client=Client(Policy(timeout=5, retries=0)))
    assert server.asked[0].range  # what came before is kept
    assert store.verify() == ()


def test_killed_at_any_moment(store: Store, tmp_path: Path, child: list[subprocess.Popen[bytes]]) -> None:
    """Processes that work on the store, each killed at a moment of its own; the store stays whole."""
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[3])\n"
        "from test_many_processes import _everything\n"
        "for seed in range(1000):\n"
        "    print(seed, flush=True); _everything(sys.argv[1], seed + int(sys.argv[2]))"
    )
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parent), str(here.parent / "helpers")])
    chance = random.Random(7)
    for number in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(store.root), str(1000 * number), str(here)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        child.append(process)
        assert process.stdout
        for _ in range(chance.randrange(1, 4)):
            assert process.stdout.readline()
        for _ in range(chance.randrange(20_000)):
            pass
        process.kill()
        process.wait()
        process.stdout.close()
        assert store.verify() == ()
    _everything(str(store.root), 1)
    assert store.verify() == ()
