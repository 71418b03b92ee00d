"""Images held against the lock of a project's environment, and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hermetic.errors import UsageError
from hermetic.events import SILENT, Reporter

if TYPE_CHECKING:
    from hermetic.outputs.oci.diff import ImageDiff
    from hermetic.outputs.oci.options import ImageOptions
    from hermetic.outputs.oci.reading import FoundImage
    from hermetic.outputs.oci.verify import ImageFinding


@dataclass(frozen=True)
class ImageCheck:
    """What verifying an image found, by platform; nothing means that it is what its lock says, file by file.

    ``digest`` is its manifest's, or its ID in an engine. ``exact`` tells whether it is even the very image that a
    build makes here: packed alike, by the same versions of what packs.
    """

    name: str
    image: str
    digests: Mapping[str, str]
    exact: bool
    platforms: Mapping[str, tuple[ImageFinding, ...]]

    @property
    def findings(self) -> tuple[ImageFinding, ...]:
        """All findings."""
        return tuple(finding for found in self.platforms.values() for finding in found)

    def to_dict(self) -> dict[str, Any]:
        """Give the check as JSON values."""
        return {
            "name": self.name,
            "image": self.image,
            "exact": self.exact,
            "platforms": {
                platform: {"digest": self.digests[platform], "findings": [finding.to_dict() for finding in found]}
                for platform, found in self.platforms.items()
            },
        }


def verify_project_image(
    start: str | None,
    image: str,
    name: str | None = None,
    *,
    options: ImageOptions | None = None,
    platforms: Sequence[str] = (),
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> ImageCheck:
    """Verify an image (see ``find_images`` for what names one) against the lock of an environment of a project.

    What has to be in it is assembled from the lock, from the store and the channels: the image itself is asked for
    nothing. ``options`` are those that it was built with, as far as they show in it: user, labels, times.
    ``platforms`` (none: all that the image has) are conda's. An image of a platform that this machine cannot run is
    compared with one built on such a machine, without pyc files.

    Raises UsageError for an environment whose lock has no image, and what finding and reading an image raises.
    """
    from hermetic.lock.file import read_lock
    from hermetic.outputs.oci.finding import find_images
    from hermetic.outputs.oci.image import build_image
    from hermetic.outputs.oci.verify import verify_image
    from hermetic.project.basing import open_pinned
    from hermetic.project.project import open_project
    from hermetic.store import Store

    project = open_project(start)
    declaration = project.declaration(project.choose(name))
    lock = read_lock(declaration.lock_path)
    config = project.config(offline=offline)
    store = Store.open(config.store)
    found = find_images(image, store=store, config=config, reporter=reporter, offline=offline)
    chosen = [one for one in found if not platforms or one.platform in platforms]
    missing = [platform for platform in platforms if platform not in {one.platform for one in found}]
    if missing:
        raise UsageError(f"{image} has no image for {missing[0]}", remedy=f"it has: {_names(found)}")
    results: dict[str, tuple[ImageFinding, ...]] = {}
    exact = True
    for one in chosen:
        locked = lock.platforms.get(one.platform)
        if locked is None or locked.image is None:
            raise UsageError(
                f"the lock of {declaration.name} says of no image for {one.platform}",
                remedy="build the image first, or choose another environment (-e) or platform",
            )
        base = open_pinned(
            locked.image.base, one.platform, declaration, store=store, config=config, offline=offline, reporter=reporter
        )
        expected = build_image(
            locked, locked.image.layers, base, store=store, config=config, reporter=reporter, offline=offline,
            options=options,
        )  # fmt: skip
        exact = exact and one.digest in {expected.manifest.digest, expected.config.digest}
        results[one.platform] = verify_image(one, expected, store=store, reporter=reporter)
    digests = {one.platform: one.digest for one in chosen}
    return ImageCheck(declaration.name, image, digests, exact and not any(results.values()), results)


def diff_found_images(
    old: str,
    new: str,
    *,
    start: str | None = None,
    platform: str = "",
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> ImageDiff:
    """Compare two images, wherever they are: packages, settings, layers, files. No project is needed.

    Of images of several platforms, ``platform`` is compared: by default this machine's, or the only one both have.
    """
    from hermetic.config import load_config
    from hermetic.outputs.oci.diff import diff_images
    from hermetic.outputs.oci.finding import find_images
    from hermetic.project.project import open_project
    from hermetic.store import Store

    try:
        config = open_project(start).config(offline=offline)  # it may know registries by name
    except UsageError:
        config = load_config(offline=offline)
    store = Store.open(config.store)
    sides = [
        find_images(text, store=store, config=config, reporter=reporter, offline=offline or config.offline)
        for text in (old, new)
    ]
    chosen = platform or _common(*sides)
    pair = [next((one for one in side if one.platform == chosen), None) for side in sides]
    if pair[0] is None or pair[1] is None:
        lacking = old if pair[0] is None else new
        raise UsageError(
            f"{lacking} has no image for {chosen}",
            remedy=f"{old} has: {_names(sides[0])}; {new} has: {_names(sides[1])}",
        )
    return diff_images(pair[0], pair[1], reporter=reporter)


def _common(old: Sequence[FoundImage], new: Sequence[FoundImage]) -> str:
    from hermetic.platforms import current_platform

    both = [one.platform for one in old if one.platform in {other.platform for other in new}]
    here = current_platform()
    return here if here in both or not both else both[0]


def _names(found: Sequence[FoundImage]) -> str:
    return ", ".join(one.platform for one in found)
