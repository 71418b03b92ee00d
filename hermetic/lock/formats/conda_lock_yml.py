"""``conda-lock.yml`` version 1 (CEP 37), read and written by conda-lock's own model.

The format knows addresses, md5, sha256 and edges. It has no place for sizes, build numbers, virtual packages and
environment variables: these are worked out or left at "unknown" when a file is read, and lost when one is written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hermetic.errors import LockFileError, Place, UsageError
from hermetic.lock.formats.addresses import ChannelName, CondaAddress, WheelAddress, channel_names
from hermetic.lock.formats.importing import Gathered, NotLockable, Records, conda_package, wheel_entry
from hermetic.lock.formats.yamltext import load_yaml
from hermetic.lock.graph import match_name
from hermetic.lock.model import CondaPackage, Lock, Wheel
from hermetic.spec.urls import clean_url, is_url

if TYPE_CHECKING:
    from conda_lock.lockfile.v1.models import LockedDependency as LockedDependencyV1
    from conda_lock.lockfile.v1.models import Lockfile as LockfileV1
    from conda_lock.lockfile.v2prelim.models import LockedDependency

_HEADER = """\
# A lock in the format of conda-lock (CEP 37), exported by hermetic; the lock it was made from is the source.
# Install it with: conda-lock install, mamba, micromamba.
"""
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def format_conda_lock(
    lock: Lock, conda_address: CondaAddress, wheel_address: WheelAddress, *, platforms: Sequence[str] = ()
) -> str:
    """Write a lock as ``conda-lock.yml``.

    Raises UsageError for a conda package without md5, which the format demands.
    """
    import yaml
    from conda_lock.lockfile.v2prelim.models import Lockfile, LockMeta
    from conda_lock.models.channel import Channel

    names = sorted(platforms or lock.platforms)
    packages = [
        entry
        for name in names
        for entry in (
            *(_conda_entry(name, package, conda_address(package)) for package in lock.platforms[name].conda),
            *(_wheel_entry(name, wheel, wheel_address(wheel)) for wheel in lock.platforms[name].wheels),
        )
    ]
    channels = dict.fromkeys(
        _channel_address(conda_address(package), package) for name in names for package in lock.platforms[name].conda
    )
    file = Lockfile(
        package=packages,
        metadata=LockMeta(
            content_hash={name: lock.platforms[name].key() for name in names},
            channels=[Channel(url=url, used_env_vars=tuple(sorted(set(_VARIABLE.findall(url))))) for url in channels],
            platforms=names,
            sources=[],
        ),
    )
    file.alphasort_inplace()
    value = file.to_v1().dict_for_output()
    return _HEADER + yaml.dump(value, sort_keys=False, allow_unicode=True, width=120)


def read_conda_lock(
    text: str,
    file: str,
    *,
    channel_name: ChannelName | None = None,
    records: Records | None = None,
    platforms: Sequence[str] = (),
) -> Lock:
    """Read ``conda-lock.yml``. ``records`` may tell the sha256 of what has an md5 only.

    Raises LockFileError for what it is not, or holds that no lock of ours can hold.
    """
    content = _parse(load_yaml(text, file), file)
    gathered = Gathered(file, platforms)
    wanted = {name for name in content.metadata.platforms if gathered.platform(name)}
    declared = [_declared(channel.url) for channel in content.metadata.channels]
    name_channel = channel_names(declared, channel_name)
    for entry in content.package:
        if entry.platform in wanted:
            _gather(entry, gathered, name_channel, records)
        elif entry.platform not in content.metadata.platforms:
            gathered.fault("for a platform that the metadata does not list", entry.name, entry.platform)
    return gathered.lock(declared)


def _conda_entry(platform: str, package: CondaPackage, address: str) -> LockedDependency:
    from conda_lock.lockfile.v2prelim.models import HashModel, LockedDependency

    if not package.md5:
        raise UsageError(
            f"{package.name} has no md5, which conda-lock.yml demands of every conda package",
            remedy="its channel gives none; export as explicit or pixi, which need only sha256",
        )
    return LockedDependency(
        name=package.name,
        version=package.version,
        manager="conda",
        platform=platform,
        dependencies=dict(sorted(_edges(package))),
        url=address,
        hash=HashModel(md5=package.md5, sha256=package.sha256),
        categories=set(package.categories),
        build=package.build,
    )


def _wheel_entry(platform: str, wheel: Wheel, address: str) -> LockedDependency:
    from conda_lock.lockfile.v2prelim.models import DependencySource, HashModel, LockedDependency

    return LockedDependency(
        name=wheel.name,
        version=wheel.version,
        manager="pip",
        platform=platform,
        dependencies=dict.fromkeys(sorted(wheel.requires), ""),
        url=address,
        hash=HashModel(sha256=wheel.sha256),
        source=DependencySource(type="url", url=f"{address}#sha256={wheel.sha256}") if wheel.url else None,
        categories=set(wheel.categories),
    )


def _edges(package: CondaPackage) -> Iterator[tuple[str, str]]:
    """Give name -> constraint; two MatchSpecs on one name become one, for the format has one place for both."""
    found: dict[str, str] = {}
    for depend in package.depends:
        name = match_name(depend)
        rest = depend.partition("::")[2] if "::" in depend.split("[")[0] else depend
        constraint = rest.strip()[len(name) :].strip()
        found[name] = ",".join(part for part in (found.get(name, ""), constraint) if part)
    return iter(found.items())


def _channel_address(address: str, package: CondaPackage) -> str:
    """Give the address of a package's channel; a name that all conda tools know stays a name."""
    from rattler import Channel

    base = clean_url(address, fragment=False).removesuffix(f"/{package.subdir}/{package.file_name}")
    return package.channel if Channel(package.channel).base_url.rstrip("/") == base else base


def _declared(url: str) -> str:
    return clean_url(url, fragment=False).rstrip("/") if is_url(url) else url


def _parse(value: Any, file: str) -> LockfileV1:
    from conda_lock.lockfile.v1.models import Lockfile as LockfileV1
    from pydantic import ValidationError

    if not isinstance(value, dict) or "package" not in value or "metadata" not in value:
        raise LockFileError(
            "no conda-lock.yml: it has no metadata and package sections",
            place=Place(file),
            remedy="import the file that conda-lock wrote",
        )
    value = dict(value)
    version = value.pop("version", 1)
    if version != 1:
        raise LockFileError(
            f"conda-lock.yml has version {version!r}; hermetic reads version 1",
            place=Place(file),
            remedy="write it with a conda-lock that writes version 1, or lock the spec with `hermetic lock`",
        )
    packages = value["package"]
    if isinstance(packages, list):  # older files list virtual packages too, as if they were some, with keys missing
        value["package"] = [
            {"optional": False, **entry} if isinstance(entry, dict) else entry
            for entry in packages
            if not (isinstance(entry, dict) and str(entry.get("name", "")).startswith("__"))
        ]
    try:
        logging.disable(logging.WARNING)  # conda-lock warns of every URL that looks like a secret, by its text
        return LockfileV1.model_validate(value)
    except ValidationError as error:
        first, *others = error.errors()
        where = ".".join(str(step) for step in first["loc"])
        more = f" (and {len(others)} more faults)" if others else ""
        raise LockFileError(
            f"no valid conda-lock.yml: {_entry_name(value, first['loc'])}{where}: {first['msg']}{more}",
            place=Place(file),
            remedy="mend the file, or write it anew with conda-lock",
        ) from None
    finally:
        logging.disable(logging.NOTSET)


def _entry_name(value: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """Name the package that a fault is about."""
    try:
        entry = value["package"][location[1]] if location[0] == "package" else {}
        return f"{entry['name']}: " if isinstance(entry, dict) and "name" in entry else ""
    except (IndexError, KeyError, TypeError):
        return ""


def _gather(entry: LockedDependencyV1, gathered: Gathered, name_channel: ChannelName, records: Records | None) -> None:
    categories = (entry.category,)
    try:
        if entry.manager == "conda":
            gathered.add_conda(entry.platform, _conda(entry, categories, name_channel, records))
        else:
            gathered.add_wheel(entry.platform, _wheel(entry, categories))
    except NotLockable as error:
        gathered.fault(error.reason, error.subject, entry.platform)


def _conda(
    entry: LockedDependencyV1, categories: tuple[str, ...], name_channel: ChannelName, records: Records | None
) -> CondaPackage:
    return conda_package(
        entry.url,
        name_channel,
        records,
        name=entry.name,
        version=entry.version,
        build=entry.build,
        md5=entry.hash.md5,
        sha256=entry.hash.sha256,
        depends=tuple(f"{name} {constraint}".strip() for name, constraint in sorted(entry.dependencies.items())),
        categories=categories,
    )


def _wheel(entry: LockedDependencyV1, categories: tuple[str, ...]) -> Wheel:
    return wheel_entry(
        entry.name,
        entry.version,
        entry.source.url if entry.source else entry.url,
        entry.hash.sha256,
        direct=entry.source is not None,
        requires=tuple(entry.dependencies),
        categories=categories,
    )
