"""Conda solving: one question, one answer, and the solver that needs no conda executable (py-rattler).

The answer depends on the question and on the channels' repodata, never on the machine: virtual packages are
always stated, times are UTC, and the address behind a channel's name stays out of the answer (DESIGN, 11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from hermetic.errors import CredentialsError, HermeticError, IntegrityError
from hermetic.lock.model import CondaPackage
from hermetic.lock.patience import attended
from hermetic.lock.repodata_cache import DamagedRepodataError, forget_damaged, repodata_bytes
from hermetic.platforms import NOARCH, VirtualPackage
from hermetic.secrets import access
from hermetic.spec.model import CondaRequirement

if TYPE_CHECKING:
    from rattler import Gateway, MatchSpec, RepoDataRecord


_LONGEST = 600
"""Seconds that one request may take in all, a slow download of large repodata included."""


@dataclass(frozen=True)
class ChannelAt:
    """A channel and its address of the moment: the name goes into the lock, the URL only to the solver."""

    name: str
    url: str = field(compare=False, repr=False)


@dataclass(frozen=True)
class CondaRequest:
    """What a conda solver is asked for one platform.

    ``channels`` in order of (strict) priority; ``keep`` are old pins, preferred where they still fit; ``rivals``
    maps a pin's channel to those that now come before it and did not then: what they have, they take over;
    ``moving`` tells that some packages are to move: then pins give way where one of these needs it;
    ``constraints`` are MatchSpecs that limit versions but require nothing; ``exclude_newer`` is in UTC, and what
    was published at that moment still counts.
    """

    platform: str
    channels: tuple[ChannelAt, ...]
    requirements: tuple[CondaRequirement, ...]
    virtual_packages: tuple[VirtualPackage, ...]
    keep: tuple[CondaPackage, ...] = ()
    moving: bool = False
    rivals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    exclude_newer: datetime | None = None


class CondaSolver(Protocol):
    """What can solve conda requirements. One object serves all platforms of a lock, at the same time."""

    async def solve(self, request: CondaRequest) -> tuple[CondaPackage, ...]:
        """Give the packages that meet a request, sorted by name, without categories.

        Raises UnsatisfiableError, NetworkError or CredentialsError, each in the user's terms.
        """


class RattlerSolver:
    """The conda solver of py-rattler.

    Repodata is cached in ``cache``, and reused without asking when offline. ``patience`` counts seconds until a
    silent server is suspected, ``retries`` how often a failing one is asked again.
    """

    def __init__(self, cache: Path, *, offline: bool = False, patience: float = 20, retries: int = 2) -> None:
        self._cache = cache
        self._offline = offline
        self._patience = patience
        self._retries = retries
        self._gateway: Gateway | None = None
        self._headers: dict[tuple[str, str], dict[str, str]] = {}

    async def solve(self, request: CondaRequest) -> tuple[CondaPackage, ...]:
        """Solve (see the Protocol)."""
        try:
            return await self._solve(request)
        except DamagedRepodataError:
            if self._offline or not forget_damaged(self._cache, [channel.url for channel in request.channels]):
                raise
            self._gateway = None
            return await self._solve(request)
        except CredentialsError:
            known = dict(self._headers)
            for channel in request.channels:  # now that a server has asked, the keyring counts too
                self._admit(channel.url, asked=True)
            if self._headers == known:
                raise
            return await self._solve(request)

    async def _solve(self, request: CondaRequest) -> tuple[CondaPackage, ...]:
        from rattler import Channel

        sources = [Channel(self._admit(channel.url)) for channel in request.channels]
        locations = {
            channel.name: str(source.base_url).rstrip("/")
            for channel, source in zip(request.channels, sources, strict=True)
        }
        gateway = self._open()
        work = _preferring(request, sources, locations, gateway)
        try:
            keep, records = await attended(work, {} if self._offline else locations, self._patience, self._arrived)
        except HermeticError:
            raise
        except Exception as error:  # noqa: BLE001 - py-rattler's errors have no base of their own
            from hermetic.lock.conda_errors import explain

            raise await explain(error, request, gateway, sources) from None
        names = {url: name for name, url in locations.items()}
        packages = [package_of(record, _channel_of(record, names)) for record in records]
        kept = {(p.channel, p.subdir, p.file_name, p.sha256): p for p in keep}
        return tuple(sorted(kept.get((p.channel, p.subdir, p.file_name, p.sha256), p) for p in packages))

    async def records(self, channel: ChannelAt, subdir: str, names: Sequence[str]) -> list[CondaPackage]:
        """Give all, with a sha256, that a channel lists in one subdir under some names.

        Raises NetworkError and the like.
        """
        from rattler import Channel

        source = Channel(self._admit(channel.url))
        request = CondaRequest(subdir, (channel,), (), ())
        try:
            found = await attended(
                self._open().query(
                    [source], [subdir], sorted(set(names)), recursive=False, channel_relations="disabled"
                ),
                {} if self._offline else {channel.name: str(source.base_url).rstrip("/")},
                self._patience,
                self._arrived,
            )
        except HermeticError:
            raise
        except Exception as error:  # noqa: BLE001 - py-rattler's errors have no base of their own
            from hermetic.lock.conda_errors import explain

            raise await explain(error, request, self._open(), [source]) from None
        return [package_of(record, channel.name) for records in found for record in records if record.sha256]

    def _arrived(self) -> int:
        """Count the bytes that the cache holds: it grows while something is downloaded."""
        return repodata_bytes(self._cache)

    def _admit(self, url: str, *, asked: bool = False) -> str:
        """Look the credentials for an address up, and keep them for its requests only; give the clean address."""
        granted = access(url, asked=asked)
        parts = urlsplit(granted.url)
        if granted.headers:
            self._headers[parts.hostname or "", parts.path.rstrip("/") + "/"] = dict(granted.headers)
        return granted.url

    def _headers_for(self, host: str, path: str) -> dict[str, str] | None:
        return next(
            (headers for (of, prefix), headers in self._headers.items() if of == host and path.startswith(prefix)), None
        )

    def _open(self) -> Gateway:
        """Give the one gateway: it keeps what it has read, so platforms share the noarch repodata."""
        if self._gateway is None:
            from rattler import Client, Gateway, SourceConfig
            from rattler.networking.middleware import (
                AddHeadersMiddleware,
                AuthenticationMiddleware,
                GCSMiddleware,
                OciMiddleware,
                RetryMiddleware,
                S3Middleware,
            )

            self._cache.mkdir(parents=True, exist_ok=True)
            client = Client(
                [
                    RetryMiddleware(self._retries),
                    AddHeadersMiddleware(self._headers_for),
                    AuthenticationMiddleware(),
                    OciMiddleware(),
                    GCSMiddleware(),
                    S3Middleware(),
                ],
                timeout=_LONGEST,
            )
            self._gateway = Gateway(
                cache_dir=self._cache,
                default_config=SourceConfig(cache_action="force-cache-only" if self._offline else "cache-or-fetch"),
                client=client,
            )
        return self._gateway


async def _preferring(
    request: CondaRequest, sources: Sequence[Any], locations: Mapping[str, str], gateway: Gateway
) -> tuple[list[CondaPackage], list[RepoDataRecord]]:
    """Solve with the old pins held fast; where that cannot be, with the old pins preferred. Give the pins too.

    Where some are to move, pins are only preferred: held fast, they would hold back what is to move.

    Preferring alone is not enough: the newest release of something new is chosen first, and moves old pins for it.
    """
    from rattler import BuildString, ChannelPriority, GenericVirtualPackage, MatchSpec, PackageName, Version, solve
    from rattler.exceptions import SolverError

    keep = await _unrivalled(request, dict(zip(locations, sources, strict=True)), gateway)
    pins = [_record(package, locations[package.channel]) for package in keep]
    question: dict[str, Any] = {
        "gateway": gateway,
        "platforms": [request.platform, NOARCH],
        "virtual_packages": [
            GenericVirtualPackage(PackageName(v.name), Version(v.version), BuildString(v.build))
            for v in request.virtual_packages
        ],
        "channel_priority": ChannelPriority.Strict,
        "exclude_newer": request.exclude_newer,
        "constraints": [MatchSpec(text) for text in request.constraints],
        # What a channel's own repodata adds to the search is not what the spec says (CEP 42).
        "channel_relations": "disabled",
    }
    specs = [_match_spec(requirement, locations) for requirement in request.requirements]
    if pins and not request.moving:
        with suppress(SolverError):
            return keep, await solve(sources, specs, pinned_packages=pins, **question)
    return keep, await solve(sources, specs, locked_packages=pins, **question)


async def _unrivalled(request: CondaRequest, sources: Mapping[str, Any], gateway: Gateway) -> list[CondaPackage]:
    """Give the pins whose names no channel has that was put before theirs since."""
    rivals = {name for names in request.rivals.values() for name in names}
    have = {
        name: {
            found.normalized
            for found in await gateway.names([sources[name]], [request.platform, NOARCH], channel_relations="disabled")
        }
        for name in rivals
    }
    return [p for p in request.keep if not any(p.name in have[name] for name in request.rivals.get(p.channel, ()))]


def _match_spec(requirement: CondaRequirement, locations: Mapping[str, str]) -> MatchSpec:
    from rattler import MatchSpec

    if not requirement.channel:
        return MatchSpec(requirement.match)
    return MatchSpec(f"{locations[requirement.channel]}::{requirement.match}")


def _channel_of(record: RepoDataRecord, names: Mapping[str, str]) -> str:
    """Give the name of a record's channel. An archive that the spec names by URL may be of none: then its address."""
    if record.channel:
        return names[str(record.channel).rstrip("/")]
    address = record.url.rsplit("/", 2)[0]
    return names.get(address, address)


def package_of(record: RepoDataRecord, channel: str) -> CondaPackage:
    """Turn a solver's record into a locked package (see ``package_from``)."""
    return package_from(json.loads(record.to_json()), channel)


def package_from(stated: Mapping[str, Any], channel: str) -> CondaPackage:
    """Give what repodata states as a locked package, under the channel's name, with nothing of this machine.

    Raises IntegrityError for a record without sha256.
    """
    if not stated.get("sha256"):
        raise IntegrityError(
            f"the channel gives no sha256 for {stated['fn']}, and a lock needs one",
            remedy="use a channel whose repodata carries sha256; to an archive that is named by URL add #sha256:DIGEST",
        )
    return CondaPackage(
        name=stated["name"],
        version=stated["version"],
        build=stated["build"],
        build_number=stated["build_number"],
        channel=channel,
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


def _record(package: CondaPackage, location: str) -> RepoDataRecord:
    """Turn a locked package back into a record, so that the solver can prefer it.

    It stays a candidate even where the channel no longer lists it: a lock does not lose what it can still build.
    """
    from rattler import BuildString, NoArchType, PackageRecord, RepoDataRecord

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
        size=package.size,
        license=package.license or None,
        python_site_packages_path=package.python_site_packages_path or None,
    )
    if package.timestamp:
        record.timestamp = datetime.fromtimestamp(package.timestamp / 1000, UTC)
    url = f"{location}/{package.subdir}/{package.file_name}"
    return RepoDataRecord(record, package.file_name, url, f"{location}/")
