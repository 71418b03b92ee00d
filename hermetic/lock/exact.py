"""Explicit lists (CEP 23): the archives are named already; only what a lock says of them is looked up.

Edges, size and the missing digests come from the channels' repodata, and where a channel no longer lists an archive,
from the archive itself. A digest that the list states must be the one that is found.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hermetic.config import Config, channel_url, public_channel_url
from hermetic.digest import sha256_file
from hermetic.errors import IntegrityError, UnsatisfiableError
from hermetic.lock.conda_side import PYTHON
from hermetic.lock.conda_solver import ChannelAt, package_of
from hermetic.lock.job import Job, Target
from hermetic.lock.model import CondaPackage
from hermetic.lock.pip_resolver import PipAnswer
from hermetic.lock.pip_side import resolve_pip


@dataclass(frozen=True)
class _Archive:
    """One line of a list."""

    base: str
    subdir: str
    file_name: str
    sha256: str
    md5: str

    @classmethod
    def parse(cls, line: str) -> _Archive:
        url, _, digest = line.partition("#")
        rest, _, file_name = url.rpartition("/")
        base, _, subdir = rest.rpartition("/")
        sha256 = digest.removeprefix("sha256:") if digest.startswith("sha256:") else ""
        return cls(base, subdir, file_name, sha256, "" if sha256 else digest)

    @property
    def name(self) -> str:
        return self.file_name.rsplit("-", 2)[0]


async def resolve_exact(job: Job, target: Target) -> tuple[tuple[CondaPackage, ...], PipAnswer]:
    """Give the packages of an explicit list, and what its pip requirements need beside them.

    Raises IntegrityError for a digest that differs, UnsatisfiableError for an archive that nothing knows.
    """
    by_place: dict[tuple[str, str], list[_Archive]] = defaultdict(list)
    for line in target.spec.exact:
        archive = _Archive.parse(line)
        by_place[archive.base, archive.subdir].append(archive)
    parts = await asyncio.gather(
        *(_look_up(job, base, subdir, archives) for (base, subdir), archives in sorted(by_place.items()))
    )
    conda = tuple(sorted(package for part in parts for package in part))
    if not target.spec.pip:
        return conda, PipAnswer()
    if all(package.name != PYTHON for package in conda):
        raise UnsatisfiableError("the list has wheels and no python for them", remedy="add python's archive to it")
    return conda, await resolve_pip(job, target, conda)


def channel_name(config: Config, base: str) -> str:
    """Give the name of the channel at an address, or the address itself if it has none."""
    for name in config.channels:
        if base.rstrip("/") in {channel_url(config, name), public_channel_url(config, name)[0]}:
            return name
    from rattler import Channel

    channel = Channel(base)
    if channel.name and "/" not in channel.name and str(Channel(channel.name).base_url).rstrip("/") == base.rstrip("/"):
        return str(channel.name)
    return base


async def _look_up(job: Job, base: str, subdir: str, archives: list[_Archive]) -> list[CondaPackage]:
    name = channel_name(job.config, base)
    channel = ChannelAt(name, channel_url(job.config, name) if name in job.config.channels else base)
    listed = {p.file_name: p for p in await job.records.records(channel, subdir, [a.name for a in archives])}
    return [
        _checked(archive, listed[archive.file_name])
        if archive.file_name in listed
        else await _from_archive(job, archive, channel)
        for archive in archives
    ]


async def _from_archive(job: Job, archive: _Archive, channel: ChannelAt) -> CondaPackage:
    if job.fetch_archive is None or not (archive.sha256 or archive.md5):
        raise UnsatisfiableError(
            f"channel {channel.name} does not list {archive.subdir}/{archive.file_name}",
            remedy="name an archive that it has, and its digest",
        )
    url = f"{channel.url}/{archive.subdir}/{archive.file_name}"
    path: Path = await asyncio.to_thread(job.fetch_archive, url, archive.sha256, archive.md5)
    from rattler import RepoDataRecord

    record: Any = await RepoDataRecord.from_package_archive(path)
    record.url = url
    record.sha256 = bytes.fromhex(await asyncio.to_thread(sha256_file, path))
    found = package_of(record, channel.name)
    return _checked(archive, replace(found, subdir=archive.subdir, file_name=archive.file_name))


def _checked(archive: _Archive, package: CondaPackage) -> CondaPackage:
    for what, stated, found in (("sha256", archive.sha256, package.sha256), ("md5", archive.md5, package.md5)):
        if stated and found and stated != found:
            raise IntegrityError(
                f"{archive.file_name}: the list says {what} {stated}, channel {package.channel} {found}",
                remedy="the archive was replaced, or the list was changed: find out which before you trust either",
            )
    return package
