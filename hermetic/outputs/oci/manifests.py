"""Manifests, indexes and configurations as others wrote them: read with suspicion, given as values.

image-spec 1.1: manifest.md, image-index.md, config.md; and Docker's media types of schema 2, which mean the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hermetic.errors import IntegrityError, UsageError
from hermetic.outputs.oci.model import (
    CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    INDEX,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    oci_platform,
)
from hermetic.platforms import PLATFORMS

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
LAYERS = {LAYER_TAR, LAYER_GZIP, LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_TAR}
MOST_LAYERS = 125
"""Layers that an engine can stack (overlay's limit, less what it needs itself)."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_BIGGEST = 1 << 53


@dataclass(frozen=True)
class Manifest:
    """A platform's manifest: its configuration and layers."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Index:
    """An index: the manifest of each platform that we know, and the names of all that it lists."""

    manifests: Mapping[str, Descriptor] = field(default_factory=dict)
    listed: tuple[str, ...] = ()


def read_document(data: bytes, what: str) -> Manifest | Index:
    """Read a manifest or an index. Raises IntegrityError for neither, UsageError for what is not supported."""
    found = _object(data, what)
    if found.get("schemaVersion") == 1 or "fsLayers" in found:
        raise UsageError(
            f"{what} is an image of the old format (schema 1), which is not read",
            remedy="push it again with a current client, or use another base",
        )
    if "manifests" in found and ("layers" in found or "config" in found):
        raise _malformed(what, "it is a manifest and an index at once")
    kind = found.get("mediaType")
    if kind is not None and str(kind) not in (
        {INDEX, DOCKER_INDEX} if "manifests" in found else {MANIFEST, DOCKER_MANIFEST}
    ):
        raise UsageError(
            f"{what} is no image: its media type is {_shown(kind)}", remedy="use the reference of an image"
        )
    return _index(found, what) if "manifests" in found else _manifest(found, what)


def read_config(data: bytes, manifest: Manifest, platform: str, what: str) -> Mapping[str, Any]:
    """Read a configuration; it must be of a platform and fit its manifest. Raises IntegrityError, UsageError."""
    found = _object(data, what)
    rootfs = found.get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(ids, list) or not all(isinstance(i, str) and _DIGEST.match(i) for i in ids):
        raise _malformed(what, "its configuration lists no diff IDs")
    if len(ids) != len(manifest.layers):
        raise _malformed(what, f"it has {len(manifest.layers)} layers and {len(ids)} diff IDs")
    config = found.get("config")
    if config is not None and not isinstance(config, dict):
        raise _malformed(what, "its configuration's config is no object")
    there = conda_platform(found)
    if platform and there != platform:
        raise UsageError(
            f"{what} is for {platform_name(found)}, not for {_wanted(platform)}",
            remedy="use a base that has the platform, or lock for another one",
        )
    return found


def config_platform(data: bytes, what: str) -> tuple[str, str]:
    """Give a configuration's platform as conda names it (maybe empty), and as OCI does."""
    found = _object(data, what)
    return conda_platform(found), platform_name(found)


def missing_platform(what: str, platform: str, listed: tuple[str, ...]) -> UsageError:
    """Give the error for a platform that an image does not have."""
    there = ", ".join(listed) or "nothing that can be run"
    return UsageError(
        f"{what} has no image for {_wanted(platform)}; it has: {there}",
        remedy="use a base that has the platform, or lock for another one",
    )


def conda_platform(value: Mapping[str, Any]) -> str:
    """Give the conda platform that OCI's ``os`` and ``architecture`` mean; empty for one that we make no images for."""
    pair = {"architecture": value.get("architecture"), "os": value.get("os")}
    return next((name for name, known in _known().items() if known == pair), "")


def platform_name(value: Mapping[str, Any]) -> str:
    """Write a platform as clients do: ``linux/arm64/v8``."""
    parts = [str(value.get(name) or "") for name in ("os", "architecture", "variant")]
    return _shown("/".join(part for part in parts if part) or "no platform")


def _known() -> dict[str, dict[str, str]]:
    found = {}
    for platform in PLATFORMS:
        try:
            found[platform] = oci_platform(platform)
        except KeyError:
            continue
    return found


def _wanted(platform: str) -> str:
    known = _known().get(platform)
    return f"{platform_name(known)} ({platform})" if known else platform


def _index(found: Mapping[str, Any], what: str) -> Index:
    entries = found["manifests"]
    if not isinstance(entries, list):
        raise _malformed(what, "its manifests are no list")
    best: dict[str, tuple[int, Descriptor]] = {}
    listed: list[str] = []
    for entry in entries:
        descriptor = _descriptor(entry, what)
        if str(descriptor.platform.get("os")) in {"None", "unknown"} or descriptor.media_type not in {
            MANIFEST,
            DOCKER_MANIFEST,
        }:
            continue  # attestations and the like
        listed.append(platform_name(descriptor.platform))
        platform = conda_platform(descriptor.platform)
        rank = _rank(platform, descriptor.platform.get("variant", ""))
        if platform and rank < best.get(platform, (99, descriptor))[0]:
            best[platform] = (rank, descriptor)
    return Index({platform: descriptor for platform, (_, descriptor) in best.items()}, tuple(dict.fromkeys(listed)))


def _rank(platform: str, variant: str) -> int:
    """Tell how well a variant fits a platform's every machine: 0 best, 9 runs on newer ones only."""
    plain = {"linux-64": ("", "v1"), "linux-aarch64": ("v8", "")}.get(platform, ("",))
    return plain.index(variant) if variant in plain else 9


def _manifest(found: Mapping[str, Any], what: str) -> Manifest:
    layers = found.get("layers")
    if "config" not in found or not isinstance(layers, list):
        raise _malformed(what, "it is neither a manifest nor an index")
    config = _descriptor(found["config"], what)
    if config.media_type not in {CONFIG, DOCKER_CONFIG}:
        raise UsageError(
            f"{what} is no image that can be run: its configuration is {_shown(config.media_type)}",
            remedy="use the reference of an image",
        )
    if len(layers) > MOST_LAYERS:
        raise UsageError(
            f"{what} has {len(layers)} layers, more than engines can stack ({MOST_LAYERS})", remedy="use another base"
        )
    return Manifest(config, tuple(_layer(layer, what) for layer in layers))


def _layer(value: Any, what: str) -> Descriptor:
    descriptor = _descriptor(value, what)
    kind = descriptor.media_type
    if "nondistributable" in kind or "foreign" in kind or value.get("urls"):
        raise UsageError(
            f"{what} has a layer that its registry does not have ({_shown(kind)})", remedy="use another base"
        )
    if kind not in LAYERS:
        raise UsageError(f"{what} has a layer of an unknown kind: {_shown(kind)}", remedy="use another base")
    return descriptor


def _descriptor(value: Any, what: str) -> Descriptor:
    try:
        descriptor = Descriptor.from_dict(value)
        size = value["size"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _malformed(what, "it has a descriptor without media type, digest or size") from None
    if not _DIGEST.match(descriptor.digest):
        raise _malformed(what, f"it has a digest that is no sha256: {_shown(descriptor.digest)}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _BIGGEST:
        raise _malformed(what, "it has a size that is none")
    return descriptor


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise _malformed(what, "it is not JSON") from None
    if not isinstance(found, dict):
        raise _malformed(what, "it is no JSON object")
    return found


def _malformed(what: str, reason: str) -> IntegrityError:
    return IntegrityError(f"{what} is malformed: {reason}", remedy="use another base, or tell who pushed it")


def _shown(text: object) -> str:
    """Write what a stranger wrote, in one short printable line."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:120]
