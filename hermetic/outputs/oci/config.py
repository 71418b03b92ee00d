"""The configuration and the manifest of an image (OCI image specification 1.1, config.md and manifest.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hermetic.digest import canonical_json, sha256_bytes
from hermetic.errors import UsageError
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.model import (
    CONFIG,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    PREFIX,
    BaseImage,
    Blob,
    Descriptor,
    Layer,
    oci_platform,
)
from hermetic.outputs.oci.options import ImageOptions

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What programs are looked for in where a base does not say."""

_UNSET = "***unset***"
"""How conda writes a variable that an environment takes away."""

_OF_OTHER_PYTHONS = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
_BASE_NAME, _BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
_SECRETS = "hermetic.secrets"
"""The label that tells which variables a container must be given, and by which secrets, as a JSON object."""
_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER = "application/vnd.docker.image.rootfs."
_OCI_TYPES = {
    f"{_DOCKER}diff.tar": LAYER_TAR,
    f"{_DOCKER}diff.tar.gzip": LAYER_GZIP,
    f"{_DOCKER}diff.tar.zstd": LAYER_ZSTD,
    f"{_DOCKER}foreign.diff.tar": _NONDISTRIBUTABLE,
    f"{_DOCKER}foreign.diff.tar.gzip": f"{_NONDISTRIBUTABLE}+gzip",
}


_FOR_GPUS = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
"""What NVIDIA's container toolkit asks an image for; NVIDIA's own images say the same."""


def needs_cuda(lock: PlatformLock) -> bool:
    """Tell whether an environment was locked for a machine with CUDA."""
    return any(package.startswith("__cuda=") for package in lock.virtual_packages)


def as_oci(layer: Layer) -> Layer:
    """Give a base's layer with OCI's media type; the bytes are the same."""
    media_type = _OCI_TYPES.get(layer.descriptor.media_type, layer.descriptor.media_type)
    if media_type == layer.descriptor.media_type:
        return layer
    return replace(layer, descriptor=replace(layer.descriptor, media_type=media_type))


def environment(
    base: Sequence[str],
    variables: Mapping[str, str],
    *,
    installed: bool,
    cuda: bool = False,
    secret: Collection[str] = (),
) -> list[str]:
    """Give the image's variables, as ``NAME=value``: the base's in their order, with what activation changes.

    ``variables`` are those of packages and of the lock; ``installed`` tells whether there is an environment at all.
    Those in ``secret`` are left out: who starts a container gives them.
    With ``cuda`` NVIDIA's runtime is told to give containers the GPUs, where the base does not say otherwise.
    """
    found = {name: value for name, equals, value in (text.partition("=") for text in base) if equals}
    if installed:
        for name in _OF_OTHER_PYTHONS:
            found.pop(name, None)
        found["PATH"] = f"{PREFIX}/bin:{found.get('PATH') or PATH}"
        found |= {"CONDA_PREFIX": PREFIX, "CONDA_DEFAULT_ENV": PREFIX.rpartition("/")[2], "CONDA_SHLVL": "1"}
    for name, value in _FOR_GPUS.items() if cuda else ():
        found.setdefault(name, value)
    for name, value in sorted(variables.items()):
        found.pop(name, None)
        if value != _UNSET and name not in secret:
            found[name] = value
    return [f"{name}={value}" for name, value in found.items()]


def base_labels(base: BaseImage) -> dict[str, str]:
    """Give the annotations that tell what an image stands on."""
    given = {_BASE_NAME: base.reference, _BASE_DIGEST: base.digest}
    return {name: value for name, value in given.items() if value}


def check_base(base: BaseImage, platform: str) -> None:
    """Raise UsageError for a base that is for another machine, or that does not hold together."""
    wanted = oci_platform(platform)
    if base.layers and base.config.get("os", "linux") != "linux":
        raise UsageError(f"the base {base.reference} is for {base.config['os']}", remedy="choose one for Linux")
    stated = base.config.get("architecture")
    if base.layers and stated and stated != wanted["architecture"]:
        raise UsageError(
            f"the base {base.reference} is for {stated}, and {platform} needs {wanted['architecture']}",
            remedy="pin the base again with 'hermetic base pin', or choose another",
        )
    settings = base.config.get("config")
    env = settings.get("Env") if isinstance(settings, Mapping) else None
    if isinstance(env, list) and f"CONDA_PREFIX={PREFIX}" in env:
        raise UsageError(
            f"the base {base.reference} has an environment in {PREFIX} already, which would show through",
            remedy="choose what that image itself stands on, and declare all packages in one environment",
        )


def secret_references(lock: PlatformLock) -> dict[str, str]:
    """Give the variables of an environment that refer to secrets, which an image does not have."""
    return {name: value for name, value in lock.variables if "${secret:" in value}


def make_config(
    lock: PlatformLock,
    base: BaseImage,
    layers: Sequence[tuple[Layer, str]],
    options: ImageOptions,
    *,
    variables: Mapping[str, str],
    activate: str = "",
) -> Blob:
    """Give the configuration of an image: the base's, and what our layers (each with what made it) add.

    ``variables`` are those of packages and of the lock; ``activate`` is a program of the image that runs a command in
    the activated environment, where setting variables is not enough.
    """
    settings = {name: value for name, value in (base.config.get("config") or {}).items() if name != "OnBuild"}
    installed = bool(lock.conda or lock.wheels)
    secrets = secret_references(lock)
    settings["Env"] = environment(
        settings.get("Env") or (), variables, installed=installed, cuda=installed and needs_cuda(lock), secret=secrets
    )
    if options.user:
        settings["User"] = options.user
    if options.command is not None:
        settings["Cmd"] = list(options.command)
    if options.entrypoint is not None:
        settings["Entrypoint"] = list(options.entrypoint)
        if options.command is None:
            settings.pop("Cmd", None)  # it was meant for the entry point of the base
    if activate:
        settings["Entrypoint"] = [activate, *(settings.get("Entrypoint") or ())]
    ours = (_BASE_NAME, _BASE_DIGEST, _SECRETS)
    labels = {name: value for name, value in (settings.get("Labels") or {}).items() if name not in ours}
    labels |= base_labels(base)
    if secrets:
        labels[_SECRETS] = json.dumps(secrets, sort_keys=True, separators=(",", ":"))
    if labels := labels | dict(options.labels):
        settings["Labels"] = labels
    time = datetime.fromtimestamp(options.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    diff_ids = [layer.diff_id for layer in base.layers] + [layer.diff_id for layer, _ in layers]
    kept = {name: base.config[name] for name in ("variant", "os.version", "os.features") if base.config.get(name)}
    document = {
        **kept,
        **oci_platform(lock.platform),
        "created": time,
        "config": {name: value for name, value in settings.items() if value not in (None, "", [], {})},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*_history(base), *({"created": time, "created_by": made_by} for _, made_by in layers)],
    }
    return _blob(document)


def make_manifest(config: Blob, layers: Sequence[Layer], base: BaseImage) -> Blob:
    """Give the manifest of an image."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor(CONFIG, config.digest, config.size).to_dict(),
        "layers": [layer.descriptor.to_dict() for layer in layers],
    }
    if annotations := base_labels(base):
        document["annotations"] = annotations
    return _blob(document)


def _history(base: BaseImage) -> list[dict[str, Any]]:
    """Give the base's history; one entry for each layer if it tells none, or one that does not fit."""
    stated = [dict(entry) for entry in base.config.get("history") or ()]
    if sum(not entry.get("empty_layer") for entry in stated) == len(base.layers):
        return stated
    return [{"created_by": f"layer of {base.reference}"} for _ in base.layers]


def _blob(document: Mapping[str, Any]) -> Blob:
    data = canonical_json(document)
    return Blob(f"sha256:{sha256_bytes(data)}", len(data), data=data)
