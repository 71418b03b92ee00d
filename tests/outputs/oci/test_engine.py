"""Loading images into a real Docker Engine."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from support.engine import Engine
from support.small_images import file, folder, image, layer, shell_layer

from hermetic.errors import MachineError, UsageError
from hermetic.outputs.oci import engine as loading
from hermetic.outputs.oci.engine import connect, load
from hermetic.outputs.oci.model import Image
from hermetic.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def unique() -> str:
    """A word that no other test has: the engine is shared."""
    return uuid.uuid4().hex


def words(store: Store, unique: str, *texts: str) -> Image:
    """An image with a shell, and a layer with a file for each text: ``/words/0``, ``/words/1`` ..."""
    mark = layer(store, [folder("words"), file("words/mark", unique)])
    own = [
        layer(store, [folder("words"), file(f"words/{n}", text), file(f"bulk{n}", os.urandom(50_000))])
        for n, text in enumerate(texts)
    ]
    return image([shell_layer(store), mark, *own], Env=["PATH=/bin:/usr/bin", f"MARK={unique}"], Cmd=["sh"])


def test_a_loaded_image_runs(engine: Engine, store: Store, unique: str) -> None:
    made = words(store, unique, "a")
    done = load(made, f"test/{unique}:1", store=store, client=engine.client)
    assert done.id == made.config.digest
    said = engine.client.containers.run(
        f"test/{unique}:1", ["sh", "-c", "echo $MARK; cat /words/mark"], network_mode="none", remove=True
    )
    assert said.decode() == f"{unique}\n{unique}"


def test_nothing_is_sent_twice(engine: Engine, store: Store, unique: str) -> None:
    made = words(store, unique, "a")
    first = load(made, f"test/{unique}", store=store, client=engine.client)
    again = load(made, f"test/{unique}", store=store, client=engine.client)
    other = load(made, f"test/{unique}:other", store=store, client=engine.client)
    assert first.sent > 0
    assert (again.sent, other.sent) == (0, 0)
    assert again.id == other.id == engine.client.images.get(f"test/{unique}:other").id


def test_layers_that_the_engine_has_are_left_out(engine: Engine, store: Store, unique: str) -> None:
    before, after = words(store, unique, "a", "b"), words(store, unique, "a", "c")
    after = image([*before.layers[:3], after.layers[3]], Cmd=["sh"])
    load(before, f"test/{unique}", store=store, client=engine.client)
    done = load(after, f"test/{unique}", store=store, client=engine.client)
    assert done.present == 3
    assert done.sent < after.layers[3].descriptor.size + 12_000
    said = engine.client.containers.run(f"test/{unique}", ["cat", "/words/1"], network_mode="none", remove=True)
    assert said == b"c"


def test_a_layer_above_one_that_changed_is_sent(engine: Engine, store: Store, unique: str) -> None:
    before, after = words(store, unique, "a", "b"), words(store, unique, "x", "b")
    load(before, f"test/{unique}", store=store, client=engine.client)
    assert load(after, f"test/{unique}", store=store, client=engine.client).present == 2
    said = engine.client.containers.run(f"test/{unique}", ["cat", "/words/0"], network_mode="none", remove=True)
    assert said == b"x"


def test_a_thin_image_that_the_engine_refuses_is_sent_whole(
    engine: Engine, store: Store, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = words(store, unique, "a")
    monkeypatch.setattr(loading, "_present", lambda *_: 2)  # what it would be if an image went in that moment
    done = load(made, f"test/{unique}", store=store, client=engine.client)
    assert (done.present, done.id) == (0, made.config.digest)


def test_an_engine_that_knows_no_zstd_is_sent_what_it_knows(engine: Engine, store: Store, unique: str) -> None:
    made = image([shell_layer(store), layer(store, [file("mark", unique * 90)], packing="zstd")], Cmd=["sh"])
    done = load(made, f"test/{unique}", store=store, client=engine.client)
    assert done.id == made.config.digest
    said = engine.client.containers.run(f"test/{unique}", ["/bin/cat", "/mark"], network_mode="none", remove=True)
    assert said.decode() == unique * 90


def test_a_damaged_layer_is_refused(engine: Engine, store: Store, unique: str) -> None:
    made = words(store, unique, "a")
    part = store.blob_path(made.layers[2].blob.parts[1])
    data = bytearray(part.read_bytes())
    data[-20] ^= 1
    part.chmod(0o644)
    part.write_bytes(data)
    with pytest.raises(MachineError, match="Docker Engine refused"):
        load(made, f"test/{unique}", store=store, client=engine.client)
    assert not [tag for one in engine.client.images.list() for tag in one.tags if unique in tag]


BAD_TAGS = ["", "Upper", "a b", "-x", "x:", "a//b", "x@sha256:00", f"x@sha256:{'0' * 64}", "../x"]


@pytest.mark.parametrize("tag", BAD_TAGS)
def test_a_bad_tag_is_said(store: Store, unique: str, tag: str) -> None:
    with pytest.raises(UsageError, match=r"no reference|by its digest"):
        load(words(store, unique), tag, store=store)


def test_no_engine_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(MachineError, match="no Docker Engine answers") as caught:
        connect()
    assert "DOCKER_HOST" in caught.value.remedy
    monkeypatch.setenv("DOCKER_HOST", "tcp://user:word@127.0.0.1:9")
    with pytest.raises(MachineError) as caught:
        connect()
    assert "word" not in str(caught.value)


def test_the_engine_that_docker_host_names_is_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    assert connect().info()["DockerRootDir"].startswith(str(engine.folder))
