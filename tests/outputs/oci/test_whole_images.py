"""Real images of real packages in the hands of real tools: an engine, skopeo, umoci, diffoscope."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from prefix_samples import config
from support.engine import Engine
from support.images import image_lock, one_layer_each, small_base
from support.needs import require
from support.wheels import make_wheel

from hermetic.digest import sha256_file
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.diff import diff_images
from hermetic.outputs.oci.engine import load
from hermetic.outputs.oci.finding import engine_image
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.layout import check_layout, read_layout, write_layout
from hermetic.outputs.oci.model import PREFIX, Image
from hermetic.outputs.oci.verify import verify_image
from hermetic.outputs.prefix.build import make
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.manifest import read_manifest
from hermetic.outputs.prefix.order import Order
from hermetic.store import Store

ENV = PREFIX.strip("/")


@dataclass(frozen=True)
class Shelf:
    """A store with an image of numpy and a wheel in it, and the lock of that."""

    store: Store
    channel: Path
    wheels: Path
    lock: PlatformLock
    image: Image

    def build(self, lock: PlatformLock) -> Image:
        return build_image(
            lock, one_layer_each(lock), small_base(self.store), store=self.store, config=config(self.channel)
        )


@pytest.fixture(scope="module")
def shelf(channel: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    wheel = make_wheel(folder / "wheels", "tool", "1.0", scripts={"tool": "tool:main"})
    lock = image_lock(channel, "numpy", "idna", wheels=[wheel], variables={"GREETING": "good morning"})
    empty = Shelf(store, channel, folder / "wheels", lock, None)  # type: ignore[arg-type]
    return replace(empty, image=empty.build(lock))


@pytest.fixture
def layout(shelf: Shelf, tmp_path: Path) -> Iterator[Path]:
    write_layout([shelf.image], tmp_path / "layout", store=shelf.store, name="demo")
    yield tmp_path / "layout"
    shutil.rmtree(tmp_path, ignore_errors=True)  # some hundred megabytes


def run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_an_engine_imports_numpy_and_a_bumped_package_sends_itself(engine: Engine, shelf: Shelf) -> None:
    tag = f"test/{uuid.uuid4().hex}"
    done = load(shelf.image, f"{tag}:1", store=shelf.store, client=engine.client)
    assert done.id == shelf.image.config.digest
    code = "import numpy, os; print(numpy.arange(4).sum(), os.environ['GREETING'], numpy.__file__)"
    said = engine.run(f"{tag}:1", "python", "-c", code)
    assert said.split() == ["6", "good", "morning", *said.split()[3:]]
    assert f"{PREFIX}/lib/python" in said
    assert engine.run(f"{tag}:1", "tool") is not None
    bumped = make_wheel(shelf.wheels, "tool", "1.1", scripts={"tool": "tool:main"})
    after = shelf.build(
        image_lock(shelf.channel, "numpy", "idna", wheels=[bumped], variables={"GREETING": "good morning"})
    )
    thin = load(after, f"{tag}:2", store=shelf.store, client=engine.client)
    assert thin.present == len(after.layers) - 2
    assert thin.sent < sum(layer.descriptor.size for layer in after.layers[-2:]) + 20_000
    (found,) = [engine_image(f"{tag}:2", engine.client)]
    assert verify_image(found, after, store=shelf.store) == ()
    kinds = {one.kind for one in verify_image(found, shelf.image, store=shelf.store)}
    assert kinds >= {"added", "lost"}


def test_what_umoci_unpacks_is_what_the_lock_says(shelf: Shelf, layout: Path, tmp_path: Path) -> None:
    require(shutil.which("skopeo") and shutil.which("umoci"), "skopeo and umoci are not installed")
    told = json.loads(run("skopeo", "inspect", f"oci:{layout}:demo"))
    assert told["Layers"] == [layer.descriptor.digest for layer in shelf.image.layers]
    run("skopeo", "copy", "--insecure-policy", f"oci:{layout}:demo", f"oci:{tmp_path / 'copy'}:demo")
    assert verify_image(check_layout(tmp_path / "copy")[0], shelf.image, store=shelf.store) == ()
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:demo", tmp_path / "bundle")
    # an independent witness: what py-rattler and the wheels' installer leave in a prefix of that path
    order = Order(shelf.lock, Path(PREFIX), shelf.store, config(shelf.channel))
    with shelf.store.staging() as folder:
        digest, _ = make(order, obtain(order), folder)
    wanted = {entry.path: entry for entry in read_manifest(shelf.store.blob_path(digest).read_bytes())}
    root = tmp_path / "bundle" / "rootfs" / ENV
    there = {str(path.relative_to(root)) for path in root.rglob("*")} - {"conda-meta/hermetic"}
    assert there == wanted.keys()
    for path, entry in wanted.items():
        status = (root / path).lstat()
        if entry.kind == "link":
            assert str((root / path).readlink()) == entry.target
            continue
        assert stat.S_IMODE(status.st_mode) == entry.mode, path
        assert status.st_mtime == 1, path
        assert entry.kind != "file" or sha256_file(root / path) == entry.sha256, path


def test_what_umoci_changes_is_named(shelf: Shelf, layout: Path, tmp_path: Path) -> None:
    require(shutil.which("umoci"), "umoci is not installed")
    (tmp_path / "evil.py").write_text("import this\n")
    target = next(
        path for path in (f"{ENV}/lib/python3.{n}/site-packages" for n in range(9, 20))
        if any(path in text for text in _paths(shelf))
    )  # fmt: skip
    run("umoci", "insert", "--rootless", "--image", f"{layout}:demo", tmp_path / "evil.py", f"/{target}/evil.py")
    run("umoci", "config", "--image", f"{layout}:demo", "--config.env", "LD_PRELOAD=/evil.so")
    found = verify_image(read_layout(layout, "demo")[0], shelf.image, store=shelf.store)
    assert {(one.path, one.kind) for one in found} >= {
        (f"{target}/evil.py", "added"),
        ("LD_PRELOAD", "variable"),
        ("", "layer"),
    }
    assert len(found) == 3, "\n".join(map(str, found))
    told = diff_images(_honest(shelf, tmp_path), read_layout(layout, "demo")[0])
    assert [(one.path, one.kind) for one in told.files if "evil" in one.path] == [(f"{target}/evil.py", "added")]
    assert [one.name for one in told.settings] == ["Env LD_PRELOAD"]


def _honest(shelf: Shelf, folder: Path):
    write_layout([shelf.image], folder / "honest", store=shelf.store)
    return read_layout(folder / "honest")[0]


def _paths(shelf: Shelf) -> list[str]:
    from hermetic.outputs.oci.blobs import open_blob
    from hermetic.outputs.oci.scanning import scan_layer

    with open_blob(shelf.store, shelf.image.layers[-2].blob) as stream:
        return list(scan_layer(stream).items)


def test_what_a_container_changed_is_named(engine: Engine, shelf: Shelf) -> None:
    tag = f"test/{uuid.uuid4().hex}"
    load(shelf.image, tag, store=shelf.store, client=engine.client)
    code = "import os, idna; os.chmod(idna.__file__, 0o600); os.remove(os.environ['CONDA_PREFIX'] + '/bin/tool')"
    container = engine.client.containers.create(tag, ["python", "-c", code], network_mode="none")
    try:
        container.start()
        assert container.wait()["StatusCode"] == 0
        container.commit(tag, "changed")
    finally:
        container.remove(force=True)
    found = verify_image(engine_image(f"{tag}:changed", engine.client), shelf.image, store=shelf.store)
    told = {(one.path.rpartition("/")[2], one.kind) for one in found}
    assert told >= {("__init__.py", "mode"), ("tool", "hidden")}
    assert not {kind for path, kind in told if "numpy" in path}


def test_a_bumped_package_shows_in_the_difference(shelf: Shelf, layout: Path, tmp_path: Path) -> None:
    bumped = make_wheel(shelf.wheels, "tool", "2.0", scripts={"tool": "tool:main"})
    lock = image_lock(shelf.channel, "numpy", wheels=[bumped], variables={"GREETING": "hello"})
    write_layout([shelf.build(lock)], tmp_path / "new", store=shelf.store)
    told = diff_images(read_layout(layout)[0], read_layout(tmp_path / "new")[0])
    assert told
    assert [(one.manager, one.name, one.kind) for one in told.packages if one.name in {"tool", "idna"}] == [
        ("conda", "idna", "removed"),
        ("pip", "tool", "changed"),
    ]
    assert [(one.name, one.old, one.new) for one in told.settings if "GREETING" in one.name] == [
        ("Env GREETING", "good morning", "hello")
    ]
    assert told.shared >= 3
    assert {one.kind for one in told.layers} == {"added", "removed"}
    assert not [one.path for one in told.files if "/numpy/" in one.path]
    assert not diff_images(read_layout(layout)[0], read_layout(layout)[0])
    json.dumps(told.to_dict())
