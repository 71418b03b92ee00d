"""Configurations: what a base says and what an environment adds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hermetic.errors import UsageError
from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.outputs.oci.config import as_oci, check_base, environment, make_config, make_manifest
from hermetic.outputs.oci.model import LAYER_GZIP, LAYER_TAR, BaseImage, Descriptor, Layer
from hermetic.outputs.oci.options import ImageOptions

PACKAGE = CondaPackage("one", "1.0", "0", 0, "demo", "noarch", "one-1.0-0.conda", 1, "0" * 64)
LOCK = PlatformLock("linux-64", (), (PACKAGE,))
LAYER = Layer(Descriptor(LAYER_GZIP, "sha256:" + "1" * 64, 5), "sha256:" + "2" * 64)
OURS = Layer(Descriptor(LAYER_GZIP, "sha256:" + "3" * 64, 6), "sha256:" + "4" * 64)


def base(settings: dict[str, Any] | None = None, **document: Any) -> BaseImage:
    return BaseImage("debian:12", "sha256:" + "b" * 64, {"config": settings or {}, **document}, (LAYER,))


def made(of: BaseImage, lock: PlatformLock = LOCK, activate: str = "", **options: Any) -> dict[str, Any]:
    blob = make_config(
        lock, of, [(OURS, "one 1.0")], ImageOptions(**options), variables=dict(lock.variables), activate=activate
    )
    assert blob.size == len(blob.data)
    value: dict[str, Any] = json.loads(blob.data)
    return value


def test_what_a_base_says_is_kept() -> None:
    settings = {
        "User": "app", "WorkingDir": "/srv", "Cmd": ["sh"], "Entrypoint": ["/init"], "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}}, "Labels": {"a": "1", "org.opencontainers.image.base.name": "older"},
        "StopSignal": "SIGTERM", "Healthcheck": {"Test": ["NONE"]}, "OnBuild": ["RUN x"], "Shell": None,
    }  # fmt: skip
    document = made(base(settings, variant="v1", container="x", docker_version="20"))
    config = document["config"]
    for name in ("User", "WorkingDir", "Cmd", "Entrypoint", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck"):
        assert config[name] == settings[name]
    assert config["Labels"] == {
        "a": "1",
        "org.opencontainers.image.base.name": "debian:12",
        "org.opencontainers.image.base.digest": "sha256:" + "b" * 64,
    }
    assert set(document) == {"architecture", "config", "created", "history", "os", "rootfs", "variant"}
    assert {"OnBuild", "Shell"} & set(config) == set()


def test_options_take_the_place_of_what_a_base_says() -> None:
    settings = {"User": "app", "Cmd": ["sh"], "Entrypoint": ["/init"], "Labels": {"a": "1"}}
    config = made(base(settings), user="1000:1000", command=("python",), labels={"a": "2", "b": "3"})["config"]
    assert (config["User"], config["Cmd"], config["Entrypoint"]) == ("1000:1000", ["python"], ["/init"])
    assert (config["Labels"]["a"], config["Labels"]["b"]) == ("2", "3")
    config = made(base(settings), entrypoint=("/mine",))["config"]
    assert config["Entrypoint"] == ["/mine"]
    assert "Cmd" not in config, "it was an argument of another program"
    assert "Entrypoint" not in made(base(settings), entrypoint=())["config"]


def test_an_activating_program_runs_what_would_run() -> None:
    assert made(base({"Entrypoint": ["/init", "x"]}), activate="/a")["config"]["Entrypoint"] == ["/a", "/init", "x"]
    assert made(base(), activate="/a")["config"]["Entrypoint"] == ["/a"]


def test_variables_are_those_of_the_base_changed_by_activation() -> None:
    of = ["PATH=/usr/bin", "PYTHONPATH=/x", "PYTHONHOME=/y", "LANG=C", "EMPTY=", "odd", "A=base"]
    assert environment(of, {"A": "1", "LANG": "***unset***", "E": "x=y"}, installed=True) == [
        "PATH=/opt/hermetic/env/bin:/usr/bin", "EMPTY=", "CONDA_PREFIX=/opt/hermetic/env", "CONDA_DEFAULT_ENV=env",
        "CONDA_SHLVL=1", "A=1", "E=x=y",
    ]  # fmt: skip
    assert environment(["PATH=/usr/bin", "PYTHONPATH=/x"], {"B": "1"}, installed=False) == [
        "PATH=/usr/bin", "PYTHONPATH=/x", "B=1",
    ]  # fmt: skip


@pytest.mark.parametrize("history", [None, [], [{"created_by": "a"}, {"created_by": "b"}]])
def test_a_history_that_does_not_fit_its_layers_is_not_believed(history: list[dict[str, str]] | None) -> None:
    entries = made(base(history=history))["history"]
    assert [entry["created_by"] for entry in entries] == ["layer of debian:12", "one 1.0"]


def test_a_history_with_empty_layers_is_kept() -> None:
    told = [{"created_by": "a"}, {"created_by": "ENV", "empty_layer": True}]
    assert made(base(history=told))["history"][:2] == told


@pytest.mark.parametrize(
    ("docker", "oci"),
    [
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_GZIP),
        ("application/vnd.docker.image.rootfs.diff.tar", LAYER_TAR),
        (LAYER_GZIP, LAYER_GZIP),
        ("application/vnd.example.org.unknown", "application/vnd.example.org.unknown"),
    ],
)
def test_layers_of_docker_are_named_as_oci_does(docker: str, oci: str) -> None:
    layer = as_oci(Layer(Descriptor(docker, "sha256:" + "1" * 64, 5), "sha256:" + "2" * 64))
    assert layer.descriptor == Descriptor(oci, "sha256:" + "1" * 64, 5)


def test_scratch_leaves_no_label() -> None:
    config = make_config(LOCK, BaseImage(), [(OURS, "one")], ImageOptions(), variables={})
    assert "Labels" not in json.loads(config.data)["config"]
    assert "annotations" not in json.loads(make_manifest(config, [OURS], BaseImage()).data)


def test_a_base_of_another_system_is_refused() -> None:
    with pytest.raises(UsageError, match="is for windows"):
        check_base(base(os="windows", architecture="amd64"), "linux-64")
    with pytest.raises(UsageError, match="is for arm64, and linux-64 needs amd64"):
        check_base(base(os="linux", architecture="arm64"), "linux-64")
    check_base(BaseImage(), "linux-64")


def test_an_environment_for_cuda_asks_for_the_gpus() -> None:
    asked = environment(["NVIDIA_VISIBLE_DEVICES=0"], {}, installed=True, cuda=True)
    assert {"NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= set(asked)
    assert not any(text.startswith("NVIDIA") for text in environment([], {}, installed=True))
