"""One run of the resolver: the question as a whole, and the parts that answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
from hermetic.spec.private_urls import PrivateUrl
from hermetic.spec.times import parse_time

NO_CUT_OFF = "none"
"""What is said in a date's place so that everything counts again."""

FetchArchive: TypeAlias = Callable[[str, str, str], Path]
"""Fetches an archive (URL, sha256, md5; one of the digests may be empty) and gives its path, checked. It blocks."""

FetchWheels: TypeAlias = Callable[[Sequence[PrivateUrl]], Sequence[Path]]
"""Fetches wheels of workspaces, side by side, and gives their paths, checked. It blocks."""


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
    fetch_wheels: FetchWheels | None = None
    meanwhile: Callable[[], None] | None = None
    building: asyncio.Lock = field(default_factory=asyncio.Lock)
    bringing: asyncio.Lock = field(default_factory=asyncio.Lock)


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


def cut_off(asked: str | None, spec: Spec, previous: Lock | None, reporter: Reporter) -> datetime | None:
    """Give the moment after which nothing counts that was published: asked for, else declared, else as it was before.

    Asked for ``none``, there is none. One that was only declared before, and is not any more, is gone with that.
    Raises UsageError for what is no time.
    """
    if asked is not None:
        if not asked.strip():
            raise UsageError("the date is empty", remedy="write 2026-01-31 or 2026-01-31T12:00:00Z, or none")
        return None if asked == NO_CUT_OFF else parse_time(asked)
    if spec.exclude_newer:
        return parse_time(spec.exclude_newer)
    if previous is None or previous.spec.get("exclude_newer") == previous.exclude_newer:
        return None
    moment = parse_time(previous.exclude_newer)
    if moment:
        reporter.say(
            f"nothing is taken that was published after {moment:%Y-%m-%d %H:%M:%S} UTC, as in the lock before; "
            f"'hermetic lock --exclude-newer {NO_CUT_OFF}' lifts that"
        )
    return moment
