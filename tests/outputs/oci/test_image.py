"""Images from real packages: what is in them is what a prefix would be, and how they are put together."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefix_samples import config, from_channel, lock_of
from support.channel import PLACEHOLDER, Link, write_package
from support.images import image_lock, one_layer_each, small_base
from support.wheels import make_wheel

from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.blobs import open_blob
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.model import PREFIX, Image, Layer
from hermetic.outputs.prefix.build import make
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.order import Order
from hermetic.store import Store

Entries = dict[str, tuple[Any, ...]]


def entries(store: Store, layers: tuple[Layer, ...]) -> Entries:
    """Read layers with Python's tarfile: kind, mode and content by path."""
    found: Entries = {}
    for layer in layers:
        assert layer.blob
        # tarfile's own reading of compressed streams ends with their first member
        with open_blob(store, layer.blob) as file, gzip.open(file) as content, tarfile.open(fileobj=content) as tar:
            for member in tar:
                assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
                found[member.name] = _entry(tar, member)
    return found


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[Any, ...]:
    if member.isdir():
        return ("folder", member.mode)
    if member.issym():
        return ("link", member.linkname)
    file = tar.extractfile(member)
    assert file
    return ("file", member.mode, hashlib.sha256(file.read()).hexdigest())


def prefix_entries(lock: PlatformLock, store: Store, channel: Path, folder: Path) -> Entries:
    """Build a prefix that would lie where images have theirs, by py-rattler, and read it."""
    import os

    order = Order(lock, Path(PREFIX), store, config(channel))
    folder.mkdir()
    make(order, obtain(order), folder)
    found: Entries = {}
    for path in folder.rglob("*"):
        name = f"{PREFIX.strip('/')}/{path.relative_to(folder)}"
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif path.is_dir():
            found[name] = ("folder", path.stat().st_mode & 0o7777)
        else:
            found[name] = ("file", path.stat().st_mode & 0o7777, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def ours(image: Image) -> tuple[Layer, ...]:
    return image.layers[len(image.base.layers) :]


def assert_same(image: Entries, prefix: Entries) -> None:
    above = {"opt", "opt/hermetic", PREFIX.strip("/"), f"{PREFIX.strip('/')}/conda-meta/hermetic"}
    assert sorted((set(image) - above) ^ set(prefix)) == []
    assert [path for path in prefix if prefix[path] != image[path]] == []


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    text = "NAMES = {'b', 'a'}\ndef main(x=1):\n    return x in {'p', 'q'}\n"
    tool = make_wheel(
        folder, "my-tool", scripts={"my-tool": "my_tool:main"}, files={"my_tool.py": text, "bad.py": "print 'old'\n"}
    )
    return [tool, make_wheel(folder, "other", scripts={"other": "other:main"}, data={"scripts/raw": "#!python\n"})]


@pytest.fixture(scope="module")
def lock(channel: Path, wheels: list[Path]) -> PlatformLock:
    return image_lock(channel, "prefix-probe", "idna", "certifi", "numpy", wheels=wheels, variables={"A": "1"})


def test_the_image_holds_what_a_prefix_holds(tmp_path: Path, channel: Path, lock: PlatformLock, store: Store) -> None:
    cold = Store.open(tmp_path / "store")
    image = build_image(lock, one_layer_each(lock), small_base(cold), store=cold, config=config(channel))
    assert_same(entries(cold, ours(image)), prefix_entries(lock, store, channel, tmp_path / "prefix"))
