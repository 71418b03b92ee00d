"""Two builds differ in nothing but the bytes that must hold the path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prefix_samples import config, from_channel, lock_of, tree
from support.wheels import make_wheel

from hermetic.lock.file import write_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.outputs.prefix import build_prefix
from hermetic.store import Store

BUILD = """
import json, os, sys
from pathlib import Path
from hermetic.config import Config
from hermetic.lock.file import read_lock
from hermetic.outputs.prefix import build_prefix
from hermetic.store import Store

wanted = json.loads(sys.argv[1])
os.umask(wanted["umask"])
(lock,) = read_lock(Path(wanted["lock"])).platforms.values()
build_prefix(
    lock, Path(wanted["prefix"]), store=Store.open(Path(wanted["store"])), link_mode=wanted["link_mode"],
    config=Config(channels={"demo": wanted["channel"]}), jobs=wanted["jobs"],
)
sys.stdout.flush()
os._exit(0)
"""


def build_elsewhere(environment: Mapping[str, str], **wanted: Any) -> None:
    """Build in a process of its own, with other settings than ours."""
    subprocess.run(
        [sys.executable, "-c", BUILD, json.dumps(wanted, default=str)],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        check=True,
    )


def without(prefix: Path, found: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Put a mark in the place of a prefix in all contents, and zeros where a pyc tells of a source that holds it."""
    path = os.fsencode(prefix)
    marked = {
        name: (*entry[:-1], entry[-1].replace(path, b"@" * len(path))) if entry[0] == "file" else entry
        for name, entry in found.items()
    }
    for name, entry in marked.items():
        folder, cache, module = name.rpartition("/__pycache__/")
        if cache and path in found[f"{folder}/{module.partition('.')[0]}.py"][-1]:
            marked[name] = (*entry[:-1], entry[-1][:8] + bytes(8) + entry[-1][16:])  # the source's hash (PEP 552)
    return marked


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory, channel: Path, archives: list[Path]) -> PlatformLock:
    """Lock an environment with all that can tell two builds apart: entry points, pyc, prefixes, scripts."""
    folder = tmp_path_factory.mktemp("wheels")
    text = "NAMES = {'b', 'a', 'c', 'd'}\ndef main(x):\n    return x in {'p', 'q', 'r', 's'}\n"
    tool = make_wheel(
        folder, "my-tool", scripts={"my-tool": "my_tool:main"}, files={"my_tool.py": text, "bad.py": "print 'old'\n"}
    )
    other = make_wheel(folder, "other", scripts={"other": "other:main"}, data={"scripts/raw": "#!python\n"})
    return lock_of([*archives, *from_channel(channel, "idna", "certifi")], [tool, other], variables={"A": "1"})


def test_time_place_user_settings_and_caches_leave_no_trace(
    tmp_path: Path, channel: Path, lock: PlatformLock, store: Store
) -> None:
    file = tmp_path / "a.lock.json"
    write_lock(Lock({}, {lock.platform: lock}), file)
    common = {"lock": file, "channel": channel.as_uri()}
    one, other, third = tmp_path / "here" / "env", tmp_path / "else" / "env", tmp_path / "most" / "env"
    build_elsewhere(
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"},
        prefix=one, store=tmp_path / "cold", jobs=1, umask=0o077, link_mode="copy", **common,
    )  # fmt: skip
    build_elsewhere(
        {"TZ": "America/New_York", "PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONOPTIMIZE": "2", "USER": "x"},
        prefix=other, store=store.root, jobs=4, umask=0o002, link_mode="auto", **common,
    )  # fmt: skip
    build_elsewhere({}, prefix=third, store=tmp_path / "cold", jobs=3, umask=0, link_mode="hardlink", **common)
    trees = [without(prefix, tree(prefix)) for prefix in (one, other, third)]
    assert len(trees[0]) > 1000
    for found in trees[1:]:
        assert sorted(found) == sorted(trees[0])
        assert [path for path in found if found[path] != trees[0][path]] == []


def test_only_files_that_hold_the_path_differ_by_it(
    tmp_path: Path, channel: Path, lock: PlatformLock, store: Store
) -> None:
    one, other = tmp_path / "env", tmp_path / "a-much-longer-name" / "environment"
    for prefix in (one, other):
        build_prefix(lock, prefix, store=store, config=config(channel))
    here, there = tree(one), tree(other)
    assert sorted(here) == sorted(there)
    differing = [path for path in here if here[path] != there[path]]
    assert differing
    for path in differing:
        folder, cache, module = path.rpartition("/__pycache__/")
        source = f"{folder}/{module.partition('.')[0]}.py" if cache else path
        assert os.fsencode(one) in here[source][-1], path


def test_an_old_build_and_a_new_one_are_the_same(
    tmp_path: Path, channel: Path, lock: PlatformLock, store: Store
) -> None:
    """What was there before does not show through."""
    prefix = tmp_path / "env"
    build_prefix(lock, prefix, store=store, config=config(channel))
    before = tree(prefix)
    build_prefix(PlatformLock(lock.platform, ()), prefix, store=store, config=config(channel))
    assert len(tree(prefix)) < 10
    build_prefix(lock, prefix, store=store, config=config(channel))
    assert tree(prefix) == before
