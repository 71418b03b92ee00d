"""``@EXPLICIT`` lists (CEP 23): one archive's address per line, in the order of installation.

Behind ``#`` stands a digest. conda 24.9, mamba 2.1 and rattler read ``sha256:`` and 64 digits, older ones only an
md5, which everybody reads and nobody should trust; so sha256 is the default. Wheels stand in ``# pip`` comments, as
conda-lock writes them: conda passes over them, conda-lock and hermetic install them.

A list says nothing of dependencies, sizes and build numbers. ``records`` (a channel's repodata) can fill them in,
and only it can turn an md5 into a sha256; without it a list with sha256 makes a lock without edges, which builds
the same bytes but cannot be explained (``tree``, ``why``), and a list with less is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hermetic.errors import UsageError
from hermetic.lock.formats.addresses import ChannelName, CondaAddress, WheelAddress, channel_names, file_name_of
from hermetic.lock.formats.importing import Gathered, NotLockable, Records, conda_package, wheel_entry
from hermetic.lock.formats.wheels import split_wheel_name
from hermetic.lock.graph import match_name
from hermetic.lock.model import CondaPackage, Lock, PlatformLock
from hermetic.platforms import current_platform
from hermetic.spec.explicit import parse_explicit
from hermetic.spec.model import PipRequirement, Spec


def format_explicit(
    lock: PlatformLock, conda_address: CondaAddress, wheel_address: WheelAddress, *, md5: bool = False
) -> str:
    """Write one platform's lock as an explicit list; ``md5`` is for clients that know no other digest.

    Raises UsageError if ``md5`` is wanted and a channel gave none.
    """
    lines = [
        "# An explicit list (CEP 23), exported by hermetic.",
        "# conda create --name NAME --file THIS_FILE",
        f"# platform: {lock.platform}",
        "@EXPLICIT",
    ]
    for package in install_order(lock.conda):
        if md5 and not package.md5:
            raise UsageError(f"the channel gave no md5 for {package.name}", remedy="export with sha256, the default")
        lines.append(f"{conda_address(package)}#{package.md5 if md5 else f'sha256:{package.sha256}'}")
    lines += [f"# pip {wheel.name} @ {wheel_address(wheel)}#sha256={wheel.sha256}" for wheel in lock.wheels]
    return "\n".join(lines) + "\n"


def read_explicit_lock(
    text: str,
    file: str,
    *,
    channel_name: ChannelName | None = None,
    records: Records | None = None,
    platforms: Sequence[str] = (),
) -> Lock:
    """Read an explicit list as a lock.

    A list without platform is for the only one of ``platforms``, or for this machine's. Raises SpecError for what
    is no such list, LockFileError for one that does not say enough.
    """
    spec = parse_explicit(text, Path(file), root=Path(file).parent)
    stated = spec.platforms or tuple(platforms[:1]) or (current_platform(),)
    gathered = Gathered(file, platforms)
    name_channel = channel_names((), channel_name)
    if gathered.platform(stated[0]):
        _gather(spec, stated[0], gathered, name_channel, records)
    return gathered.lock((), spec={**spec.to_dict(), "platforms": list(stated)})


def install_order(packages: Sequence[CondaPackage]) -> list[CondaPackage]:
    """Sort packages so that each stands after what it needs; within that, by name. Cycles are cut where they close."""
    by_name = {package.name: package for package in packages}
    needs = {
        name: sorted({match_name(depend) for depend in package.depends} & by_name.keys() - {name}, reverse=True)
        for name, package in by_name.items()
    }
    done: dict[str, CondaPackage] = {}
    entered: set[str] = set()
    waiting = sorted(by_name, reverse=True)
    while waiting:
        name = waiting[-1]
        below = [] if name in entered else [other for other in needs[name] if other not in entered]
        entered.add(name)
        if below:
            waiting += below
        else:
            done.setdefault(waiting.pop(), by_name[name])
    return list(done.values())


def _gather(spec: Spec, platform: str, gathered: Gathered, name_channel: ChannelName, records: Records | None) -> None:
    for line in spec.exact:
        url, _, digest = line.partition("#")
        kind, _, value = digest.rpartition(":")
        try:
            stated = {"sha256" if kind == "sha256" else "md5": value or None}
            gathered.add_conda(platform, conda_package(url, name_channel, records, **stated))
        except NotLockable as error:
            gathered.fault(error.reason, error.subject)
    for requirement in spec.pip:
        try:
            gathered.add_wheel(platform, wheel_entry(**_wheel(requirement)))
        except NotLockable as error:
            gathered.fault(error.reason, error.subject)


def _wheel(requirement: PipRequirement) -> dict[str, Any]:
    """Read a ``# pip`` line: a wheel's address with its digest behind ``#`` or in ``--hash``."""
    digests = [text.removeprefix("sha256:") for text in requirement.hashes if text.startswith("sha256:")]
    return {
        "name": requirement.name,
        "version": _version(requirement),
        "address": requirement.url,
        "sha256": digests[0] if len(digests) == 1 else None,
    }


def _version(requirement: PipRequirement) -> str:
    found = split_wheel_name(file_name_of(requirement.url))
    return found[1] if found else requirement.specifier.removeprefix("==")
