"""Pinning bases and opening pinned ones, whatever their kind: a registry's, embedded, built from a file, scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hermetic.errors import NetworkError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.lock.model import Base
from hermetic.outputs.oci.bases.catalogue import default_base, entry_of, expand
from hermetic.outputs.oci.model import BaseImage, oci_platform
from hermetic.platforms import Accelerator

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.outputs.oci.bases.context import Dockerfile
    from hermetic.outputs.oci.credentials import Login
    from hermetic.store import Store

SCRATCH, EMBEDDED, DOCKERFILE = "scratch", "embedded", "dockerfile"
"""References that mean no image of a registry."""


def pin_base(
    reference: str,
    platforms: Sequence[str],
    accelerator: Accelerator | None = None,
    *,
    store: Store,
    config: Config,
    offline: bool = False,
    reporter: Reporter = SILENT,
    login: Login | None = None,
    dockerfile: Dockerfile | None = None,
) -> dict[str, Base]:
    """Pin a base for some platforms: a reference, a name of the catalogue, ``scratch``, ``embedded``, ``dockerfile``.

    The last is what ``dockerfile`` makes. An empty reference means the default for the accelerator; ``login`` opens
    the base's registry. Raises UsageError for platforms that have no images or that the base is not for, NetworkError
    and the like for a registry.
    """
    chosen = reference
    reference = reference or default_base(accelerator or Accelerator())
    check_platforms(platforms)
    offline = offline or config.offline
    if reference == SCRATCH:
        return {platform: Base(SCRATCH) for platform in platforms}
    if reference == EMBEDDED:
        from hermetic.outputs.oci.bases.embedded import pin_embedded

        return {name: pin_embedded(name, store=store, offline=offline, reporter=reporter) for name in platforms}
    if reference == DOCKERFILE:
        from hermetic.outputs.oci.bases.dockerfile import pin_dockerfile

        if dockerfile is None:
            raise UsageError("no Dockerfile is declared", remedy="declare base-dockerfile in hermetic.toml")
        return {
            name: pin_dockerfile(dockerfile, name, store=store, offline=offline, reporter=reporter)
            for name in platforms
        }
    image = expand(reference)
    check_registry(image, config)
    from hermetic.outputs.oci.pull import resolve

    try:
        resolved = resolve(image, config=config, offline=offline, login=login)
    except NetworkError as error:
        if chosen:
            raise
        raise type(error)(
            f"the default base cannot be asked for: {error.message}",
            remedy=f"{error.remedy}; or pin one that needs no registry: hermetic base pin --base embedded",
        ) from error
    return {name: Base(reference, resolved.digest, resolved.manifest(name).digest) for name in platforms}


def open_base(
    base: Base,
    platform: str,
    *,
    store: Store,
    config: Config,
    offline: bool = False,
    reporter: Reporter = SILENT,
    login: Login | None = None,
    dockerfile: Dockerfile | None = None,
) -> BaseImage:
    """Give a pinned base as an image to build on. Its layers may still be in its registry only (``Layer.blob``).

    Raises UsageError, MachineError, NetworkError, OfflineError or IntegrityError, as its kind has it.
    """
    check_platforms([platform])
    offline = offline or config.offline
    if base.reference == SCRATCH:
        return BaseImage(config={**oci_platform(platform), "rootfs": {"type": "layers", "diff_ids": []}})
    if base.reference == EMBEDDED:
        from hermetic.outputs.oci.bases.embedded import open_embedded

        return open_embedded(base, platform, store=store, offline=offline, reporter=reporter)
    if base.reference == DOCKERFILE:
        from hermetic.outputs.oci.bases.dockerfile import open_dockerfile

        return open_dockerfile(base, platform, dockerfile, store=store, offline=offline, reporter=reporter)
    base = replace(base, reference=expand(base.reference))
    check_registry(base.reference, config)
    from hermetic.outputs.oci.pull import pull_base

    return pull_base(base, platform, store=store, config=config, offline=offline, login=login, reporter=reporter)


def check_platforms(platforms: Sequence[str]) -> None:
    """Raise UsageError for platforms that images cannot be made for."""
    for platform in platforms:
        try:
            oci_platform(platform)
        except KeyError:
            raise UsageError(
                f"there are no images for {platform}", remedy="images are for Linux: linux-64, linux-aarch64 ..."
            ) from None


def check_registry(reference: str, config: Config) -> None:
    """Raise UsageError for a base of the catalogue in a registry whose address this machine does not know."""
    first, slash, _ = reference.partition("/")
    if not slash or first in config.registries:
        return
    entry = entry_of(reference)
    registry = entry.registry if entry else ""
    if registry:
        raise UsageError(
            f"{reference} is in the registry that the catalogue calls {registry!r}, whose address is not known here",
            remedy=f'write it into hermetic\'s configuration: [registries] {registry} = "https://...", or set '
            f"HERMETIC_REGISTRIES={registry}=https://...; or name the image with its registry's host",
        )
