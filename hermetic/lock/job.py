"""One run of the resolver: the question as a whole, and the parts that answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from hermetic.config import Config
from hermetic.errors import UsageError
from hermetic.events import Reporter
from hermetic.lock.conda_solver import CondaSolver, RattlerSolver
from hermetic.lock.model import Lock, PlatformLock
from hermetic.lock.pip_resolver import PipResolver
from hermetic.lock.source import BuildWheel
from hermetic.platforms import VirtualPackage
from hermetic.spec.model import Spec

FetchArchive: TypeAlias = Callable[[str, str, str], Path]
"""Fetches an archive (URL, sha256, md5; one of the digests may be empty) and gives its path, checked. It blocks."""


@dataclass(frozen=True)
class Job:
    """What is asked, the old pins, and who solves.

    ``exclude_newer`` is in UTC; ``records`` reads repodata; ``cache`` is a folder that may be lost. ``meanwhile``
    is called when the pip resolver's program runs and this process only waits: once per platform.
    """

    spec: Spec
    config: Config
    conda: CondaSolver
    pip: PipResolver
    records: RattlerSolver
    reporter: Reporter
    root: Path
    cache: Path
    previous: Lock | None = None
    update: Sequence[str] | None = None
    exclude_newer: datetime | None = None
    offline: bool = False
    build_wheel: BuildWheel | None = None
    fetch_archive: FetchArchive | None = None
    meanwhile: Callable[[], None] | None = None
    building: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Target:
    """One platform of a job: its part of the spec, and what is assumed of its machines."""

    platform: str
    spec: Spec
    virtual_packages: tuple[VirtualPackage, ...]


@dataclass(frozen=True)
class Resolved:
    """One platform's answer, and where its wheels were seen (sha256 -> URL)."""

    lock: PlatformLock
    addresses: Mapping[str, str] = field(default_factory=dict)


def parse_time(text: str | None) -> datetime | None:
    """Read a time (RFC 3339; without an offset it is UTC) or a date, which stands for its last second, as UTC."""
    if not text:
        return None
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, seconds=-1)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time", remedy="write 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).replace(microsecond=0)
