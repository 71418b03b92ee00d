"""Keys of what is made on the way to an image: each over everything that determines the bytes, nothing else.

A fragment is what one package puts into an image, as compressed tar entries; a layer is made of fragments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hermetic.digest import key
from hermetic.lock.model import CondaPackage, PlannedLayer, PlatformLock, Wheel


def package_identity(package: CondaPackage | Wheel) -> list[Any]:
    """Give all that a lock says of a package and that shows in an environment: its digest, and its record's words."""
    if isinstance(package, Wheel):
        return ["wheel", package.name, package.file_name, package.sha256]
    return [
        "conda", package.name, package.version, package.build, package.build_number, package.channel, package.subdir,
        package.file_name, package.size, package.sha256, package.md5, list(package.depends), list(package.constrains),
        package.noarch, package.license, package.timestamp, list(package.track_features),
        package.python_site_packages_path, list(package.purls),
    ]  # fmt: skip


def contents_key(package: CondaPackage | Wheel, prefix: str, layout: Sequence[str]) -> str:
    """Give the key of what is known of a package's files in a prefix, where ``layout`` says what lies where."""
    return key("package-contents/1", {"package": package_identity(package), "prefix": prefix, "layout": list(layout)})


def fragment_key(
    package: CondaPackage | Wheel,
    *,
    prefix: str,
    layout: Sequence[str],
    python: str,
    dropped: Iterable[str],
    form: Sequence[str | int],
) -> str:
    """Give the key of a package's fragment.

    ``layout`` and ``python`` (the digest of the Python that compiles, empty for none) are empty where they do not
    matter; ``dropped`` are paths that other packages' files replace; ``form`` says how the archive is written.
    """
    return key(
        "image-fragment/4",
        {
            "package": package_identity(package),
            "prefix": prefix,
            "layout": list(layout),
            "python": python,
            "dropped": sorted(dropped),
            "form": list(form),
        },
    )


def layer_key(fragments: Sequence[str], *, folders: Sequence[str], form: Sequence[str | int]) -> str:
    """Give the key of a layer: the digests of its fragments in their order, and the folders that come before them."""
    return key("image-layer/4", {"fragments": list(fragments), "folders": list(folders), "form": list(form)})


def image_key(
    lock: PlatformLock,
    layers: Sequence[PlannedLayer],
    *,
    prefix: str,
    base: Mapping[str, Any],
    options: Mapping[str, Any],
) -> str:
    """Give the key of an image of one platform: over what determines its digest.

    ``base`` is what is taken over of the base, ``options`` how the image is made, both as JSON values.
    """
    packages: list[CondaPackage | Wheel] = [*lock.conda, *lock.wheels]
    return key(
        "image/3",
        {
            "platform": lock.platform,
            "packages": [package_identity(package) for package in packages],
            "variables": dict(lock.variables),
            "layers": [[layer.name, list(layer.packages)] for layer in layers],
            "prefix": prefix,
            "base": base,
            "options": options,
        },
    )
