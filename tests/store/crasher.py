"""Runs a piece of work again and again, killed at its first step, its second, ... until it gets through.

Run as a program by ``test_many_processes``. Each attempt is a forked child that kills itself (SIGKILL, so nothing
is tidied up) at the n-th event that Python audits: every open, rename, chmod, mkdir, unlink, lock and so on. After
each attempt the store must be whole, and at the end it must hold what was made.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hermetic.digest import sha256_bytes
from hermetic.store import Store
from hermetic.store.fetch import Artifact, fetch
from hermetic.store.http import Client  # noqa: F401  loaded before the fork, so that imports are no steps

KEY = "ab" * 32
DATA = b"some bytes" * 1000


def put(store: Store, source: Path) -> None:
    store.put_bytes(DATA)


def put_file(store: Store, source: Path) -> None:
    store.put_file(source)


def copy(store: Store, source: Path) -> None:
    fetch(store, [Artifact("source", (source.as_uri(),), sha256_bytes(DATA), len(DATA))])


def result(store: Store, source: Path) -> None:
    store.put_result(KEY, {"a": 1})


def tree(store: Store, source: Path) -> None:
    with store.new_tree("conda", KEY) as folder:
        for name in "ab":
            (folder / name).mkdir()
            (folder / name / "file").write_bytes(DATA)
        (folder / "link").symlink_to("a")


def drop(store: Store, source: Path) -> None:
    store.put_bytes(DATA)
    store.drop_blob(sha256_bytes(DATA))
    store.put_bytes(DATA)


def touched(store: Store, source: Path) -> None:
    os.utime(store.blob_path(store.put_bytes(DATA)))
    assert store.has_blob(sha256_bytes(DATA))


def done(store: Store, work: str) -> bool:
    if work == "tree":
        return store.has_tree("conda", KEY) and (store.tree_path("conda", KEY) / "b" / "file").read_bytes() == DATA
    if work == "result":
        return store.get_result(KEY) == {"a": 1}
    return store.has_blob(sha256_bytes(DATA)) and store.blob_path(sha256_bytes(DATA)).read_bytes() == DATA


def attempt(step: int, work: str, root: Path, source: Path) -> bool:
    """Give True if the work got through before its ``step``-th event."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, args: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        globals()[work](Store.open(root), source)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, f"step {step}: failed"
        return True
    return False


def main(work: str, root: Path, source: Path) -> None:
    source.write_bytes(DATA)
    for step in range(1, 400):
        store = Store.open(root / str(step))  # from nothing
        through = attempt(step, work, store.root, source)
        assert store.verify() == (), f"step {step}: damaged"
        half = done(store, work)
        if step % 2:  # and the next run gets through, with what the killed one left
            assert attempt(10_000, work, store.root, source)
            assert done(store, work), f"step {step}: lost"
            assert len(list((store.root / "staging").iterdir())) <= 1, f"step {step}: left over"
        if through:
            assert half
            print(step)
            return
    raise AssertionError("it never got through")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
