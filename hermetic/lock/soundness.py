"""Is the graph of a lock closed? Every dependency met, every limit kept, nothing claimed twice.

A lock that hermetic solved is sound by construction; one that another tool wrote, or a person, may not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hermetic.lock.check import Finding
from hermetic.lock.graph import match_name
from hermetic.lock.markers import holds
from hermetic.lock.matching import meets, records_of
from hermetic.lock.model import CondaPackage, Lock, PlatformLock
from hermetic.lock.names import provided
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec
from hermetic.spec.private_urls import is_private, parse_private

if TYPE_CHECKING:
    from rattler import PackageRecord


def soundness(lock: Lock, platform: str, spec: Spec) -> tuple[Finding, ...]:
    """Give everything in which one platform of a lock is not sound, or does not give what the spec asks for."""
    locked = lock.platforms[platform]
    records = records_of(locked)
    asked = spec.for_platform(platform)
    return (
        *_conda(locked, records),
        *_requirements(locked, records, asked),
        *_wheels(locked),
        *_pip_requirements(locked, asked),
        *_channels(locked, asked),
    )


def _conda(lock: PlatformLock, records: dict[str, PackageRecord]) -> Iterator[Finding]:
    for package in lock.conda:
        for depend in package.depends:
            record = records.get(match_name(depend))
            met = meets(record, depend)
            if not met:
                reason = _why_not(record, met)
                yield Finding(
                    "dependency-unmet", f"{package.name} {package.version} needs {depend}: {reason}", lock.platform
                )
        for constraint in package.constrains:
            record = records.get(match_name(constraint))
            if record and meets(record, constraint) is False:
                yield Finding(
                    "constraint-broken",
                    f"{package.name} {package.version} allows only {constraint}: {_why_not(record, met=False)}",
                    lock.platform,
                )


def _why_not(record: PackageRecord | None, met: bool | None) -> str:
    if record is None:
        return "it is not locked"
    if met is None:
        return "it cannot be understood"
    return f"{record.name.source} {record.version} {record.build} is locked"


def _requirements(lock: PlatformLock, records: dict[str, PackageRecord], spec: Spec) -> Iterator[Finding]:
    by_name = {package.name: package for package in lock.conda}
    for requirement in spec.conda:
        package = by_name.get(requirement.name)
        met = meets(records.get(requirement.name), requirement.match)
        if not met:
            yield _unmet(requirement, lock.platform, _why_not(records.get(requirement.name), met))
        elif package and requirement.channel and package.channel != requirement.channel:
            yield _unmet(requirement, lock.platform, f"it is locked from {package.channel}")


def _unmet(requirement: CondaRequirement | PipRequirement, platform: str, reason: str) -> Finding:
    return Finding("requirement-unmet", f"{requirement.text} is not met: {reason}", platform, place=requirement.place)


def _wheels(lock: PlatformLock) -> Iterator[Finding]:
    by_conda = {found.name: found for found in provided(lock.conda)}
    wheels = {wheel.name: wheel for wheel in lock.wheels}
    if lock.wheels and not lock.python():
        yield Finding("dependency-unmet", "wheels are locked, and no Python", lock.platform)
    for wheel in lock.wheels:
        for name in wheel.requires:
            if name not in wheels and name not in by_conda:
                yield Finding(
                    "dependency-unmet", f"{wheel.name} {wheel.version} needs {name}: it is not locked", lock.platform
                )
        if wheel.name in by_conda:
            conda = by_conda[wheel.name]
            yield Finding(
                "claimed-twice",
                f"{wheel.name} is locked twice: as a wheel ({wheel.version}) and by conda's {conda.conda} "
                f"({conda.version})",
                lock.platform,
            )


def _pip_requirements(lock: PlatformLock, spec: Spec) -> Iterator[Finding]:
    versions = {found.name: found.version for found in provided(lock.conda)}
    versions |= {wheel.name: wheel.version for wheel in lock.wheels}
    files = {wheel.file_name for wheel in lock.wheels} | {wheel.url for wheel in lock.wheels}
    digests = {wheel.name: wheel.sha256 for wheel in lock.wheels}
    python = lock.python()
    for requirement in spec.pip:
        if not holds(requirement.marker, lock.platform, python.version if python else ""):
            continue
        if not requirement.name:
            if requirement.url.endswith(".whl") and requirement.url.rpartition("/")[2] not in files:
                yield _unmet(requirement, lock.platform, "it is not locked")
        elif requirement.name not in versions:
            yield _unmet(requirement, lock.platform, "it is not locked")
        elif not _in_range(requirement.specifier, versions[requirement.name]):
            yield _unmet(requirement, lock.platform, f"{versions[requirement.name]} is locked")
        elif is_private(requirement.url) and digests.get(requirement.name) != parse_private(requirement.url).sha256:
            yield _unmet(requirement, lock.platform, "other bytes are locked")
    for constraint in spec.constraints:
        locked = versions.get(constraint.name)
        if locked and not _in_range(constraint.specifier, locked):
            yield Finding(
                "constraint-broken", f"the constraint {constraint.text} is not kept: {locked} is locked",
                lock.platform, place=constraint.place,
            )  # fmt: skip


def _in_range(specifier: str, version: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return not specifier or SpecifierSet(specifier).contains(version, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return version in specifier


def _channels(lock: PlatformLock, spec: Spec) -> Iterator[Finding]:
    """Hold each package's channel against the spec; a spec without channels takes them from anywhere."""
    allowed = {*spec.channels, *(requirement.channel for requirement in spec.conda if requirement.channel)}
    if not spec.channels:
        return
    strange: dict[str, list[CondaPackage]] = {}
    for package in lock.conda:
        if package.channel not in allowed:
            strange.setdefault(package.channel, []).append(package)
    for channel, packages in sorted(strange.items()):
        names = ", ".join(package.name for package in packages[:3]) + (" ..." if len(packages) > 3 else "")
        yield Finding("channel-unknown", f"{names}: from {channel}, which the spec does not name", lock.platform)
