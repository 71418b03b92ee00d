"""Images as values that tests can compare: with each other, and with the prefix that py-rattler would link."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import zstandard
from prefix_samples import addresses, config, lock_of
from support.images import one_layer_each

from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.blobs import open_blob
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.model import LAYER_GZIP, LAYER_ZSTD, PREFIX, BaseImage, Image, Layer
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix.build import make
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.order import Order
from hermetic.store import Store

Entries = dict[str, tuple[Any, ...]]
ROOT = PREFIX.strip("/")


def image_of(
    store: Store,
    archives: Iterable[Path],
    wheels: Iterable[Path] = (),
    *,
    base: BaseImage | None = None,
    layers: tuple[PlannedLayer, ...] | None = None,
    variables: Mapping[str, str] | None = None,
    platform: str = "linux-64",
    reporter: Any = None,
    **options: Any,
) -> Image:
    """Build the image of archives and wheels as they lie there, on nothing or a base. Options: of ImageOptions."""
    archives = list(archives)
    lock = lock_of(archives, wheels, variables=variables, platform=platform)
    more = {"reporter": reporter} if reporter else {}
    return build_image(
        lock,
        one_layer_each(lock) if layers is None else layers,
        base or BaseImage(),
        store=store,
        config=config(),
        addresses=addresses(archives),
        options=ImageOptions(**options),
        **more,
    )


def ours(image: Image) -> tuple[Layer, ...]:
    """Give the layers above the base's."""
    return image.layers[len(image.base.layers) :]


def tar_bytes(store: Store, layer: Layer) -> bytes:
    """Give a layer's archive, unpacked by another library; its digests are looked at on the way."""
    assert layer.blob
    with open_blob(store, layer.blob) as file:
        data = file.read()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer.descriptor.digest
    assert len(data) == layer.descriptor.size == layer.blob.size
    if layer.descriptor.media_type == LAYER_GZIP:
        data = gzip.decompress(data)
    elif layer.descriptor.media_type == LAYER_ZSTD:
        data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer.diff_id
    return data


def entries(store: Store, layers: Iterable[Layer], *, time: int = 1) -> Entries:
    """Read layers with Python's tarfile: kind, mode and digest by path. No layer names a path twice."""
    import io

    found: Entries = {}
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(tar_bytes(store, layer)), errors="strict") as tar:
            members = tar.getmembers()
            names = [member.name for member in members]
            assert len(set(names)) == len(names)
            for member in members:
                assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", time)
                parent = member.name.rpartition("/")[0]
                assert not parent or found[parent] == ("folder", 0o755), "every folder is listed, and before its files"
                found[member.name] = _entry(tar, member)
    return found


def prefix_entries(lock: PlatformLock, store: Store, folder: Path, **order: Any) -> Entries:
    """Build the prefix that would lie where images have theirs, by py-rattler, and read it."""
    made = Order(lock, Path(PREFIX), store, order.pop("config", config()), **order)
    folder.mkdir()
    make(made, obtain(made), folder)
    found: Entries = {}
    for path in folder.rglob("*"):
        name = f"{ROOT}/{path.relative_to(folder)}"
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif path.is_dir():
            found[name] = ("folder", path.stat().st_mode & 0o7777)
        else:
            found[name] = ("file", path.stat().st_mode & 0o7777, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def assert_same(image: Entries, prefix: Entries) -> None:
    """Hold an image to a prefix: it has more only the note that a build leaves, and the program that activates."""
    above = {"opt", "opt/hermetic", "opt/hermetic/activate", ROOT, f"{ROOT}/conda-meta/hermetic"}
    assert sorted((set(image) - above) ^ set(prefix)) == []
    assert [path for path in prefix if prefix[path] != image[path]] == []


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[Any, ...]:
    if member.isdir():
        return ("folder", member.mode)
    if member.issym():
        return ("link", member.linkname)
    file = tar.extractfile(member)
    assert file
    return ("file", member.mode, hashlib.sha256(file.read()).hexdigest())
