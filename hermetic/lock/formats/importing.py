"""What all imports share: packages gathered by platform, what cannot be locked named, and a sound Lock made.

Another tool's lock may hold what a hermetic lock cannot: an archive that only an md5 names, a package that is built
from a checkout, a wheel that is no wheel. Such a file is refused whole, with every reason: half a lock is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hermetic.errors import LockFileError, Place, SpecError, UsageError
from hermetic.lock.file import lock_from_dict, lock_to_dict
from hermetic.lock.formats.addresses import (
    ChannelName,
    file_name_of,
    index_and_url,
    split_conda_address,
    split_file_name,
)
from hermetic.lock.formats.wheels import split_wheel_name
from hermetic.lock.graph import match_name
from hermetic.lock.jsontext import show
from hermetic.lock.model import CondaPackage, Lock, PlatformLock, Wheel
from hermetic.lock.names import normal_name, provided
from hermetic.lock.shape import Malformed
from hermetic.platforms import NOARCH, PLATFORMS, Accelerator, VirtualPackage, check_platform, virtual_packages
from hermetic.spec.private_urls import is_private, parse_private
from hermetic.spec.urls import clean_url, is_url

_SHOWN = 8
_LOWER_BOUND = re.compile(r"(?:>=|==|=|>)?\s*(\d+(?:\.\d+)*)")


class Records(Protocol):
    """What can tell the repodata record (CEP 36) of an archive, for lists that say nothing but its address."""

    def __call__(self, channel: str, subdir: str, file_name: str) -> Mapping[str, Any] | None:
        """Give the record, or None if the channel (an address) does not have the file."""


@dataclass
class Gathered:
    """What an import found so far. ``only`` limits it to some platforms (empty: all)."""

    file: str
    only: Sequence[str] = ()
    conda: dict[str, dict[str, CondaPackage]] = field(default_factory=dict)
    wheels: dict[str, dict[str, Wheel]] = field(default_factory=dict)
    faults: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def platform(self, name: str) -> bool:
        """Begin a platform, even if it holds nothing. Gives whether it is wanted; an unknown one is a fault."""
        if self.only and name not in self.only:
            return False
        try:
            check_platform(name)
        except UsageError as error:
            self.fault(error.message)
            return False
        self.conda.setdefault(name, {})
        self.wheels.setdefault(name, {})
        return True

    def fault(self, reason: str, subject: str = "", platform: str = "") -> None:
        """Note why the file cannot be a lock: what is wrong, with which package, on which platform."""
        platforms = self.faults.setdefault(reason, {}).setdefault(subject, set())
        if platform:
            platforms.add(platform)

    def add_conda(self, platform: str, package: CondaPackage) -> None:
        """Add an archive; the same one in several categories is one."""
        self._add(self.conda[platform], package, platform)

    def add_wheel(self, platform: str, wheel: Wheel) -> None:
        """Add a wheel; the same one in several categories is one."""
        self._add(self.wheels[platform], wheel, platform)

    def _add(self, packages: dict[str, Any], package: CondaPackage | Wheel, platform: str) -> None:
        old = packages.get(package.name)
        if old is None:
            packages[package.name] = package
        elif replace(old, categories=()) == replace(package, categories=()):
            packages[package.name] = replace(old, categories=tuple(sorted({*old.categories, *package.categories})))
        else:
            self.fault("locked twice", f"{package.name} ({old.file_name}, {package.file_name})", platform)

    def lock(self, channels: Iterable[str], *, exclude_newer: str = "", spec: Mapping[str, Any] | None = None) -> Lock:
        """Make the Lock. Raises LockFileError with every fault; with unknown platforms asked for, UsageError."""
        missing = [name for name in self.only if name not in self.conda]
        if missing:
            held = ", ".join(sorted(self.conda)) or "no platform that was asked for"
            raise UsageError(f"{self.file} does not lock {', '.join(missing)}", remedy=f"it locks {held}")
        if self.faults:
            raise refused(self.file, self.faults)
        if not self.conda:
            raise LockFileError("this lock locks nothing", place=Place(self.file), remedy="import another file")
        platforms = {
            name: platform_lock(name, tuple(self.conda[name].values()), tuple(self.wheels[name].values()))
            for name in sorted(self.conda)
        }
        own = {"channels": list(dict.fromkeys(channels)), "platforms": sorted(platforms)}
        lock = Lock(
            spec=dict(spec) if spec is not None else {name: value for name, value in own.items() if value},
            platforms=platforms,
            exclude_newer=exclude_newer,
        )
        try:
            lock_from_dict(lock_to_dict(lock))
        except Malformed as error:  # another tool took what no reader of ours does: a digest that is none, say
            raise refused(self.file, {f"{show(error.path)} {error.message}": {"": set()}}) from None
        return lock


def refused(file: str, faults: Mapping[str, Mapping[str, AbstractSet[str]]]) -> LockFileError:
    """Make the error for a file that cannot be imported: each reason, with the first packages it is about."""
    lines = []
    for reason, subjects in faults.items():
        names = [f"{name} ({', '.join(sorted(on))})" if on else name for name, on in list(subjects.items())[:_SHOWN]]
        more = f" ... ({len(subjects)} in all)" if len(subjects) > _SHOWN else ""
        lines.append(f"{reason}: {', '.join(names)}{more}" if any(subjects) else reason)
    return LockFileError(
        "this lock cannot be imported: " + "; ".join(lines),
        place=Place(file),
        remedy="import what can be with --platform, or lock the spec that it was made from with `hermetic lock`",
    )


def platform_lock(platform: str, conda: tuple[CondaPackage, ...], wheels: tuple[Wheel, ...]) -> PlatformLock:
    """Make one platform's lock: wheels keep the requirements that are locked, virtual packages are worked out."""
    known = {found.name for found in provided(conda)} | {wheel.name for wheel in wheels}
    return PlatformLock(
        platform,
        assumed(platform, (depend for package in conda for depend in package.depends)),
        conda,
        tuple(
            replace(
                wheel, requires=tuple(sorted({normal_name(name) for name in wheel.requires} & known - {wheel.name}))
            )
            for wheel in wheels
        ),
    )


def assumed(platform: str, depends: Iterable[str]) -> tuple[str, ...]:
    """Give the virtual packages that a lock of another tool must have assumed.

    They are hermetic's for the platform, raised to the highest lower bound that a package states: ``__cuda >=12.4``
    makes it a lock for CUDA 12.4, ``__glibc >=2.34`` one for glibc 2.34.
    """
    found = {package.name: package for package in virtual_packages(platform, Accelerator(), {})}
    for depend in depends:
        name = match_name(depend)
        if not name.startswith("__"):
            continue
        words = depend.split(None, 1)
        bounds = [match[1] for part in re.split(r"[,|]", words[1]) if (match := _LOWER_BOUND.match(part.strip()))] \
            if len(words) == 2 else []  # fmt: skip
        wanted = max(bounds, key=_numbers, default="")
        have = found.get(name)
        if have is None:
            found[name] = VirtualPackage(name, wanted or "0")
        elif wanted and name != "__archspec" and _numbers(wanted) > _numbers(have.version):
            found[name] = replace(have, version=wanted)
    return tuple(str(package) for package in sorted(found.values()))


def conda_package(url: str, channel_name: ChannelName, records: Records | None = None, **stated: Any) -> CondaPackage:
    """Make an archive's entry from its address and what is stated of it.

    What the address tells (name, version, build, subdir) needs not be stated. Where nobody states them, the build
    number is read off the build string, and a noarch package that needs Python counts as a Python one; where its
    needs are not known either, what kind of noarch it is only the archive tells. ``records`` is asked for what is
    not stated, and only believed if it is of the same bytes. Raises NotLockable, with the reason and the package,
    for what no lock of ours can hold.
    """
    parts = split_conda_address(url)
    names = split_file_name(parts[2]) if parts else None
    if not parts or not names:
        raise NotLockable("no published conda archive", stated.get("name") or url.partition("?")[0])
    channel, subdir, file_name = parts
    stated = _without_none(stated)
    if records and (record := records(channel, subdir, file_name)):
        for digest in ("sha256", "md5"):
            if stated.get(digest) and record.get(digest) != stated[digest]:
                raise NotLockable(f"with another {digest} than its channel gives", names[0].lower())
        stated = {**_stated_of(record), **stated}
    fields = {"name": names[0].lower(), "version": names[1], "build": names[2], **stated}
    if subdir not in PLATFORMS and subdir != NOARCH:
        raise NotLockable(f"for {subdir}, which hermetic does not know", fields["name"])
    if not fields.get("sha256"):
        md5 = "without sha256 (an md5 proves nothing)" if fields.get("md5") else "without a digest"
        raise NotLockable(md5, fields["name"])
    fields.setdefault("build_number", build_number(fields["build"]))
    fields.setdefault("size", 0)
    if not fields.get("noarch") and subdir == NOARCH and "depends" in fields:
        python = any(match_name(depend) in {"python", "python_abi"} for depend in fields["depends"])
        fields["noarch"] = "python" if python else "generic"
    return CondaPackage(channel=channel_name(channel), subdir=subdir, file_name=file_name, **fields)


def wheel_entry(name: str, version: str, address: str, sha256: str | None, *, index: str = "", direct: bool = False,
                **more: Any) -> Wheel:  # fmt: skip
    """Make a wheel's entry from its address. ``direct``: the user asked for this very address.

    Raises NotLockable, with the reason and the package, for what is no wheel with a sha256.
    """
    subject = f"{name} {version}".strip()
    if is_private(address):
        try:
            private = parse_private(address)
        except SpecError as error:
            raise NotLockable(error.message, subject) from None
        if sha256 not in {None, private.sha256}:
            raise NotLockable("with another sha256 than its URL says", subject)
        address, sha256, direct = private.url, private.sha256, True
    file_name = file_name_of(address)
    if not is_url(address):
        raise NotLockable("a file or project of the machine that locked", subject)
    if split_wheel_name(file_name) is None:
        raise NotLockable(_kind(address), subject)
    if not sha256:
        raise NotLockable("without sha256", subject)
    index, url = ("", clean_url(address, fragment=False)) if direct else index_and_url(address, file_name, index)
    return Wheel(
        name=normal_name(name), version=version, file_name=file_name, sha256=sha256, index=index, url=url,
        **{"size": 0, **_without_none(more)},
    )  # fmt: skip


class NotLockable(Exception):  # noqa: N818  # never leaves an import: it becomes a fault of the file
    """A package cannot be in a lock of ours."""

    def __init__(self, reason: str, subject: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.subject = subject


def _kind(address: str) -> str:
    if address.startswith(("git+", "hg+", "svn+", "bzr+")) or ".git@" in address or address.endswith(".git"):
        return "a VCS checkout, not a wheel"
    if file_name_of(address).endswith((".tar.gz", ".zip", ".tar.bz2", ".tgz")):
        return "a source archive, not a wheel"
    return "no published wheel"


def build_number(build: str) -> int:
    """Read a build number off a build string: ``py311h1_3`` is 3. 0 where there is none."""
    last = re.search(r"(?:\A|_)(\d{1,9})(?:_cpython|_cp\d+|_pypy\d*)?\Z", build)
    return int(last[1]) if last else 0


def _stated_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a repodata record (CEP 36) states, in the lock's words."""
    words = ("name", "version", "build", "build_number", "sha256", "md5", "size", "license", "timestamp",
             "python_site_packages_path")  # fmt: skip
    features = record.get("track_features") or ()
    stated = {
        **{name: record.get(name) for name in words},
        **{name: tuple(record.get(name) or ()) for name in ("depends", "constrains")},
        "purls": tuple(sorted(record.get("purls") or ())),
        "noarch": record.get("noarch") if isinstance(record.get("noarch"), str) else None,
        "track_features": tuple(features.split() if isinstance(features, str) else features),
    }
    return _without_none(stated)


def _without_none(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if value is not None}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
