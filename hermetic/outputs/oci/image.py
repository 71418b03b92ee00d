"""Images assembled from a lock: no daemon, no prefix; what is cached is not even read.

::

    packages -> contents (what each puts where) -> who wins where two collide -> fragments -> layers
    base, layers, variables -> configuration -> manifest

The digest depends on the lock, the base, the plan of layers, the options, and on whether this machine can run the
lock's Python (images for other platforms have no pyc files). Each step's result is kept in the store by a key over
what determines it, and so is the image: when nothing has changed, some JSON is read, and that is all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import canonical_json, sha256_bytes
from hermetic.errors import UsageError
from hermetic.events import SILENT, Reporter
from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.compression import archive_form
from hermetic.outputs.oci.model import INDEX, PREFIX, BaseImage, Blob, Image, oci_platform
from hermetic.outputs.oci.options import ImageOptions
from hermetic.plan.image_keys import image_key as key_of_image
from hermetic.plan.layers import check_layers, plan_layers
from hermetic.platforms import current_platform

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store

METADATA = "metadata"
"""The name of the layer on top, which describes the environment as a whole."""


def build_image(
    lock: PlatformLock,
    layers: Sequence[PlannedLayer],
    base: BaseImage,
    *,
    store: Store,
    config: Config,
    reporter: Reporter = SILENT,
    offline: bool = False,
    options: ImageOptions | None = None,
    addresses: Mapping[str, str] | None = None,
    jobs: int | None = None,
) -> Image:
    """Assemble the image of a lock: the base's layers, the planned ones (none: planned here), and one of metadata.

    A lock without packages adds no layer: the base's own Python is used. ``addresses`` and ``jobs``: see
    ``build_prefix``. Raises UsageError for a plan that is not this lock's, for too many layers, for a base or a
    platform that cannot be; IntegrityError, NetworkError, BuildError, MachineError.
    """
    options = options or ImageOptions()
    layers = checked_plan(lock, layers, base)
    key = image_key(lock, layers, base, options)
    if found := _remembered(store, key, lock.platform, base):
        return found
    from hermetic.outputs.oci.assembly import assemble_image
    from hermetic.outputs.prefix.order import Order
    from hermetic.realize.faults import machine_fault

    order = Order(
        lock, Path(PREFIX), store, config, reporter, offline, options.link_scripts, "auto", addresses or {}, jobs
    )
    try:
        image = assemble_image(order, layers, base, options)
        _remember(store, key, image)
    except OSError as error:
        if fault := machine_fault(error, "cannot make the image", (store.root,)):
            raise fault from error
        raise
    return image


def find_image(
    lock: PlatformLock,
    layers: Sequence[PlannedLayer],
    base: BaseImage,
    *,
    store: Store,
    options: ImageOptions | None = None,
) -> Image | None:
    """Give an image that was assembled before and whose parts the store still has, or None."""
    return _remembered(store, image_key(lock, checked_plan(lock, layers, base), base, options), lock.platform, base)


def image_index(images: Sequence[Image]) -> Blob:
    """Give the index over images of several platforms (OCI image specification 1.1, image-index.md)."""
    ordered = sorted(images, key=lambda image: image.platform)
    manifests = [image.descriptor.to_dict() for image in ordered]
    data = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    return Blob(f"sha256:{sha256_bytes(data)}", len(data), data=data)


def image_key(
    lock: PlatformLock, layers: Sequence[PlannedLayer], base: BaseImage, options: ImageOptions | None = None
) -> str:
    """Give the key of an image: sha256 over all that determines its digest, and nothing else."""
    from hermetic.outputs.oci.config import needs_cuda

    options = options or ImageOptions()
    stands_on = {
        "reference": base.reference,
        "digest": base.digest,
        "config": dict(base.config),
        "layers": [[layer.descriptor.to_dict(), layer.diff_id] for layer in base.layers],
    }
    made = {
        "form": archive_form(options),
        "user": options.user,
        "labels": dict(options.labels),
        "link_scripts": options.link_scripts,
        "entrypoint": options.entrypoint,
        "command": options.command,
        "compiled": lock.platform == current_platform(),
        "cuda": needs_cuda(lock),
    }
    return key_of_image(lock, layers, prefix=PREFIX, base=stands_on, options=made)


def checked_plan(lock: PlatformLock, layers: Sequence[PlannedLayer], base: BaseImage) -> tuple[PlannedLayer, ...]:
    """Give the layers of an image of a lock (none: planned here). Raises UsageError as ``build_image`` does."""
    from hermetic.outputs.oci.config import check_base

    try:
        oci_platform(lock.platform)
    except KeyError:
        raise UsageError(
            f"there are no images for {lock.platform}", remedy="choose a platform that begins with linux-"
        ) from None
    check_base(base, lock.platform)
    packages = [package.name for package in lock.conda] + [f"pip:{wheel.name}" for wheel in lock.wheels]
    planned = tuple(layers) or plan_layers(lock, base_layers=len(base.layers))
    if sorted(packages) != sorted(name for layer in planned for name in layer.packages):
        raise UsageError("the plan of layers is not that of the locked packages", remedy="run 'hermetic lock' again")
    check_layers(planned, len(base.layers))
    return planned


def _remembered(store: Store, key: str, platform: str, base: BaseImage) -> Image | None:
    """Give the image of a key if the store remembers it and has all parts of its layers."""
    from hermetic.outputs.oci.config import as_oci
    from hermetic.outputs.oci.layer import layer_from_dict

    result = store.get_result(key)
    if result is None:
        return None
    try:
        ours = [layer_from_dict(values) for values in result["layers"]]
        manifest, config = (_blob(result[name].encode()) for name in ("manifest", "config"))
    except (KeyError, TypeError, AttributeError):
        return None
    parts = {part for layer in ours if layer.blob for part in layer.blob.parts}
    if not all(map(store.has_blob, parts)):
        return None
    return Image(platform, manifest, config, (*map(as_oci, base.layers), *ours), base)


def _remember(store: Store, key: str, image: Image) -> None:
    from hermetic.outputs.oci.layer import layer_to_dict

    ours = image.layers[len(image.base.layers) :]
    values: dict[str, Any] = {
        "layers": [layer_to_dict(layer) for layer in ours],
        "manifest": image.manifest.data.decode(),
        "config": image.config.data.decode(),
    }
    store.put_result(key, values)


def _blob(data: bytes) -> Blob:
    return Blob(f"sha256:{sha256_bytes(data)}", len(data), data=data)
