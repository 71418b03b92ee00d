"""Wheels by their file names: what a file name tells, and which wheel of a release fits a platform best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hermetic.platforms import VirtualPackage

if TYPE_CHECKING:
    from packaging.tags import Tag

_LINUX = {"linux-64": "x86_64", "linux-aarch64": "aarch64", "linux-ppc64le": "ppc64le", "linux-s390x": "s390x"}
_WINDOWS = {"win-64": "win_amd64", "win-arm64": "win_arm64"}
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}


def split_wheel_name(file_name: str) -> tuple[str, str] | None:
    """Give (normalised name, version as written) of a wheel's file name, or None if it is none (PEP 427)."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, *_ = parse_wheel_filename(file_name)
    except InvalidWheelFilename:
        return None
    return name, file_name.split("-")[1]


def best_wheel(file_names: Sequence[str], platform: str, python: str, assumed: Sequence[str]) -> str | None:
    """Give the wheel that pip would install, among those of one release: the one with the best tag (PEP 425)."""
    from packaging.utils import parse_wheel_filename

    order = {tag: rank for rank, tag in enumerate(supported_tags(platform, python, assumed))}
    ranked = []
    for file_name in file_names:
        if split_wheel_name(file_name) is None:
            continue
        _, _, build, tags = parse_wheel_filename(file_name)
        ranks = [order[tag] for tag in tags if tag in order]
        if ranks:
            ranked.append((-min(ranks), build, file_name))  # of two equal ones the higher build number (PEP 427)
    return max(ranked)[2] if ranked else None


def supported_tags(platform: str, python: str, assumed: Sequence[str]) -> list[Tag]:
    """Give the tags that CPython of a version (``3.11``) supports on a platform, the best first.

    ``assumed`` are virtual packages: the glibc and macOS versions in them bound the tags.
    """
    from packaging.tags import compatible_tags, cpython_tags

    version = tuple(int(part) for part in python.split(".")[:2])
    platforms = _platform_tags(platform, {v.name: v.version for v in map(VirtualPackage.parse, assumed)})
    return [
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, f"cp{version[0]}{version[1]}", platforms),
    ]


def _platform_tags(platform: str, assumed: dict[str, str]) -> list[str]:
    if platform in _WINDOWS:
        return [_WINDOWS[platform]]
    if platform.startswith("osx-"):
        from packaging.tags import mac_platforms

        major, minor = ([int(part) for part in assumed.get("__osx", "11.0").split(".")] + [0])[:2]
        return list(mac_platforms((major, minor), "arm64" if platform == "osx-arm64" else "x86_64"))
    machine = _LINUX[platform]
    major, minor = ([int(part) for part in assumed.get("__glibc", "2.28").split(".")] + [0])[:2]
    tags = [f"linux_{machine}"]
    for level in range(minor, 4 if machine == "x86_64" else 16, -1):
        tags.append(f"manylinux_{major}_{level}_{machine}")
        if (major, level) in _LEGACY:
            tags.append(f"{_LEGACY[major, level]}_{machine}")
    return tags
