"""``pixi.lock``, read and written by py-rattler's own LockFile: versions 3 to 7 are read, the newest is written.

A pixi.lock may hold several environments; one is taken. Packages that are built from source (a local project, a
Git checkout) have no digest there, so a lock of ours cannot hold them.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import LockFileError, Place, UsageError
from hermetic.lock.formats.addresses import (
    ChannelName,
    CondaAddress,
    WheelAddress,
    channel_names,
    split_conda_address,
)
from hermetic.lock.formats.importing import Gathered, NotLockable, conda_package, wheel_entry
from hermetic.lock.formats.yamltext import load_yaml
from hermetic.lock.model import CondaPackage, Lock, PlatformLock, Wheel
from hermetic.platforms import VirtualPackage
from hermetic.spec.urls import is_url

if TYPE_CHECKING:
    from rattler import LockFile
    from rattler.lock import Environment, LockPlatform
    from rattler.repo_data import RepoDataRecord

_INDEX = re.compile(r"^\s+index: ", re.MULTILINE)
_DIST = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?[^;]*(?:;(.*))?\Z")


def read_pixi_lock(
    text: str,
    file: str,
    *,
    channel_name: ChannelName | None = None,
    platforms: Sequence[str] = (),
    environment: str = "default",
) -> Lock:
    """Read one environment of a ``pixi.lock``.

    Raises LockFileError for what it is not, or holds that no lock of ours can hold; UsageError for an environment
    that it does not have.
    """
    parsed = _parse(text, file)
    found = _environment(parsed, file, environment)
    gathered = Gathered(file, platforms)
    channels = list(dict.fromkeys(str(channel) for channel in found.channels()))
    name_channel = channel_names((), channel_name)
    indexes = _indexes(text, file)
    subdirs: set[str] = set()
    for platform in sorted(found.platforms(), key=lambda platform: platform.name):
        subdir = str(platform.subdir)
        if not gathered.platform(subdir):
            continue
        if subdir in subdirs:
            gathered.fault("several machines of one platform, of which a lock of ours has one", platform.name)
        subdirs.add(subdir)
        _gather(found, platform, gathered, name_channel, indexes)
    if not gathered.conda and not gathered.faults and not platforms:
        others = [name for name, other in parsed.environments() if other.platforms()]
        raise LockFileError(
            f"its environment {environment!r} locks nothing",
            place=Place(file),
            remedy=f"choose one with --from-environment: {', '.join(sorted(others))}"
            if others
            else "import another file",
        )
    return gathered.lock(name_channel(channel) for channel in channels)


def format_pixi_lock(
    lock: Lock, conda_address: CondaAddress, wheel_address: WheelAddress, *, platforms: Sequence[str] = ()
) -> str:
    """Write a lock as the ``default`` environment of a ``pixi.lock``, in the newest version that rattler writes."""
    from rattler import LockChannel, LockFile, LockPlatform

    names = sorted(platforms or lock.platforms)
    targets = {name: LockPlatform(name, virtual_packages=_virtual(lock.platforms[name])) for name in names}
    written = LockFile(list(targets.values()))
    channels: dict[str, None] = {}
    wheels: dict[str, Wheel] = {}
    for name, target in targets.items():
        for package in lock.platforms[name].conda:
            address = conda_address(package)
            parts = split_conda_address(address)
            if parts:
                channels.setdefault(f"{parts[0]}/")
            written.add_conda_package("default", target, _record(package, address))
        for wheel in lock.platforms[name].wheels:
            address = wheel_address(wheel)
            wheels[address] = wheel
            written.add_pypi_package("default", target, wheel.name, wheel.version, address)
    written.set_channels("default", [LockChannel(url) for url in channels])
    with tempfile.TemporaryDirectory(prefix="hermetic-") as folder:
        path = Path(folder, "pixi.lock")
        written.to_path(path)
        return _with_wheel_digests(path.read_text(encoding="utf-8"), wheels)


def _parse(text: str, file: str) -> LockFile:
    from rattler import LockFile

    with tempfile.TemporaryDirectory(prefix="hermetic-") as folder:
        path = Path(folder, "pixi.lock")
        path.write_text(text, encoding="utf-8")
        try:
            return LockFile.from_path(path)
        except Exception as error:  # noqa: BLE001  # rattler has one error per fault; to us each says: not readable
            reason = str(error).replace(folder, "").splitlines()[0]
            newer = "newer" in reason
            raise LockFileError(
                f"no pixi.lock that can be read: {reason}",
                place=Place(file),
                remedy="write it with an older pixi" if newer else "write it anew with pixi",
            ) from None


def _environment(lock: LockFile, file: str, name: str) -> Environment:
    found = lock.environment(name)
    if found is None:
        names = ", ".join(sorted(name for name, _ in lock.environments())) or "none"
        raise UsageError(f"{file} has no environment {name!r}", remedy=f"choose one with --from-environment: {names}")
    return found


def _gather(
    environment: Environment,
    platform: LockPlatform,
    gathered: Gathered,
    name_channel: ChannelName,
    indexes: Mapping[str, str],
) -> None:
    from rattler.lock import CondaLockedBinaryPackage, PypiLockedPackage

    subdir = str(platform.subdir)
    for package in environment.packages(platform) or []:
        try:
            if isinstance(package, PypiLockedPackage):
                gathered.add_wheel(subdir, _wheel(package, indexes))
            elif isinstance(package, CondaLockedBinaryPackage):
                gathered.add_conda(subdir, _conda(package, name_channel))
            else:
                gathered.fault("built from source", package.name, subdir)
        except NotLockable as error:
            gathered.fault(error.reason, error.subject, subdir)


def _conda(package: Any, name_channel: ChannelName) -> CondaPackage:
    address = _address(package)
    record = package.repo_data_record()
    return conda_package(
        address,
        name_channel,
        name=record.name.source,
        version=str(record.version),
        build=str(record.build),
        build_number=record.build_number,
        md5=record.md5.hex() if record.md5 else None,
        sha256=record.sha256.hex() if record.sha256 else None,
        size=record.size,
        depends=tuple(record.depends),
        constrains=tuple(record.constrains),
        noarch="python" if record.noarch.python else "generic" if record.noarch.generic else None,
        license=record.license,
        timestamp=round(record.timestamp.timestamp() * 1000) if record.timestamp else None,
        track_features=tuple(record.track_features),
        python_site_packages_path=record.python_site_packages_path,
        purls=tuple(sorted(_purls(record))),
    )


def _address(package: Any) -> str:
    """Give an archive's address: rattler writes that of a channel in a folder as a path."""
    location = str(package.location)
    if is_url(location):
        return location
    if not os.path.isabs(location):  # noqa: PTH117  rattler makes no record of such a one
        raise NotLockable("a file or project of the machine that locked", str(package.name))
    return Path(location).as_uri()


def _purls(record: RepoDataRecord) -> list[str]:
    import json

    return json.loads(record.to_json()).get("purls") or []


def _wheel(package: Any, indexes: Mapping[str, str]) -> Wheel:
    sha256 = _sha256(package)
    return wheel_entry(
        package.name,
        package.version if sha256 else "",  # a local project has neither, and rattler fails on the version
        package.location,
        sha256,
        index=indexes.get(package.location, ""),
        requires=tuple(_required(package.requires_dist)),
    )


def _sha256(package: Any) -> str | None:
    try:
        digest = package.hashes.sha256
    except AttributeError:  # how py-rattler 0.28 says that there are no hashes
        return None
    return digest.hex() if digest else None


def _required(requirements: Sequence[str]) -> Iterator[str]:
    """Give the names of what a wheel requires; what only an extra brings is left out."""
    for text in requirements:
        found = _DIST.match(text)
        if found and "extra" not in (found[2] or ""):
            yield found[1]


def _indexes(text: str, file: str) -> dict[str, str]:
    """Give wheel's address -> index, which rattler's LockFile reads and does not tell."""
    if not _INDEX.search(text):
        return {}
    content = load_yaml(text, file)
    packages = content.get("packages") if isinstance(content, dict) else None
    return {
        str(entry["pypi"]): str(entry["index"]).rstrip("/")
        for entry in (packages if isinstance(packages, list) else [])
        if isinstance(entry, dict) and "pypi" in entry and entry.get("index")
    }


def _virtual(lock: PlatformLock) -> list[str]:
    """Give virtual packages as pixi states them: as the least that the machine must have."""
    packages = [VirtualPackage.parse(text) for text in lock.virtual_packages]
    return [f"{p.name}={p.version}={p.build}" for p in packages]


def _record(package: CondaPackage, address: str) -> RepoDataRecord:
    from datetime import UTC, datetime

    from rattler import BuildString, NoArchType, PackageRecord, RepoDataRecord

    parts = split_conda_address(address)
    if not parts:
        raise UsageError(f"{package.name} has no address that a pixi.lock could hold: {address}")
    record = PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        noarch=NoArchType(package.noarch or None),
        depends=list(package.depends),
        constrains=list(package.constrains),
        sha256=bytes.fromhex(package.sha256),
        md5=bytes.fromhex(package.md5) if package.md5 else None,
        size=package.size or None,
        license=package.license or None,
        python_site_packages_path=package.python_site_packages_path or None,
    )
    if package.timestamp:
        record.timestamp = datetime.fromtimestamp(package.timestamp / 1000, tz=UTC)
    if package.track_features:
        record.track_features = list(package.track_features)
    return RepoDataRecord(record, package.file_name, address, f"{parts[0]}/")


def _with_wheel_digests(text: str, wheels: Mapping[str, Wheel]) -> str:
    """Put in what rattler's LockFile cannot be told: the digests and the edges of wheels."""
    lines, current = [], None
    for line in text.splitlines():
        lines.append(line)
        if line.startswith("- pypi: "):
            current = wheels.get(line.removeprefix("- pypi: ").strip())
        elif not line.startswith("  "):
            current = None
        if current and line.startswith("  version: "):
            lines.append(f"  sha256: {current.sha256}")
            if current.requires:
                lines += ["  requires_dist:", *(f"  - {name}" for name in current.requires)]
            current = None
    return "\n".join(lines) + "\n"
