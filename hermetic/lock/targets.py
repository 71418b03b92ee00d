"""A target as wheels see it: the tags that it runs (PEP 425, 600), and which of two wheels fits it better.

The tags follow from the platform, Python's version and the virtual packages that the lock assumes; nothing is asked
of the machine at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hermetic.platforms import VirtualPackage

if TYPE_CHECKING:
    from packaging.tags import Tag

_MACHINES = {
    "linux-64": "x86_64",
    "linux-aarch64": "aarch64",
    "linux-ppc64le": "ppc64le",
    "linux-s390x": "s390x",
    "osx-64": "x86_64",
    "osx-arm64": "arm64",
    "win-64": "AMD64",
    "win-arm64": "ARM64",
}
_OLDEST_GLIBC = {"x86_64": 5}
"""The oldest glibc 2.x that manylinux tags know; other machines came with 2.17."""
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def wheel_tags(platform: str, python_version: str, virtual_packages: Sequence[VirtualPackage]) -> dict[Tag, int]:
    """Give the tags of wheels that a target runs, each with its rank: 0 is the best."""
    from packaging.tags import compatible_tags, cpython_tags

    major, minor = (int(part) for part in python_version.split(".")[:2])
    platforms = platform_tags(platform, virtual_packages)
    interpreter = f"cp{major}{minor}"
    tags = [
        *cpython_tags((major, minor), [interpreter], platforms),
        *compatible_tags((major, minor), interpreter, platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def platform_tags(platform: str, virtual_packages: Sequence[VirtualPackage]) -> list[str]:
    """Give the platform part of the tags that a target runs, the best first."""
    return list(_platform_tags(platform, {package.name: package.version for package in virtual_packages}))


def wheel_rank(file_name: str, tags: dict[Tag, int]) -> int | None:
    """Give the rank of a wheel's best tag, or None if the target cannot run it."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        *_, own = parse_wheel_filename(file_name)
    except InvalidWheelFilename:
        return None
    return min((tags[tag] for tag in own if tag in tags), default=None)


def _platform_tags(platform: str, versions: dict[str, str]) -> Iterator[str]:
    machine = _MACHINES[platform]
    if platform.startswith("win"):
        yield f"win_{machine.lower()}"
    elif platform.startswith("osx"):
        from packaging.tags import mac_platforms

        parts = [int(part) for part in versions.get("__osx", "13.0").split(".")[:2]]
        yield from mac_platforms((parts[0], parts[1] if len(parts) > 1 else 0), machine)
    else:
        newest = int([*versions.get("__glibc", "2.17").split("."), "17"][1])
        for level in range(newest, _OLDEST_GLIBC.get(machine, 17) - 1, -1):
            yield f"manylinux_2_{level}_{machine}"
            if level in _LEGACY:
                yield f"{_LEGACY[level]}_{machine}"
        yield f"linux_{machine}"
