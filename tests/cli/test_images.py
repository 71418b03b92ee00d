"""Images as a user makes them: built, explained, pushed, loaded, run, proved, compared; and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sdk_samples import needed_glibc
from support.engine import Engine
from support.images import small_base
from support.registries import Registry, registry
from support.wheels import make_wheel

from hermetic.config import Config
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.image import build_image
from hermetic.outputs.oci.push import push
from hermetic.store import Store

Hermetic = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Registry]:
    """A registry with a small base in it."""
    with registry(tmp_path) as found:
        store = Store.open(tmp_path / "elsewhere")
        base = build_image(PlatformLock("linux-64", ()), (), small_base(store), store=store, config=Config())
        push([base], f"{found.host}/base:1", store=store, config=Config())
        yield found


@pytest.fixture
def hermetic(tmp_path: Path) -> Hermetic:
    (tmp_path / "project").mkdir()

    def call(*arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-m", "hermetic", *arguments],
            cwd=tmp_path / "project",
            env={**os.environ, "HERMETIC_STORE": str(tmp_path / "store"), "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status, f"{arguments} gave {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result

    return call


@pytest.fixture
def declared(hermetic: Hermetic, tmp_path: Path, tiny_channel: Path, hub: Registry) -> Hermetic:
    """A project of small packages without Python, on the small base."""
    declare(tmp_path, tiny_channel, hub, '"app <2"')
    return hermetic


def declare(tmp_path: Path, channel: Path, hub: Registry, dependencies: str, more: str = "") -> None:
    (tmp_path / "project" / "hermetic.toml").write_text(
        f'[channels]\nlocal = "{channel}"\n\n[environments.default]\nchannels = ["local"]\n'
        f'dependencies = [{dependencies}]\nplatforms = ["linux-64"]\nbase = "{hub.host}/base:1"\n{more}'
    )


def test_an_image_of_a_real_environment_runs_and_is_proved(
    hermetic: Hermetic, tmp_path: Path, channel: Path, hub: Registry, engine: Engine
) -> None:
    wheel = make_wheel(tmp_path / "project", "my-tool", scripts={"my-tool": "my_tool:main"})
    more = f'wheels = ["{wheel.name}"]\nvariables = {{ GREETING = "hello" }}\n'
    more += f'system = {{ glibc = "{needed_glibc(channel)}" }}\n'
    declare(tmp_path, channel, hub, '"python=3.11", "numpy"', more)
    name = f"cli-{tmp_path.name}:1".lower()
    built = json.loads(hermetic("build", "--image", name, "--json", **engine.environment).stdout)
    assert (built["reference"], built["changed"]) == (name, True)
    code = "import numpy, my_tool, os; print(numpy.zeros(3).sum(), os.environ['GREETING'])"
    assert engine.docker("run", "--rm", "--network=none", name, "python", "-c", code) == "0.0 hello\n"
    ran = hermetic("run", "--image", "--network", "none", "--", "python", "-c", code, **engine.environment)
    assert ran.stdout == "0.0 hello\n"
    failed = hermetic("run", "--image", "--network=none", "--", "sh", "-c", "exit 7", status=7, **engine.environment)
    assert not failed.stdout
    assert "nothing to do" in hermetic("build", "--image", name, **engine.environment).stdout
    assert "file by file" in hermetic("verify", name, **engine.environment).stdout
    # the name is gone, the image is not
    engine.client.images.get(name).tag(f"{name}x")
    engine.client.images.remove(name)
    assert json.loads(hermetic("build", "--image", name, "--json", **engine.environment).stdout)["loaded"]
    assert engine.client.images.get(name).id == built["loaded"]


def test_a_push_asks_first_and_sends_only_what_changed(declared: Hermetic, tmp_path: Path, hub: Registry) -> None:
    name = f"{hub.host}/team/app:1"
    first = json.loads(declared("build", "--image", name, "--push", "--json").stdout)
    assert hub.inspect("team/app:1")["Digest"] == first["digest"]
    assert "the registry has it all" in declared("build", "--image", name, "--push").stdout
    again = json.loads(declared("build", "--image", name, "--push", "--json", "--force").stdout)
    assert (again["sent"], again["changed"], again["digest"]) == (0, False, first["digest"])
    manifest = tmp_path / "project" / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace("app <2", "app >=2"))
    assert "app" in declared("build", "--image", name, "--explain", "--locked", status=1).stderr
    explained = json.loads(declared("build", "--image", name, "--explain", "--json").stdout)
    assert [layer["name"] for layer in explained["layers"] if layer["push"]] == ["small/1", "metadata"]
    assert {layer["name"]: layer["state"] for layer in explained["layers"]}["metadata"] == "to make"
    bumped = json.loads(declared("build", "--image", name, "--push", "--json").stdout)
    assert bumped["digest"] != first["digest"]
    old = {layer["digest"] for layer in first["platforms"]["linux-64"]["layers"]}
    new = [layer for layer in bumped["platforms"]["linux-64"]["layers"] if layer["digest"] not in old]
    assert 0 < sum(layer["size"] for layer in new) < bumped["sent"] < sum(layer["size"] for layer in new) + 20_000
    found = declared("diff", name, f"{hub.host}/team/app@{first['digest']}", status=1)
    assert "app" in found.stdout


def test_an_image_without_a_name_is_named_by_what_it_is(declared: Hermetic, tmp_path: Path, hub: Registry) -> None:
    built = json.loads(declared("build", "--image", f"{hub.host}/", "--push", "--json").stdout)
    assert built["reference"].startswith(f"{hub.host}/hermetic/env_")
    by_variable = declared("build", "--image", "--push", "--json", HERMETIC_REGISTRY=hub.host)
    assert json.loads(by_variable.stdout)["reference"] == built["reference"]
    short = declared("build", "--image", "team/app:1", "--push", "--json", HERMETIC_REGISTRY=hub.host)
    assert json.loads(short.stdout)["reference"] == f"{hub.host}/team/app:1"
    # somebody else's build finds it there, and makes nothing
    other = json.loads(
        declared("build", "--image", f"{hub.host}/", "--push", "--json", HERMETIC_STORE=str(tmp_path / "empty")).stdout
    )
    assert (other["digest"], other["changed"], other["platforms"]) == (built["digest"], False, {})
    labelled = declared("build", "--image", f"{hub.host}/", "--push", "--json", "--label", "team=a").stdout
    assert json.loads(labelled)["reference"] != built["reference"]
    assert "no registry to push to" in declared("build", "--image", "--push", status=2).stderr


def test_an_image_of_ours_is_no_base(declared: Hermetic, tmp_path: Path, tiny_channel: Path, hub: Registry) -> None:
    declared("build", "--image", f"{hub.host}/base:1", "--push")
    (tmp_path / "project" / "lockfiles" / "default.lock.json").unlink()
    said = declared("build", "--oci-layout", "out", status=2).stderr
    assert "would show through" in said


def test_a_name_without_a_registry_goes_to_the_machines_own_and_moves_with_the_image(
    declared: Hermetic, tmp_path: Path, hub: Registry
) -> None:
    def pushed() -> str:
        said = declared("build", "--image", "team/app:1", "--push", "--json", HERMETIC_REGISTRY=hub.host).stdout
        assert json.loads(said)["reference"] == f"{hub.host}/team/app:1"
        digest: str = json.loads(said)["digest"]
        assert hub.inspect("team/app:1")["Digest"] == digest
        return digest

    first = pushed()
    manifest = tmp_path / "project" / "hermetic.toml"
    manifest.write_text(manifest.read_text().replace("app <2", "app >=2"))
    assert pushed() != first
    said = declared("build", "--image", "team/app:1", "--push", "--explain", HERMETIC_REGISTRY=hub.host).stdout
    assert "to push: 0 layers" in said


def test_a_layout_is_proved_and_damage_is_named(declared: Hermetic, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    built = json.loads(declared("build", "--oci-layout", str(folder), "--user", "1000:1000", "--json").stdout)
    digest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    assert digest == built["digest"]
    assert "nothing to do" in declared("build", "--oci-layout", str(folder), "--user", "1000:1000").stdout
    assert "file by file" in declared("verify", str(folder), "--user", "1000:1000").stdout
    assert "--user" in declared("verify", str(folder), status=1).stdout
    layer = built["platforms"]["linux-64"]["layers"][-1]["digest"].replace(":", "/")
    blob = folder / "blobs" / layer
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    assert "damaged" in declared("verify", str(folder), "--user", "1000:1000", status=1).stdout


def test_a_declared_base_is_pinned_when_it_is_locked(declared: Hermetic, tmp_path: Path, hub: Registry) -> None:
    declared("lock")
    declared("lock", "--check")
    declared("build", "--oci-layout", "out", "--locked")
    (tmp_path / "project" / "lockfiles" / "default.lock.json").unlink()
    hub.stop()
    said = declared("lock", HERMETIC_HTTP_RETRIES="0").stderr
    assert "its base is not pinned yet" in said
    assert "base" in declared("lock", "--check", status=1).stdout


def test_source_date_epoch_is_the_time_of_all_files(declared: Hermetic, tmp_path: Path) -> None:
    plain = json.loads(declared("build", "--oci-layout", "out", "--json", SOURCE_DATE_EPOCH="").stdout)
    dated = json.loads(declared("build", "--oci-layout", "out", "--json", SOURCE_DATE_EPOCH="1700000000").stdout)
    assert plain["digest"] != dated["digest"]
    again = json.loads(declared("build", "--oci-layout", "two", "--json", SOURCE_DATE_EPOCH="1700000000").stdout)
    assert again["digest"] == dated["digest"]
    assert "file by file" in declared("verify", "out", SOURCE_DATE_EPOCH="1700000000").stdout
    config = next((tmp_path / "project" / "out" / "blobs").rglob(dated["platforms"]["linux-64"]["image_id"][7:]))
    assert json.loads(config.read_text())["created"] == "2023-11-14T22:13:20Z"
    assert "SOURCE_DATE_EPOCH" in declared("build", "--oci-layout", "out", status=2, SOURCE_DATE_EPOCH="now").stderr


def test_a_base_that_is_not_pinned_is_an_error_where_the_lock_may_not_change(declared: Hermetic) -> None:
    declared("build")  # on disk, which needs no base
    said = declared("build", "--image", "x", "--locked", status=1).stderr
    assert "does not pin" in said
    assert "hermetic base pin" in said
    assert json.loads(declared("base", "pin", "--json").stdout)
    declared("build", "--oci-layout", "out", "--locked")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["build", "--push"], 2, "--push is for images"),
        (["build", "--image", "x", "--prefix", "y"], 2, "exclude each other"),
        (["build", "--image", "X Y", "--load"], 2, "X Y"),
        (["build", "--image", "x", "--label", "team"], 2, "is no label"),
        (["build", "--image", ""], 2, "name is empty"),
        (["build", "--image", "x", "--user", "a b"], 2, "is no user"),
        (["build", "--oci-layout", "out", "--platform", "win-64"], 2, "no images for win-64"),
        (["build", "--oci-layout", "out", "--platform", "linux-aarch64"], 2, "not for linux-aarch64"),
        (["build", "--oci-layout", "lockfiles"], 2, "lockfiles"),
        (["build", "--image", "127.0.0.1:9/x:1", "--push", "--offline"], 4, "offline"),
        (["build", "--oci-layout", "out", "--base", "127.0.0.1:9/none:1"], 2, "declares"),
        (["verify", "127.0.0.1:9/none:1"], 4, "Docker Engine here has no 127.0.0.1:9/none:1"),
        (["run", "--user", "1", "--", "true"], 2, "--user is for images"),
    ],
)
def test_bad_input_says_what_and_what_to_do(
    declared: Hermetic, arguments: list[str], status: int, says: str, tmp_path: Path
) -> None:
    declared("lock")
    result = declared(*arguments, status=status, DOCKER_HOST="unix:///nowhere")
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) > 1
    assert not (tmp_path / "project" / "out").exists()


def test_without_an_engine_the_way_out_is_named(declared: Hermetic) -> None:
    said = declared("build", "--image", "x:1", status=6, DOCKER_HOST="unix:///nowhere").stderr
    assert "Docker Engine" in said
    assert "\n  " in said
