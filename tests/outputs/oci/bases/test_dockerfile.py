"""Bases that a Dockerfile makes, by a real engine: built once, kept in the store, compared when built again."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import uuid
from pathlib import Path

import pytest
from support.engine import Engine

from hermetic.errors import BuildError, IntegrityError, MachineError, OfflineError, UsageError
from hermetic.events import Silent
from hermetic.outputs.oci.bases.context import Dockerfile
from hermetic.outputs.oci.bases.dockerfile import open_dockerfile, pin_dockerfile
from hermetic.outputs.oci.blobs import chunks
from hermetic.outputs.oci.model import BaseImage
from hermetic.store import Store

LINUX = "linux-64"


class Said(Silent):
    """A reporter that remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def docker(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    return engine


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder to copy from, with content that no other test has."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "note.txt").write_text(uuid.uuid4().hex)
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("note.txt")
    (folder / "secret").write_text("hidden")
    (folder / ".dockerignore").write_text("# not for the image\nsecret\n")
    return folder


TEXT = 'FROM scratch\nLABEL org.example.kind=base\nENV GREETING="good morning"\nCOPY . /srv/\nCOPY tool /bin/tool\n'


def files(image: BaseImage, store: Store) -> dict[str, bytes]:
    """Give the files of all layers, each layer checked as an engine checks it."""
    found = {}
    for layer in image.layers:
        assert layer.blob
        data = b"".join(chunks(store, layer.blob))
        assert layer.descriptor.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        plain = gzip.decompress(data)
        assert layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            for member in tar.getmembers():
                if member.isfile():
                    found[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return found


def test_a_dockerfile_becomes_a_pinned_base(docker: Engine, store: Store, context: Path) -> None:
    said = Said()
    dockerfile = Dockerfile(TEXT, context)
    base = pin_dockerfile(dockerfile, LINUX, store=store, reporter=said)
    assert (base.reference, base.dockerfile) == ("dockerfile", dockerfile.digest())
    assert any(line.startswith("Step 1/5") for line in said.lines)
    image = open_dockerfile(base, LINUX, dockerfile, store=store, offline=True)
    assert image.digest == base.manifest == docker.client.images.get(base.manifest).id
    assert "GREETING=good morning" in image.config["config"]["Env"]
    assert image.config["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
    found = files(image, store)
    assert found["srv/note.txt"].decode() == (context / "note.txt").read_text()
    assert "bin/tool" in found
    assert "srv/secret" not in found


def test_a_text_without_a_context_is_enough(docker: Engine, store: Store) -> None:
    mark = uuid.uuid4().hex
    dockerfile = Dockerfile(f"FROM scratch\nWORKDIR /opt/{mark}\n")
    base = pin_dockerfile(dockerfile, LINUX, store=store)
    assert base.dockerfile == hashlib.sha256(dockerfile.text.encode()).hexdigest()
    image = open_dockerfile(base, LINUX, store=store)
    assert len(image.layers) == 1
    assert image.config["config"]["WorkingDir"] == f"/opt/{mark}"


def test_the_store_is_enough_without_an_engine(
    docker: Engine, store: Store, context: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dockerfile = Dockerfile(TEXT, context)
    base = pin_dockerfile(dockerfile, LINUX, store=store)
    image = open_dockerfile(base, LINUX, dockerfile, store=store)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    assert open_dockerfile(base, LINUX, dockerfile, store=store) == image
    other = Store.open(tmp_path / "other")
    with pytest.raises(MachineError, match="no Docker Engine answers"):
        open_dockerfile(base, LINUX, dockerfile, store=other)
    with pytest.raises(OfflineError, match="not in the store"):
        open_dockerfile(base, LINUX, dockerfile, store=other, offline=True)


def test_a_store_that_lost_it_takes_it_from_the_engine(
    docker: Engine, store: Store, context: Path, tmp_path: Path
) -> None:
    dockerfile = Dockerfile(TEXT, context)
    base = pin_dockerfile(dockerfile, LINUX, store=store)
    other = Store.open(tmp_path / "other")
    shutil.rmtree(context)  # nothing could be built from it
    assert open_dockerfile(base, LINUX, store=other) == open_dockerfile(base, LINUX, store=store)


def test_what_is_built_again_is_compared_with_the_pin(
    docker: Engine, store: Store, context: Path, tmp_path: Path
) -> None:
    """An engine writes the time into an image, so a second build is another image: the pin is not silently left."""
    dockerfile = Dockerfile(TEXT, context)
    base = pin_dockerfile(dockerfile, LINUX, store=store)
    docker.client.images.remove(base.manifest, force=True)
    docker.client.api.prune_builds()
    other = Store.open(tmp_path / "other")
    with pytest.raises(UsageError, match="no Dockerfile is at hand"):
        open_dockerfile(base, LINUX, store=other)
    with pytest.raises(IntegrityError, match="builds another image now") as caught:
        open_dockerfile(base, LINUX, dockerfile, store=other)
    assert "hermetic base update" in str(caught.value.remedy)
    assert open_dockerfile(base, LINUX, dockerfile, store=store).digest == base.manifest


def test_a_changed_dockerfile_or_context_is_told(docker: Engine, store: Store, context: Path) -> None:
    base = pin_dockerfile(Dockerfile(TEXT, context), LINUX, store=store)
    with pytest.raises(UsageError, match="has changed since it was pinned"):
        open_dockerfile(base, LINUX, Dockerfile(TEXT + "USER 1000\n", context), store=store)
    (context / "note.txt").write_text("other")
    with pytest.raises(UsageError, match="has changed since it was pinned"):
        open_dockerfile(base, LINUX, Dockerfile(TEXT, context), store=store)


def test_a_build_that_fails_shows_its_end(docker: Engine, store: Store) -> None:
    for text, reason in (("FROM scratch\nCOPY nothing /\n", "nothing"), ("FORM scratch\n", "FORM")):
        with pytest.raises((BuildError, MachineError), match=reason):
            pin_dockerfile(Dockerfile(text), LINUX, store=store)
    with pytest.raises(OfflineError):
        pin_dockerfile(Dockerfile(TEXT), LINUX, store=store, offline=True)


def test_the_digest_is_of_what_is_built_and_nothing_else(context: Path, tmp_path: Path) -> None:
    digest = Dockerfile(TEXT, context).digest()
    (context / "secret").write_text("changed, and ignored")
    (context / "note.txt").touch()
    moved = tmp_path / "moved"
    shutil.copytree(context, moved, symlinks=True)
    assert Dockerfile(TEXT, moved).digest() == digest
    (moved / "tool").chmod(0o644)
    assert Dockerfile(TEXT, moved).digest() != digest
    with pytest.raises(UsageError, match="no folder"):
        Dockerfile(TEXT, tmp_path / "missing").digest()
