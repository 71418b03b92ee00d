"""Loading images into a real Docker Engine."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import pytest
from support.engine import Engine
from support.engine_keeper import start, stop
from support.needs import suits
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
    said = engine.run(f"test/{unique}:1", "sh", "-c", "echo $MARK; cat /words/mark")
    assert said == f"{unique}\n{unique}"


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
    said = engine.run(f"test/{unique}", "cat", "/words/1")
    assert said == "c"


def test_a_layer_above_one_that_changed_is_sent(engine: Engine, store: Store, unique: str) -> None:
    before, after = words(store, unique, "a", "b"), words(store, unique, "x", "b")
    load(before, f"test/{unique}", store=store, client=engine.client)
    assert load(after, f"test/{unique}", store=store, client=engine.client).present == 2
    said = engine.run(f"test/{unique}", "cat", "/words/0")
    assert said == "x"


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
    said = engine.run(f"test/{unique}", "/bin/cat", "/mark")
    assert said == unique * 90


def test_a_damaged_layer_is_refused(engine: Engine, store: Store, unique: str) -> None:
    made = words(store, unique, "a")
    part = store.blob_path(made.layers[2].blob.parts[1])
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o644)
    part.write_bytes(data)
    with pytest.raises(MachineError, match="Docker Engine refused"):
        load(made, f"test/{unique}", store=store, client=engine.client)
    assert not [tag for one in engine.client.images.list() for tag in one.tags if unique in tag]


@contextmanager
def breaking(engine: Engine, folder: Path, after: int) -> Iterator[str]:
    """An engine whose connections break once a client has sent ``after`` bytes; gives its address."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "s"))
    server.listen()

    def serve(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as inner:
            inner.connect(engine.host.removeprefix("unix://"))
            back = threading.Thread(target=copy, args=(inner, client, 1 << 40), daemon=True)
            back.start()
            copy(client, inner, after)

    def copy(one: socket.socket, other: socket.socket, most: int) -> None:
        with suppress(OSError):
            while most > 0 and (data := one.recv(1 << 16)):
                other.sendall(data)
                most -= len(data)
            for end in (one, other):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"unix://{folder / 's'}"
    finally:
        server.close()


def test_an_engine_that_hangs_up_is_said_and_a_second_try_ends_well(engine: Engine, store: Store, unique: str) -> None:
    made = image([layer(store, [file("noise", os.urandom(4 << 20))])], Cmd=["x"])
    with (
        tempfile.TemporaryDirectory() as short,
        breaking(engine, Path(short), 1 << 20) as host,
        pytest.raises(MachineError, match=r"broke off"),
    ):
        load(made, f"test/{unique}", store=store, client=docker.DockerClient(base_url=host, timeout=30))
    assert load(made, f"test/{unique}", store=store, client=engine.client).id == made.config.digest


def test_a_killed_load_is_no_hindrance(engine: Engine, store: Store, unique: str) -> None:
    made = image([layer(store, [file("noise", os.urandom(24 << 20))])], Cmd=["x"])
    code = (
        "import sys, os, signal, pickle; from pathlib import Path; from hermetic.store import Store;"
        "from hermetic.events import Silent; from hermetic.outputs.oci.engine import load\n"
        "class Killing(Silent):\n"
        "    def advance(self, task, amount=1):\n"
        "        if amount > 1 << 19: os.kill(os.getpid(), signal.SIGKILL)\n"
        "load(pickle.load(sys.stdin.buffer), sys.argv[1], store=Store.open(Path(sys.argv[2])), reporter=Killing())"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, f"test/{unique}", str(store.root)],
        input=pickle.dumps(made),
        env={**os.environ, **engine.environment},
        check=False,
    )
    assert killed.returncode == -9
    assert not [tag for one in engine.client.images.list() for tag in one.tags if unique in tag]
    assert load(made, f"test/{unique}", store=store, client=engine.client).id == made.config.digest


def test_a_full_disk_of_the_engine_is_said(engine: Engine, store: Store, unique: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="hermetic-engine-", dir="/tmp"))
    (folder / "data").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder / "data"], check=False)
    try:
        suits(mounted.returncode == 0, "no file system can be mounted here")
        daemon = start(folder)
        try:
            client = docker.DockerClient(base_url=f"unix://{folder / 'socket'}", timeout=60)
            made = image([layer(store, [file("noise", os.urandom(30 << 20))])], Cmd=["x"])
            with pytest.raises(MachineError, match="no space left") as caught:
                load(made, f"test/{unique}", store=store, client=client)
            assert "prune" in caught.value.remedy
            little = image([layer(store, [file("noise", unique)])], Cmd=["x"])
            assert load(little, f"test/{unique}", store=store, client=client).id == little.config.digest
        finally:
            stop(daemon, folder)
    finally:
        subprocess.run(["umount", "--lazy", folder / "data"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


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
    with pytest.raises(UsageError, match="no engine's address") as caught:
        connect()
    assert "word" not in str(caught.value)


def test_the_engine_that_docker_host_names_is_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    assert connect().info()["DockerRootDir"].startswith(str(engine.folder))
