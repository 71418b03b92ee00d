"""Images as values: descriptors, blobs, layers, bases. Bytes stay in the store until somebody reads them.

The formats are those of the OCI image specification 1.1 (descriptor.md, manifest.md, config.md, image-index.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hermetic.store import Store

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

PREFIX = "/opt/hermetic/env"
"""Where the environment lies in every image."""


@dataclass(frozen=True)
class Descriptor:
    """A blob by its digest (``sha256:`` and 64 hex digits), size in bytes and media type (descriptor.md)."""

    media_type: str
    digest: str
    size: int
    platform: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Give the descriptor as the JSON values of a manifest or index."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            value["platform"] = dict(self.platform)
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Descriptor:
        """Read the JSON values of a descriptor. Raises KeyError or TypeError for something else."""
        return cls(
            str(value["mediaType"]),
            str(value["digest"]),
            int(value["size"]),
            dict(value.get("platform") or {}),
            dict(value.get("annotations") or {}),
        )

    @property
    def sha256(self) -> str:
        """The digest's hex digits."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True)
class Blob:
    """Bytes of known digest and size: ``data``, or ``parts``, blobs of the store whose concatenation they are.

    A layer made of cached fragments is never written down as a whole: it is read from its parts.
    """

    digest: str
    size: int
    parts: tuple[str, ...] = ()
    data: bytes = b""


class Origin(Protocol):
    """Where the layers of a base can be had: a registry's repository, as a rule."""

    def obtain(self, layer: Descriptor, store: Store) -> Blob:
        """Bring a layer into the store, checked, unless it is there; give it. Raises NetworkError, IntegrityError."""


@dataclass(frozen=True)
class Layer:
    """A layer of an image. ``blob`` is None for a layer of the base that only its origin is known to have."""

    descriptor: Descriptor
    diff_id: str
    blob: Blob | None = None
    name: str = ""


@dataclass(frozen=True)
class BaseImage:
    """A base as it is used: its configuration (config.md), its layers, and where these are.

    ``reference`` and ``digest`` (of the platform's manifest) go into the image's labels; both are empty for
    ``scratch``. ``repository`` is ``HOST/NAME`` where a registry has it, so that layers can be mounted from there.
    """

    reference: str = ""
    digest: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    repository: str = ""
    origin: Origin | None = None


@dataclass(frozen=True)
class Image:
    """An image of one platform: manifest and configuration as bytes, and all layers, the base's first."""

    platform: str
    manifest: Blob
    config: Blob
    layers: tuple[Layer, ...]
    base: BaseImage

    @property
    def descriptor(self) -> Descriptor:
        """The manifest as an index names it."""
        return Descriptor(MANIFEST, self.manifest.digest, self.manifest.size, platform=oci_platform(self.platform))


def oci_platform(platform: str) -> dict[str, str]:
    """Give a conda platform as OCI names it (``linux-64``: ``{"architecture": "amd64", "os": "linux"}``).

    Raises KeyError for one that has no images.
    """
    return {"architecture": _ARCHITECTURES[platform], "os": "linux"}


_ARCHITECTURES = {"linux-64": "amd64", "linux-aarch64": "arm64", "linux-ppc64le": "ppc64le", "linux-s390x": "s390x"}
