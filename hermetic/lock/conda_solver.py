"""Conda solving: one question, one answer, and the solver that needs no conda executable (py-rattler).

The answer depends on the question and on the channels' repodata, never on the machine: virtual packages are
always stated, times are UTC, and the address behind a channel's name stays out of the answer (DESIGN, 11).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hermetic.errors import IntegrityError
from hermetic.lock.conda_errors import explain
from hermetic.lock.model import CondaPackage
from hermetic.platforms import NOARCH, VirtualPackage
from hermetic.spec.model import CondaRequirement

if TYPE_CHECKING:
    from rattler import Gateway, MatchSpec, RepoDataRecord


@dataclass(frozen=True)
class ChannelAt:
    """A channel and its address of the moment: the name goes into the lock, the URL only to the solver."""

    name: str
    url: str = field(compare=False)


@dataclass(frozen=True)
class CondaRequest:
    """What a conda solver is asked for one platform.

    ``channels`` in order of (strict) priority; ``keep`` are old pins, preferred where they still fit;
    ``constraints`` are MatchSpecs that limit versions but require nothing; ``exclude_newer`` is in UTC, and what
    was published at that moment still counts.
    """

    platform: str
    channels: tuple[ChannelAt, ...]
    requirements: tuple[CondaRequirement, ...]
    virtual_packages: tuple[VirtualPackage, ...]
    keep: tuple[CondaPackage, ...] = ()
    constraints: tuple[str, ...] = ()
    exclude_newer: datetime | None = None


class CondaSolver(Protocol):
    """What can solve conda requirements. One object serves all platforms of a lock, at the same time."""

    async def solve(self, request: CondaRequest) -> tuple[CondaPackage, ...]:
        """Give the packages that meet a request, sorted by name, without categories.

        Raises UnsatisfiableError, NetworkError or CredentialsError, each in the user's terms.
        """


class RattlerSolver:
    """The conda solver of py-rattler. Repodata is cached in ``cache``, and reused without asking when offline."""

    def __init__(self, cache: Path, *, offline: bool = False, timeout: int = 60) -> None:
        self._cache = cache
        self._offline = offline
        self._timeout = timeout
        self._gateway: Gateway | None = None

    async def solve(self, request: CondaRequest) -> tuple[CondaPackage, ...]:
        """Solve (see the Protocol)."""
        from rattler import BuildString, ChannelPriority, GenericVirtualPackage, MatchSpec, PackageName, Version, solve

        channels = [_channel(channel) for channel in request.channels]
        locations = {channel.name: found.base_url for channel, found in zip(request.channels, channels, strict=True)}
        try:
            records = await solve(
                channels,
                [_match_spec(requirement, locations) for requirement in request.requirements],
                gateway=self._open(),
                platforms=[request.platform, NOARCH],  # type: ignore[list-item]
                virtual_packages=[
                    GenericVirtualPackage(PackageName(v.name), Version(v.version), BuildString(v.build))
                    for v in request.virtual_packages
                ],
                locked_packages=[_record(package, locations) for package in request.keep],
                channel_priority=ChannelPriority.Strict,
                exclude_newer=request.exclude_newer,
                constraints=[MatchSpec(text) for text in request.constraints],
            )
        except Exception as error:
            raise await explain(error, request, self._open(), channels) from None
        names = {url.rstrip("/"): name for name, url in locations.items()}
        return tuple(sorted(_package(record, names) for record in records))

    def _open(self) -> Gateway:
        """Give the one gateway: it keeps what it has read, so platforms share the noarch repodata."""
        if self._gateway is None:
            from rattler import Client, Gateway, SourceConfig

            self._gateway = Gateway(
                cache_dir=self._cache,
                default_config=SourceConfig(cache_action="force-cache-only" if self._offline else "cache-or-fetch"),
                client=Client.default_client(timeout=self._timeout),
            )
        return self._gateway


def _channel(channel: ChannelAt) -> Any:
    from rattler import Channel

    return Channel(channel.url)


def _match_spec(requirement: CondaRequirement, locations: dict[str, str]) -> MatchSpec:
    from rattler import MatchSpec

    if not requirement.channel:
        return MatchSpec(requirement.match)
    return MatchSpec(f"{locations[requirement.channel].rstrip('/')}::{requirement.match}")


def _package(record: RepoDataRecord, names: dict[str, str]) -> CondaPackage:
    """Turn a solver's record into a locked package; only what repodata says, nothing of this machine."""
    stated: dict[str, Any] = json.loads(record.to_json())
    if not stated.get("sha256"):
        raise IntegrityError(
            f"the channel gives no sha256 for {stated['fn']}",
            remedy="a lock needs one: use a channel whose repodata carries sha256, or re-index this one",
        )
    return CondaPackage(
        name=stated["name"],
        version=stated["version"],
        build=stated["build"],
        build_number=stated["build_number"],
        channel=names[str(stated["channel"]).rstrip("/")],
        subdir=stated["subdir"],
        file_name=stated["fn"],
        size=stated.get("size") or 0,
        sha256=stated["sha256"],
        md5=stated.get("md5") or "",
        depends=tuple(stated.get("depends") or ()),
        constrains=tuple(stated.get("constrains") or ()),
        noarch=stated.get("noarch") or "",
        license=stated.get("license") or "",
        timestamp=stated.get("timestamp") or 0,
        track_features=_features(stated.get("track_features")),
        python_site_packages_path=stated.get("python_site_packages_path") or "",
        purls=tuple(sorted(stated.get("purls") or ())),
    )


def _features(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Read track_features, a list or a string with spaces (CEP 36 knows both)."""
    if not value:
        return ()
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)


def _record(package: CondaPackage, locations: dict[str, str]) -> RepoDataRecord:
    """Turn a locked package back into a record, so that the solver can prefer it."""
    from rattler import BuildString, NoArchType, PackageRecord, RepoDataRecord

    base = locations[package.channel].rstrip("/")
    record = PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        noarch=NoArchType(package.noarch or None),  # type: ignore[arg-type]
        depends=list(package.depends),
        constrains=list(package.constrains),
        sha256=bytes.fromhex(package.sha256),
        md5=bytes.fromhex(package.md5) if package.md5 else None,
        size=package.size,
        license=package.license or None,
        python_site_packages_path=package.python_site_packages_path or None,
    )
    return RepoDataRecord(record, package.file_name, f"{base}/{package.subdir}/{package.file_name}", f"{base}/")
