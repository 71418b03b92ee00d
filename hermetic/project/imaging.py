"""Building images of a project's environments: locked, assembled, and brought where they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hermetic.digest import key
from hermetic.errors import UsageError
from hermetic.events import SILENT, Reporter
from hermetic.platforms import current_platform
from hermetic.project.image_order import ImageOrder

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.lock.model import ImagePlan, Lock, PlatformLock
    from hermetic.outputs.oci.model import BaseImage, Image
    from hermetic.project.project import Declaration, Project
    from hermetic.store import Store

REPOSITORY = "hermetic/env_"
"""Begins the name of an image that nobody named; a hash of its configuration follows, as Azure ML's names have it."""


@dataclass(frozen=True)
class ImageBuild:
    """What came of it. ``digest`` is what a registry knows the image by: of the index if there are several platforms.

    ``sent`` counts bytes sent to the registry, None where nothing was to be pushed; ``changed`` is False where
    everything was as it should be already.
    """

    name: str
    reference: str
    digest: str
    changed: bool
    images: tuple[Image, ...] = field(default=(), repr=False)
    sent: int | None = None
    loaded: str = ""
    layout: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the build as JSON values."""
        return {
            "name": self.name,
            "reference": self.reference,
            "digest": self.digest,
            "changed": self.changed,
            "sent": self.sent,
            "loaded": self.loaded,
            "layout": self.layout,
            "platforms": {
                image.platform: {
                    "digest": image.manifest.digest,
                    "image_id": image.config.digest,
                    "base": image.base.reference,
                    "base_layers": len(image.base.layers),
                    "layers": [
                        {"name": layer.name, "digest": layer.descriptor.digest, "size": layer.descriptor.size}
                        for layer in image.layers
                    ],
                }
                for image in self.images
            },
        }


@dataclass(frozen=True)
class Prepared:
    """One platform's image before it is built: its packages, its layers, its base, and its key."""

    lock: PlatformLock
    plan: ImagePlan
    base: BaseImage
    key: str


def build_images(
    start: str | None,
    name: str | None,
    order: ImageOrder,
    *,
    locked: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> ImageBuild:
    """Build the image of a project's environment and bring it where the order says.

    The lock is made or mended first, and gets a base and layers if it has none (``locked``: DriftError instead).
    """
    from hermetic.project.basing import dockerfile_of
    from hermetic.project.image_noop import question, remember_image
    from hermetic.project.project import open_project

    project = open_project(start)
    declaration = project.declaration(project.choose(name))
    built = build_declared_images(project, declaration, order, locked=locked, offline=offline, reporter=reporter)
    if built.images and dockerfile_of(declaration) is None:  # what a Dockerfile copies may have changed
        files = [*project.layout.chooses, *declaration.files, declaration.lock_path]
        config = project.config(offline=offline)
        remember_image(project.layout, question(name, order.question(), config), files, built.to_dict())
    return built


def run_in_image(
    start: str | None,
    name: str | None,
    command: Sequence[str],
    *,
    mount: bool = True,
    user: str = "",
    network: str = "",
    locked: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> int:
    """Run a command in a container of an environment's image, built and loaded first; give its exit status.

    ``mount`` puts the project's folder at its own path in the container. ``user`` and ``network``: see ``run_image``.
    A CUDA environment gets the machine's GPUs. Secrets that the environment's variables refer to are given to the
    container; the image has none.
    """
    from hermetic.lock.file import read_lock
    from hermetic.outputs.prefix.activation import with_secrets
    from hermetic.project.image_running import run_image
    from hermetic.project.project import open_project

    project = open_project(start)
    declaration = project.declaration(project.choose(name))
    order = ImageOrder(load=True)
    built = build_declared_images(project, declaration, order, locked=locked, offline=offline, reporter=reporter)
    variables = dict(read_lock(declaration.lock_path).platforms[current_platform()].variables)
    return run_image(
        built.reference,
        command,
        folder=project.layout.root if mount else None,
        secrets=with_secrets(variables),
        user=user,
        network=network,
        gpus=declaration.spec.accelerator.kind == "cuda",
        reporter=reporter,
    )


def build_declared_images(
    project: Project,
    declaration: Declaration,
    order: ImageOrder,
    *,
    locked: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> ImageBuild:
    """Do what ``build_images`` does, for a declaration at hand."""
    from hermetic.outputs.oci.image import build_image, image_index
    from hermetic.project.image_explaining import remember_images
    from hermetic.store import Store

    config = project.config(offline=offline)
    store = Store.open(config.store)
    prepared = prepare_images(
        project, declaration, order, config=config, store=store, locked=locked, offline=offline, reporter=reporter
    )
    wanted = wanted_name(order, config)
    reference = image_reference(wanted, [item.key for item in prepared])
    if order.push and wanted.endswith("/") and not order.load and not order.layout:
        # The name is a hash of all that determines the image: what a registry has under it need not be made.
        from hermetic.outputs.oci.presence import image_exists

        if digest := image_exists(reference, config=config):
            return ImageBuild(declaration.name, reference, digest, changed=False, sent=0)
    images = tuple(
        build_image(
            item.lock, item.plan.layers, item.base, store=store, config=config, reporter=reporter, offline=offline,
            options=order.options, jobs=order.jobs,
        )
        for item in prepared
    )  # fmt: skip
    digest = images[0].manifest.digest if len(images) == 1 else image_index(images).digest
    built = ImageBuild(declaration.name, reference, digest, changed=False, images=images)
    delivered = _deliver(built, order, config=config, store=store, reporter=reporter)
    remember_images(project.layout, declaration.name, prepared, images)
    return delivered


def prepare_images(
    project: Project,
    declaration: Declaration,
    order: ImageOrder,
    *,
    config: Config,
    store: Store,
    locked: bool,
    offline: bool,
    reporter: Reporter,
) -> list[Prepared]:
    """Lock an environment, pin its base and plan its layers where that is not done, and open the bases."""
    from hermetic.lock.file import write_lock
    from hermetic.outputs.oci.image import image_key
    from hermetic.project.basing import open_pinned, refuse_other_base, with_bases
    from hermetic.project.building import fitting_lock

    refuse_other_base(declaration, order.base)
    before = fitting_lock(project, declaration, locked=locked, offline=offline, reporter=reporter)
    platforms = wanted_platforms(before, order)
    lock = with_bases(
        before, declaration, platforms, base=order.base, locked=locked, store=store, config=config, offline=offline,
        reporter=reporter,
    )  # fmt: skip
    if lock != before:
        write_lock(lock, declaration.lock_path)
        reporter.say(f"{declaration.name}: base and layers are now in {declaration.lock_path}")
        for name in platforms:
            old, new = before.platforms[name].image, lock.platforms[name].image
            if old and new and old.base != new.base:
                reporter.say(f"  {name}: the base was {old.base.reference}, and is {new.base.reference} from now on")
    prepared = []
    for name in platforms:
        platform = lock.platforms[name]
        assert platform.image
        base = open_pinned(
            platform.image.base, name, declaration, store=store, config=config, offline=offline, reporter=reporter
        )
        found = image_key(platform, platform.image.layers, base, order.options)
        prepared.append(Prepared(platform, platform.image, base, found))
    return prepared


def wanted_name(order: ImageOrder, config: Config) -> str:
    """Give the name that is wanted, or where an image goes that has none, or no registry in its name."""
    from hermetic.outputs.oci.reference import has_registry

    if order.reference and not (
        order.push and config.registry and not has_registry(order.reference, config.registries)
    ):
        return order.reference
    if order.reference:  # a name without a host would go to the default registry, which is a public one
        return f"{config.registry}/{order.reference}"
    if not order.push:
        return ""
    if not config.registry:
        raise UsageError(
            "there is no registry to push to",
            remedy="name the image (--image registry.example.org/team/train:1), or set HERMETIC_REGISTRY, or "
            "'registry' in hermetic's configuration",
        )
    return f"{config.registry}/"


def image_reference(wanted: str, keys: Sequence[str]) -> str:
    """Give an image's name: the wanted one, or one made of a hash of its keys, in the wanted registry if any."""
    if wanted and not wanted.endswith("/"):
        return wanted
    return f"{wanted}{REPOSITORY}{key('image-name/1', sorted(keys))[:32]}"


def _deliver(built: ImageBuild, order: ImageOrder, *, config: Config, store: Store, reporter: Reporter) -> ImageBuild:
    if order.layout:
        from hermetic.outputs.oci.layout import write_layout

        written = write_layout(built.images, order.layout, store=store, reporter=reporter, name=built.reference)
        built = replace(built, layout=str(order.layout), changed=built.changed or written.changed)
    if order.push:
        from hermetic.outputs.oci.push import push

        pushed = push(built.images, built.reference, store=store, config=config, reporter=reporter)
        built = replace(built, sent=pushed.sent, changed=built.changed or pushed.sent > 0)
    if order.load:
        from hermetic.outputs.oci.engine import load

        (image,) = [image for image in built.images if image.platform == current_platform()]
        loaded = load(image, built.reference, store=store, reporter=reporter)
        built = replace(built, loaded=loaded.id, changed=built.changed or loaded.sent > 0 or loaded.tagged)
    return built


def wanted_platforms(lock: Lock, order: ImageOrder) -> tuple[str, ...]:
    """Give the platforms that an order is for. Raises UsageError for some that have no image, or cannot be loaded."""
    chosen = order.platforms or (current_platform(),)
    for platform in chosen:
        if not platform.startswith("linux-"):
            raise UsageError(f"there are no images for {platform}", remedy="choose a platform that begins with linux-")
        if platform not in lock.platforms:
            raise UsageError(
                f"the environment is locked for {', '.join(lock.platforms)}, not for {platform}",
                remedy=f"add {platform} to its platforms and run 'hermetic lock'",
            )
    if order.load and current_platform() not in chosen:
        raise UsageError(
            f"an image for {', '.join(chosen)} cannot be loaded on {current_platform()}",
            remedy="push it, or write it with --oci-layout",
        )
    return tuple(dict.fromkeys(chosen))
