"""Holding MatchSpecs against locked packages, by py-rattler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.platforms import VirtualPackage

if TYPE_CHECKING:
    from rattler import PackageRecord


def records_of(lock: PlatformLock) -> dict[str, PackageRecord]:
    """Give, by name, what MatchSpecs are held against: locked packages, and virtual packages assumed."""
    from rattler import BuildString, PackageRecord

    made = {package.name: record_of(package) for package in lock.conda}
    found = {name: record for name, record in made.items() if record}
    for text in lock.virtual_packages:
        virtual = VirtualPackage.parse(text)
        found[virtual.name] = PackageRecord(
            name=virtual.name, version=virtual.version, build=BuildString(virtual.build), build_number=0,
            subdir=lock.platform,
        )  # fmt: skip
    return found


def record_of(package: CondaPackage) -> PackageRecord | None:
    """Give a locked package as a MatchSpec looks at it; None for one whose version or build no MatchSpec can mean."""
    from rattler import BuildString, PackageRecord

    try:
        return PackageRecord(
            name=package.name,
            version=package.version,
            build=BuildString(package.build),
            build_number=package.build_number,
            subdir=package.subdir,
            md5=bytes.fromhex(package.md5) if package.md5 else None,
            sha256=bytes.fromhex(package.sha256) if package.sha256 else None,
        )
    except Exception:  # noqa: BLE001  # as below
        return None


def meets(record: PackageRecord | None, match: str) -> bool | None:
    """Tell whether a record is what a MatchSpec asks for; None if the MatchSpec cannot be understood."""
    from rattler import MatchSpec

    if record is None:
        return False
    try:
        return bool(MatchSpec(match).matches(record))
    except Exception:  # noqa: BLE001  # rattler's parser has many errors; to us they all say: not understood
        return None
