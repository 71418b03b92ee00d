"""What registries have: whether an image is there, what a name leads to, and bases by digest.

Manifests and configurations are checked by digest and size before anybody reads them, and kept in the store. The
layers of a base stay where they are until somebody needs their bytes; then they come as all downloads do: resumed,
tried again, checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError, OfflineError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.outputs.oci.manifests import (
    Index,
    Manifest,
    config_platform,
    missing_platform,
    read_config,
    read_document,
)
from hermetic.outputs.oci.model import INDEX, MANIFEST, BaseImage, Blob, Descriptor, Layer
from hermetic.outputs.oci.presence import ACCEPT, image_exists
from hermetic.outputs.oci.reference import Reference, parse_reference

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.lock.model import Base
    from hermetic.outputs.oci.credentials import Login
    from hermetic.outputs.oci.registry import Registry
    from hermetic.store import Store

__all__ = ["RegistryOrigin", "Resolved", "image_exists", "pull_base", "resolve"]

_LARGEST_CONFIG = 16 << 20


@dataclass(frozen=True)
class Resolved:
    """What a reference leads to at this moment: a digest, and the manifest of each platform (as conda names it).

    ``listed`` names all platforms that are there, as OCI does, for a person.
    """

    reference: str
    digest: str
    media_type: str
    manifests: Mapping[str, Descriptor] = field(default_factory=dict)
    listed: tuple[str, ...] = ()

    def manifest(self, platform: str) -> Descriptor:
        """Give a platform's manifest. Raises UsageError, naming those that are there, if it is missing."""
        if platform not in self.manifests:
            raise missing_platform(self.reference, platform, self.listed)
        return self.manifests[platform]


def resolve(reference: str, *, config: Config, offline: bool = False, login: Login | None = None) -> Resolved:
    """Ask what a reference leads to. Raises OfflineError, NetworkError, IntegrityError, and UsageError for no image."""
    target = parse_reference(reference, config.registries)
    if offline or config.offline:
        raise _offline(str(target))
    from hermetic.outputs.oci.registry import Registry

    registry = Registry(target.registry, config, login=login)
    data = _manifest_bytes(registry, target)
    digest = f"sha256:{sha256_bytes(data)}"
    found = read_document(data, str(target))
    if isinstance(found, Index):
        return Resolved(reference, digest, INDEX, found.manifests, found.listed)
    config_data = _blob_bytes(registry, target, found.config)
    platform, name = config_platform(config_data, str(target))
    manifests = {platform: Descriptor(MANIFEST, digest, len(data))} if platform else {}
    return Resolved(reference, digest, MANIFEST, manifests, (name,))


def pull_base(
    base: Base,
    platform: str,
    *,
    store: Store,
    config: Config,
    offline: bool = False,
    login: Login | None = None,
    reporter: Reporter = SILENT,
) -> BaseImage:
    """Give a base that a lock has pinned; its layers' bytes come when they are asked for.

    Raises UsageError for a base that is not pinned or of another platform, OfflineError if the store lacks its
    manifest or configuration, IntegrityError for bytes that are not what their digests say, NetworkError.
    """
    offline = offline or config.offline
    named = parse_reference(base.reference, config.registries)
    if not base.manifest:
        raise UsageError(f"the base {base.reference} is not pinned for {platform}", remedy="run hermetic lock")
    target = named.with_digest(base.manifest)
    origin = RegistryOrigin(target, config, login, offline, reporter)
    what = str(target)
    data = _kept(store, base.manifest)
    if data is None:
        if offline:
            raise _offline(what)
        data = _manifest_bytes(origin.registry, target)
        store.put_bytes(data)
    found = read_document(data, what)
    if not isinstance(found, Manifest):
        raise UsageError(f"{what} is an index, not one platform's image", remedy="run hermetic base update")
    config_data = _kept(store, found.config.digest)
    if config_data is None:
        if offline:
            raise _offline(what)
        config_data = _blob_bytes(origin.registry, target, found.config)
    configuration = read_config(config_data, found, platform, what)
    store.put_bytes(config_data)
    layers = tuple(
        Layer(descriptor, diff_id, _blob(descriptor) if store.has_blob(descriptor.sha256) else None)
        for descriptor, diff_id in zip(found.layers, configuration["rootfs"]["diff_ids"], strict=True)
    )
    return BaseImage(base.reference, base.manifest, configuration, layers, target.name, origin)


@dataclass(frozen=True)
class RegistryOrigin:
    """The repository that has a base's layers; nothing is asked, nor loaded, before one is needed."""

    reference: Reference
    config: Config = field(repr=False, compare=False)
    login: Login | None = field(default=None, repr=False, compare=False)
    offline: bool = False
    reporter: Reporter = field(default=SILENT, repr=False, compare=False)

    @cached_property
    def registry(self) -> Registry:
        """The registry, with its connections."""
        from hermetic.outputs.oci.registry import Registry

        return Registry(self.reference.registry, self.config, login=self.login)

    def obtain(self, layer: Descriptor, store: Store) -> Blob:
        """Bring a layer into the store, checked, unless it is there; give it. Raises NetworkError, IntegrityError."""
        return self.obtain_all((layer,), store)[0]

    def obtain_all(self, layers: Sequence[Descriptor], store: Store) -> tuple[Blob, ...]:
        """Bring several layers at once."""
        from hermetic.store.fetch import Artifact, fetch

        if all(store.has_blob(layer.sha256) for layer in layers):
            return tuple(_blob(layer) for layer in layers)
        fetch(
            store,
            [
                Artifact(
                    f"layer {layer.digest[:19]} of {self.reference.name}",
                    (self.registry.url(self.reference.repository, "blobs", layer.digest),),
                    layer.sha256,
                    layer.size,
                )
                for layer in layers
            ],
            reporter=self.reporter,
            offline=self.offline,
            client=self.registry,
        )
        return tuple(_blob(layer) for layer in layers)


def _manifest_bytes(registry: Registry, reference: Reference) -> bytes:
    """Get a manifest, checked against its digest if the reference has one."""
    from hermetic.outputs.oci.registry import LARGEST_MANIFEST

    url = registry.url(reference.repository, "manifests", reference.target)
    data, _ = registry.document(
        url, str(reference), accept=ACCEPT, scopes=(registry.scope(reference.repository),), most=LARGEST_MANIFEST
    )
    if reference.digest:
        _check(data, reference.digest, None, f"the manifest of {reference}")
    return data


def _blob_bytes(registry: Registry, reference: Reference, descriptor: Descriptor) -> bytes:
    """Get a small blob, checked."""
    what = f"the configuration of {reference}"
    if descriptor.size > _LARGEST_CONFIG:
        raise IntegrityError(
            f"{what} is larger than {_LARGEST_CONFIG >> 20} MiB", remedy="use another base, or tell who pushed it"
        )
    url = registry.url(reference.repository, "blobs", descriptor.digest)
    data, _ = registry.document(
        url, what, scopes=(registry.scope(reference.repository),), most=max(descriptor.size, 1 << 16)
    )
    _check(data, descriptor.digest, descriptor.size, what)
    return data


def _check(data: bytes, digest: str, size: int | None, what: str) -> None:
    came = f"sha256:{sha256_bytes(data)}"
    if came != digest or size not in {None, len(data)}:
        wanted = digest if size is None else f"{digest} ({size} bytes)"
        raise IntegrityError(
            f"{what} is not what its digest says: {came} ({len(data)} bytes) came instead of {wanted}",
            remedy="nothing was kept; try again, or use another mirror and tell its keeper",
        )


def _kept(store: Store, digest: str) -> bytes | None:
    sha256 = digest.removeprefix("sha256:")
    if not store.has_blob(sha256):
        return None
    data = store.blob_path(sha256).read_bytes()
    if sha256_bytes(data) != sha256:
        store.drop_blob(sha256)
        return None
    return data


def _blob(layer: Descriptor) -> Blob:
    return Blob(layer.digest, layer.size, (layer.sha256,))


def _offline(what: str) -> OfflineError:
    return OfflineError(
        f"offline, and the store does not have {what}", remedy="run the same command once without --offline"
    )
