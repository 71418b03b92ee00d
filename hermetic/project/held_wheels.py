"""Wheels that stay behind their index, and what holds them.

A lock says which wheels need which, not in which versions; so the metadata of those few files is read that may hold
one back, as the index offers it beside the files (PEP 658). An index without the JSON of PEP 691 is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from hermetic.config import Config
from hermetic.errors import HermeticError
from hermetic.lock.held import Held, Hold
from hermetic.lock.incremental import ALL
from hermetic.lock.markers import holds as marker_holds
from hermetic.lock.model import PlatformLock, Wheel
from hermetic.lock.names import normal_name, provided
from hermetic.lock.targets import wheel_rank, wheel_tags
from hermetic.platforms import VirtualPackage
from hermetic.spec.model import Spec
from hermetic.spec.times import parse_time

_JSON = "application/vnd.pypi.simple.v1+json"
_ASKED = 8
"""Wheels, of those that need a held one, whose metadata is read."""
_SHOWN = 3


def held_wheels(
    spec: Spec, locks: Sequence[PlatformLock], update: Sequence[str], *, config: Config, exclude_newer: datetime | None
) -> tuple[Held, ...]:
    """Tell which wheels stay behind their index: of those named, or with ``*`` of those declared.

    What cannot be looked up is left out.
    """
    named = {normal_name(name) for name in update}
    index = _Index(config, exclude_newer)
    folded: dict[tuple[str, str, str, tuple[Hold, ...]], list[str]] = {}
    for lock in locks:
        asked = spec.for_platform(lock.platform)
        declared = {requirement.name for requirement in asked.pip}
        for wheel in lock.wheels:
            if wheel.url or wheel.origin or not (wheel.name in declared if ALL in update else wheel.name in named):
                continue
            newest = index.newest(wheel, lock)
            if newest:
                holds = tuple(_holds(wheel, newest, lock, asked, index))
                folded.setdefault((wheel.name, wheel.version, newest["version"], holds), []).append(lock.platform)
    return tuple(
        Held(name, version, newest, holds, tuple(platforms))
        for (name, version, newest, holds), platforms in sorted(folded.items(), key=lambda item: item[0][:3])
    )


class _Index:
    """What indexes say of projects; each is asked once."""

    def __init__(self, config: Config, exclude_newer: datetime | None) -> None:
        from hermetic.store.http import Client

        self._client = Client()
        self._config = config
        self._limit = exclude_newer
        self._pages: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def files(self, wheel: Wheel) -> list[dict[str, Any]]:
        """Give a project's files as the index states them, each with its ``address``; none if it cannot be asked."""
        key = (wheel.index, wheel.name)
        if key not in self._pages:
            self._pages[key] = list(self._ask(wheel))
        return self._pages[key]

    def _ask(self, wheel: Wheel) -> Iterator[dict[str, Any]]:
        from hermetic.store.index import index_addresses

        for index in index_addresses(self._config, wheel):
            if not index.startswith(("http://", "https://")):
                continue
            with suppress(HermeticError, ValueError, KeyError, TypeError, AttributeError):
                data, media, address = self._client.get_bytes(f"{index.rstrip('/')}/{wheel.name}/", accept=_JSON)
                if "json" in media:
                    yield from (
                        {**file, "address": urljoin(address, file["url"])} for file in json.loads(data)["files"]
                    )
                    return

    def newest(self, wheel: Wheel, lock: PlatformLock) -> dict[str, Any] | None:
        """Give the file of the newest release that this platform could run, if it is newer than the wheel."""
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename
        from packaging.version import InvalidVersion, Version

        python = lock.python()
        if python is None:
            return None
        tags = wheel_tags(lock.platform, python.version, tuple(map(VirtualPackage.parse, lock.virtual_packages)))
        try:
            best = own = Version(wheel.version)
        except InvalidVersion:
            return None
        found = None
        for file in self.files(wheel):
            try:
                _, version, *_ = parse_wheel_filename(str(file.get("filename")))
            except (InvalidWheelFilename, InvalidVersion):
                continue
            counts = (
                version > best
                and (not version.is_prerelease or own.is_prerelease)
                and self._counts(file, python.version)
            )
            if counts and wheel_rank(file["filename"], tags) is not None:
                best, found = version, {**file, "version": str(version)}
        return found

    def _counts(self, file: Mapping[str, Any], python: str) -> bool:
        if file.get("yanked") or not _contains(str(file.get("requires-python") or ""), python):
            return False
        if self._limit is None:
            return True
        uploaded = parse_time(str(file.get("upload-time") or "")[:19])
        return uploaded is not None and uploaded <= self._limit

    def needs(self, file: Mapping[str, Any] | None, lock: PlatformLock) -> Iterator[tuple[str, str]]:
        """Give what a file needs on a platform, as (project, specifier), if the index has its metadata."""
        from email.parser import Parser

        from packaging.requirements import InvalidRequirement, Requirement

        if not file or not (file.get("core-metadata") or file.get("dist-info-metadata")):
            return
        python = lock.python()
        with suppress(HermeticError, UnicodeDecodeError):
            data, *_ = self._client.get_bytes(f"{file['address']}.metadata")
            for text in Parser().parsestr(data.decode(), headersonly=True).get_all("Requires-Dist", []):
                with suppress(InvalidRequirement):
                    need = Requirement(text)
                    if marker_holds(str(need.marker or ""), lock.platform, python.version if python else ""):
                        yield normal_name(need.name), str(need.specifier)


def _holds(wheel: Wheel, newest: Mapping[str, Any], lock: PlatformLock, spec: Spec, index: _Index) -> Iterator[Hold]:
    """Find what speaks against the newest release: what is declared, who needs less, what it needs more."""
    version = newest["version"]
    found = [
        Hold("", requirement.text, place=requirement.place)
        for requirement in (*spec.pip, *spec.constraints)
        if requirement.name == wheel.name and not _contains(requirement.specifier, version)
    ]
    for other in [other for other in lock.wheels if wheel.name in other.requires][:_ASKED]:
        own = next((file for file in index.files(other) if file.get("filename") == other.file_name), None)
        found += [
            Hold(f"{other.name} {other.version}", f"{name}{specifier}")
            for name, specifier in index.needs(own, lock)
            if name == wheel.name and not _contains(specifier, version)
        ]
    if not found:
        locked = {project.name: project.version for project in provided(lock.conda)}
        locked |= {other.name: other.version for other in lock.wheels}
        found = [
            Hold(f"{wheel.name} {version}", f"{name}{specifier}", f"{name} {locked[name]}")
            for name, specifier in index.needs(newest, lock)
            if name in locked and not _contains(specifier, locked[name])
        ]
    yield from list(dict.fromkeys(found))[:_SHOWN] or [Hold()]


def _contains(specifier: str, version: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True
