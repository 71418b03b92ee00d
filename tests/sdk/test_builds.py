"""Builds from Python: registered, started, waited for with the log, kept; into an engine, a registry, or a folder."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.engine import Engine
from support.images import small_base
from support.registries import Registry, registry
from support.wheels import make_wheel
from support.yard import Yard, builders, until

from hermetic import CondaDependencies, Environment, EnvironmentBuild, Workspace
from hermetic.config import Config
from hermetic.digest import sha256_file
from hermetic.errors import CredentialsError, HermeticError, UnsatisfiableError, UsageError
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.push import push
from hermetic.sdk.errors import ArgumentError
from hermetic.store import Store

PASSWORD = "open sesame"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Registry]:
    """A registry with a small base in it, and a password before it."""
    with registry(tmp_path, user="me", password=PASSWORD) as found:
        store = Store.open(tmp_path / "elsewhere")
        base = build_image(PlatformLock("linux-64", ()), (), small_base(store), store=store, config=Config())
        config = Config(registries={found.host: f"http://me:open%20sesame@{found.host}"})
        push([base], f"{found.host}/team/base:1", store=store, config=config)
        yield found


@pytest.fixture
def yard(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A folder to work in, with an empty store and the tiny channel."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in [name for name in os.environ if name.startswith("HERMETIC_") and name != "HERMETIC_REQUIRE_ALL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    yield Yard(tmp_path, monkeypatch)
    until(lambda: not builders(tmp_path))


def environment(package: str = "app", base: str = "scratch") -> Environment:
    dependencies = CondaDependencies()
    dependencies.remove_conda_package("python")
    dependencies.add_conda_package(package)
    made = Environment("train")
    made.python.conda_dependencies = dependencies
    made.docker.base_image = base
    return made


def test_a_build_is_waited_for_with_its_log(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.create("team")
    build = environment().build(workspace)
    assert (build.name, build.version) == ("train", "1")
    assert build.wait_for_completion(show_output=True) is build
    shown = capsys.readouterr().out
    assert "locking train:1" in shown
    assert shown == build.get_log()
    assert build.status == "succeeded"
    assert build.error is None
    assert build.duration > timedelta(0)
    details = environment().get_image_details(workspace)
    assert details["digest"] == build.digest
    assert build.image
    assert build.image in details["dockerImage"]["name"]
    assert repr(build) == "EnvironmentBuild(id=1, environment='train:1', status='succeeded')"


def test_a_build_that_fails_raises_what_it_failed_of(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.create("team")
    build = environment("app >=9").build(workspace)
    with pytest.raises(UnsatisfiableError, match="app") as caught:
        build.wait_for_completion(show_output=True)
    assert caught.value.message.splitlines()[0] in capsys.readouterr().out
    assert build.wait_for_completion(raise_on_error=False).status == "failed"
    assert isinstance(build.error, UnsatisfiableError)
    assert (build.image, build.digest) == (None, None)
    again = EnvironmentBuild.get(workspace, build.id)
    assert again == build
    assert str(again.error) == str(caught.value)
    assert again.to_dict()["error"]["code"] == "unsatisfiable"


def test_builds_are_listed(yard: Yard) -> None:
    workspace = Workspace.create("team")
    environment().build(workspace).wait_for_completion()
    environment("base").build(workspace).wait_for_completion()
    other = environment()
    other.name = "serve"
    other.build(workspace).wait_for_completion()
    assert [(build.id, build.name, build.version) for build in workspace.builds] == [
        (3, "serve", "1"),
        (2, "train", "2"),
        (1, "train", "1"),
    ]
    assert [build.id for build in EnvironmentBuild.list(workspace, "train")] == [2, 1]
    assert [build.id for build in EnvironmentBuild.list(workspace, "train", version="1")] == [1]
    assert [build.id for build in EnvironmentBuild.list(workspace, limit=1)] == [3]


def test_an_older_version_is_built_as_it_is_and_stays_the_older_one(yard: Yard) -> None:
    workspace = Workspace.create("team")
    environment().register(workspace)
    environment("base").register(workspace)
    build = Environment.get(workspace, "train", version=1).build(workspace)
    build.wait_for_completion()
    assert build.version == "1"
    assert Environment.get(workspace, "train").version == "2"
    changed = Environment.get(workspace, "train", version=1)
    changed.environment_variables = {"GREETING": "hello"}
    assert changed.build(workspace).wait_for_completion().version == "3"


def test_what_cannot_be_registered_is_not_built(yard: Yard) -> None:
    workspace = Workspace.create("team")
    with pytest.raises(UsageError, match="no name"):
        Environment(None).build(workspace)
    with pytest.raises(ArgumentError, match="workspace is a Workspace"):
        environment().build("team")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there are no images for osx-arm64"):
        environment().build(workspace, platforms=["osx-arm64"])
    assert list(workspace.builds) == []
    with pytest.raises(UsageError, match="there is no build 1"):
        EnvironmentBuild(workspace, 1)
    with pytest.raises(AttributeError, match="get_log"):
        environment().build(workspace).wait_for_completion().log_url  # noqa: B018


def test_a_build_goes_into_the_engine_where_there_is_one(yard: Yard, engine: Engine) -> None:
    for name, value in engine.environment.items():
        yard.patch.setenv(name, value)
    workspace = Workspace.create("team")
    made = environment()
    made.environment_variables = {"GREETING": "hello from the engine"}
    build = made.build(workspace).wait_for_completion()
    assert build.image
    image = engine.client.images.get(build.image)
    assert "GREETING=hello from the engine" in image.attrs["Config"]["Env"]
    assert build.to_dict()["result"]["loaded"] == image.id
    again = made.build(workspace).wait_for_completion()
    assert again.id != build.id
    assert not again.to_dict()["result"]["changed"]


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_build_is_pushed_where_the_workspace_has_a_registry(yard: Yard, hub: Registry) -> None:
    yard.patch.setenv("HERMETIC_REGISTRIES", f"{hub.host}=http://me:${{HUB_PASSWORD}}@{hub.host}")
    yard.patch.setenv("HUB_PASSWORD", PASSWORD.replace(" ", "%20"))
    workspace = Workspace.create("team", registry=f"{hub.host}/ours")
    made = environment(base=f"{hub.host}/team/base:1")
    build = made.build(workspace).wait_for_completion()
    assert build.image
    assert build.image.startswith(f"{hub.host}/ours/hermetic/env_")
    assert hub.inspect(build.image.removeprefix(f"{hub.host}/"))["Digest"] == build.digest
    assert made.get_image_details(workspace)["imageExistsInRegistry"] is True
    again = made.build(workspace).wait_for_completion()
    assert again.digest == build.digest
    assert not again.to_dict()["result"]["changed"]
    assert b"sesame" not in everything_in(workspace.path)


def test_a_registry_that_refuses_is_told_without_the_password(yard: Yard, hub: Registry) -> None:
    yard.patch.setenv("HERMETIC_REGISTRIES", f"{hub.host}=http://me:wrong%20sesame@{hub.host}")
    workspace = Workspace.create("team", registry=f"{hub.host}/ours")
    build = environment().build(workspace).wait_for_completion(raise_on_error=False)
    assert isinstance(build.error, CredentialsError)
    assert isinstance(build.error, HermeticError)
    assert build.error.remedy
    assert b"sesame" not in everything_in(workspace.path)


def test_a_wheel_of_the_workspace_is_in_the_image(yard: Yard) -> None:
    workspace = Workspace.create("team")
    wheel = make_wheel(yard.root / "wheels", "mine", "1.0")
    made = environment()
    made.python.conda_dependencies.add_conda_package("python=3.11")
    made.python.conda_dependencies.add_pip_package(Environment.add_private_pip_wheel(workspace, wheel))
    build = made.build(workspace).wait_for_completion()
    lock = made.register(workspace).lock()
    (found,) = lock.platforms["linux-64"].wheels
    assert (found.name, found.sha256) == ("mine", sha256_file(wheel))
    layout = Path(build.to_dict()["result"]["layout"])
    assert "site-packages/mine" in "\n".join(names_in(layout))


def names_in(layout: Path) -> list[str]:
    """Give the paths of all files of an image, whose layers are gzip."""
    names = []
    for blob in (layout / "blobs" / "sha256").iterdir():
        if tarfile.is_tarfile(blob):
            with tarfile.open(blob) as layer:
                names += layer.getnames()
    return names


def test_a_secret_of_the_key_vault_opens_the_base(yard: Yard, hub: Registry) -> None:
    yard.patch.setenv("HERMETIC_REGISTRIES", f"{hub.host}=http://{hub.host}")
    workspace = Workspace.create("team", keyvault="file")
    vault = workspace.get_default_keyvault()
    vault.set_secret("hub", PASSWORD)
    made = environment(base="team/base:1")
    made.docker.base_image_registry.address = hub.host
    made.docker.base_image_registry.username = "me"
    made.docker.base_image_registry.password = vault.get_secret("hub")
    vault.set_secret("key", "no business of an image's: sesame")
    made.environment_variables = {"API_KEY": vault.get_secret("key"), "GREETING": "hello"}
    build = made.build(workspace).wait_for_completion()
    assert build.status == "succeeded"
    assert b"sesame" not in everything_in(workspace.path)
    layout = Path(build.to_dict()["result"]["layout"])
    assert any(b"GREETING=hello" in path.read_bytes() for path in (layout / "blobs").rglob("*") if path.is_file())
    vault.set_secret("hub", "wrong")
    made.environment_variables = {"ANOTHER": "definition"}
    failed = made.build(workspace).wait_for_completion(raise_on_error=False)
    assert isinstance(failed.error, CredentialsError)
