"""Images from Python: built on a base, loaded into an engine, pushed; named by what they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.engine import Engine
from support.images import small_base
from support.registries import Registry, registry

from hermetic import CondaDependencies, Environment
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
