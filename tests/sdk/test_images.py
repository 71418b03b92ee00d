"""Images from Python: built on a base, loaded into an engine, pushed; named by what they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import channel as hand
from support.engine import Engine
from support.images import small_base
from support.registries import Registry, registry

from hermetic import CondaDependencies, Environment, Workspace
from hermetic.config import Config
from hermetic.errors import MachineError
from hermetic.lock.file import read_lock
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.push import push
from hermetic.store import Store


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Registry]:
    """A registry with a small base in it, and a password before it."""
    with registry(tmp_path, user="me", password="open sesame") as found:
        store = Store.open(tmp_path / "elsewhere")
        base = build_image(PlatformLock("linux-64", ()), (), small_base(store), store=store, config=Config())
        config = Config(registries={found.host: f"http://me:open%20sesame@{found.host}"})
        push([base], f"{found.host}/team/base:1", store=store, config=config)
        yield found


@pytest.fixture
def work(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an empty store and the tiny channel."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    return folder


def environment(hub: Registry) -> Environment:
    """Declare a small environment on the base of a registry that wants a password."""
    dependencies = CondaDependencies()
    dependencies.remove_conda_package("python")
    dependencies.add_conda_package("app")
    made = Environment("example")
    made.python.conda_dependencies = dependencies
    made.environment_variables = {"GREETING": "hello"}
    made.docker.base_image = "team/base:1"
    made.docker.base_image_registry.address = hub.host
    made.docker.base_image_registry.username = "me"
    made.docker.base_image_registry.password = "open sesame"
    return made


def test_an_image_is_loaded_and_pushed(
    work: Path, hub: Registry, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HERMETIC_REGISTRIES", f"{hub.host}=http://me:open%20sesame@{hub.host}")
    built = environment(hub).build_local(useDocker=True)
    assert built.reference.startswith("hermetic/env_")
    assert built.changed
    assert engine.client.images.get(built.reference).id == built.image_id
    assert "GREETING=hello" in engine.client.images.get(built.reference).attrs["Config"]["Env"]
    assert not environment(hub).build_local().changed
    pushed = environment(hub).build_local(pushImageToWorkspaceAcr=True, registry=hub.host)
    assert pushed.reference == f"{hub.host}/{built.reference}"
    assert hub.inspect(pushed.reference.removeprefix(f"{hub.host}/"))["Digest"] == pushed.digest == built.digest
    assert read_lock(built.lock_path) == built.lock
    texts = [path.read_bytes() for path in work.rglob("*") if path.is_file()]
    assert texts
    assert not any(b"sesame" in text for text in texts)


def test_without_an_engine_the_way_out_is_named(work: Path, hub: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    with pytest.raises(MachineError, match="Docker Engine") as caught:
        environment(hub).build_local(useDocker=True)
    assert caught.value.remedy
    assert "sesame" not in str(caught.value)


def test_a_version_gives_the_same_image_whatever_has_moved(
    work: Path, hub: Registry, engine: Engine, monkeypatch: pytest.MonkeyPatch, tiny_channel: Path
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONTAINER_PASSWORD", "open sesame")
    monkeypatch.setenv("HERMETIC_REGISTRIES", f"{hub.host}=http://me:open%20sesame@{hub.host}")
    workspace = Workspace.create("team", registry=f"{hub.host}/team")
    first = environment(hub).build_local(workspace)
    assert first.changed
    assert first.lock_path is None
    hand.write_package(tiny_channel, "app", "9.0", files={"bin/app": "#!/bin/sh\n"})
    hand.index(tiny_channel)
    _move_base(hub, work / "other")
    again = Environment.get(workspace, "example").build_local(pushImageToWorkspaceAcr=True)
    assert again.digest == first.digest
    assert again.reference == f"{hub.host}/team/{first.reference}"
    loose = environment(hub).build_local(lock="loose.lock.json")
    assert loose.digest != first.digest
    details = environment(hub).get_image_details(workspace)
    assert details["imageExistsInRegistry"]
    assert details["digest"] == first.digest
    assert details["dockerImage"]["registry"] == {"address": hub.host}
    texts = [path.read_bytes() for path in work.rglob("*") if path.is_file()]
    assert not any(b"sesame" in text for text in texts)


def _move_base(hub: Registry, place: Path) -> None:
    """Put another image under the base's tag."""
    store = Store.open(place)
    lock = PlatformLock("linux-64", (), variables=(("MOVED", "1"),))
    base = build_image(lock, (), small_base(store), store=store, config=Config())
    config = Config(registries={hub.host: f"http://me:open%20sesame@{hub.host}"})
    push([base], f"{hub.host}/team/base:1", store=store, config=config)
