"""The same digest from every build: other time, folder, user settings, job counts, caches, and order on disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefix_samples import lock_of
from support.channel import PLACEHOLDER, write_package
from support.images import image_lock
from support.needs import require
from support.wheels import make_wheel

from hermetic.lock.file import write_lock
from hermetic.lock.model import Lock
from hermetic.store import Store

BUILD = """
import json, os, sys
from pathlib import Path
wanted = json.loads(sys.argv[1])
os.umask(wanted["umask"])
sys.path[:0] = wanted["path"]
from hermetic.config import Config
from hermetic.lock.file import read_lock
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.options import ImageOptions
from hermetic.store import Store
from support.images import one_layer_each, small_base
(lock,) = read_lock(Path(wanted["lock"])).platforms.values()
store = Store.open(Path(wanted["store"]))
image = build_image(
    lock, one_layer_each(lock) if wanted.get("apart", True) else (), small_base(store), store=store,
    config=Config(channels={"demo": wanted["channel"]}), jobs=wanted["jobs"], options=ImageOptions(),
)
print(image.manifest.digest)
print(image.config.data.decode())
sys.stdout.flush()
os._exit(0)
"""
PATH = [str(folder) for folder in (Path(__file__).parents[2], Path(__file__).parents[2] / "helpers")]


def build_elsewhere(environment: Mapping[str, str], cwd: Path, **wanted: Any) -> str:
    """Build in a process of its own, with other settings than ours; give the digest and the configuration."""
    cwd.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", BUILD, json.dumps({"path": PATH, **wanted}, default=str)],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def lock(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lock")
    text = "NAMES = {'b', 'a', 'c', 'd'}\ndef main(x):\n    return x in {'p', 'q', 'r', 's'}\n"
    tool = make_wheel(folder, "my-tool", scripts={"my-tool": "my_tool:main"}, files={"my_tool.py": text, "a/b.py": "1"})
    made = image_lock(channel, "prefix-probe", "idna", "certifi", wheels=[tool], variables={"A": "1", "B": "2"})
    write_lock(Lock({}, {made.platform: made}), folder / "a.lock.json")
    return folder / "a.lock.json"


def test_time_place_user_settings_and_caches_leave_no_trace(
    tmp_path: Path, channel: Path, lock: Path, store: Store
) -> None:
    common = {"lock": lock, "channel": channel.as_uri()}
    one = build_elsewhere(
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8", "HOME": "/root", "MALLOC_PERTURB_": "85"},
        tmp_path / "here", store=tmp_path / "cold", jobs=1, umask=0o077, **common,
    )  # fmt: skip
    other = build_elsewhere(
        {"TZ": "America/New_York", "PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONOPTIMIZE": "2", "USER": "x"},
        tmp_path / "else where", store=store.root, jobs=4, umask=0o002, **common,
    )  # fmt: skip
    assert one == other
    shutil.rmtree(tmp_path / "cold" / "actions")
    third = build_elsewhere({}, tmp_path / "third", store=tmp_path / "cold", jobs=3, umask=0, **common)
    assert third == one, "with trees and pyc files there, but no fragment"
    shutil.rmtree(tmp_path / "cold" / "trees")
    fourth = build_elsewhere({}, tmp_path / "fourth", store=tmp_path / "cold", jobs=2, umask=0o022, **common)
    assert fourth == one, "with fragments there, but no tree"


def test_partly_cached_layers_are_the_same(tmp_path: Path) -> None:
    """A layer of several packages comes out the same, whichever of its fragments were there."""
    from image_samples import image_of

    from hermetic.lock.model import PlannedLayer

    names = ("one", "two", "three")
    archives = [
        write_package(tmp_path, name, files={f"share/{name}/{n}": f"{name}{n}" * 99 + PLACEHOLDER for n in range(20)})
        for name in names
    ]
    plan = (PlannedLayer("all", names),)
    digests = set()
    for cached in ((), ("one",), ("two", "three"), names):
        store = Store.open(tmp_path / "store" / "-".join(cached))
        for name in cached:
            image_of(store, [archives[names.index(name)]])
        digests.add(image_of(store, archives, layers=plan).manifest.digest)
    assert len(digests) == 1


@contextmanager
def shuffled(folder: Path, at: Path) -> Iterator[None]:
    """Show a folder with its files in another order (and the time of each read another)."""
    require(shutil.which("disorderfs"), "disorderfs is not installed")
    at.mkdir()
    options = ["--multi-user=no", "--shuffle-dirents=yes", "--reverse-dirents=no"]
    ran = subprocess.run(["disorderfs", *options, folder, at], capture_output=True, text=True, check=False)
    require(ran.returncode == 0, f"disorderfs cannot be mounted: {ran.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["fusermount", "-u", "-z", at], check=True)


def test_the_order_of_files_on_disk_leaves_no_trace(tmp_path: Path, channel: Path, lock: Path, store: Store) -> None:
    common = {"lock": lock, "channel": channel.as_uri(), "umask": 0o022}
    wanted = build_elsewhere({}, tmp_path / "a", store=store.root, jobs=2, **common)
    (tmp_path / "below").mkdir()
    with shuffled(tmp_path / "below", tmp_path / "store"):
        found = build_elsewhere({}, tmp_path / "b", store=tmp_path / "store", jobs=2, **common)
    assert found == wanted


def test_the_order_of_a_lock_leaves_no_trace(tmp_path: Path) -> None:
    from image_samples import image_of

    store = Store.open(tmp_path / "store")
    archives = [write_package(tmp_path, name, files={f"share/{name}": name}) for name in ("one", "two", "three")]
    assert lock_of(archives) == lock_of(archives[::-1])
    assert image_of(store, archives) == image_of(store, archives[::-1])


AT_ONCE = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from image_samples import image_of
from hermetic.store import Store
image = image_of(Store.open(Path(sys.argv[3])), [Path(name) for name in sys.argv[4:]])
print(image.manifest.digest)
"""


def test_several_builds_at_once_make_one_image(tmp_path: Path) -> None:
    from image_samples import entries, image_of

    archives = [
        write_package(tmp_path, name, files={f"share/{name}/{n}": f"{name}{n}" * 9999 for n in range(50)})
        for name in ("one", "two", "three", "four")
    ]
    command = [sys.executable, "-c", AT_ONCE, *reversed(PATH), str(tmp_path / "store"), *map(str, archives)]
    builds = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {build.communicate()[0] for build in builds}
    assert [build.returncode for build in builds] == [0] * 4
    store = Store.open(tmp_path / "store")
    image = image_of(store, archives)
    assert said == {image.manifest.digest + "\n"}
    assert len(entries(store, image.layers)) > 200
