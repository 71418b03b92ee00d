"""Resolve a Spec to a Lock: conda and pip as one, all platforms side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hermetic.config import Config
from hermetic.errors import UnsatisfiableError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.channels import channels_of
from hermetic.lock.conda_solver import CondaRequest, CondaSolver, RattlerSolver
from hermetic.lock.merge import with_categories
from hermetic.lock.model import CondaPackage, Lock, PlatformLock
from hermetic.lock.names import provided
from hermetic.lock.pip_resolver import PipAnswer, PipRequest, PipResolver
from hermetic.lock.source import BuildWheel
from hermetic.lock.uv_resolver import UvResolver
from hermetic.platforms import current_platform, virtual_packages
from hermetic.spec.model import Spec

T = TypeVar("T")


@dataclass(frozen=True)
class Resolution:
    """A lock, and what the run found besides: where each wheel was seen (sha256 -> URL, for the store's cache)."""

    lock: Lock
    addresses: Mapping[str, str] = field(default_factory=dict)


def resolve(
    spec: Spec,
    *,
    config: Config,
    previous: Lock | None = None,
    update: Sequence[str] | None = None,
    exclude_newer: str | None = None,
    offline: bool = False,
    reporter: Reporter = SILENT,
    build_wheel: BuildWheel | None = None,
    root: Path | None = None,
) -> Resolution:
    """Resolve a spec for its platforms (by default this machine's).

    ``previous`` gives the pins to keep; ``update`` names the packages that may move (None: none need to, ``["*"]``:
    all may). ``exclude_newer`` is an RFC 3339 time, or a date, which includes that day (UTC). ``root`` is the folder
    that the spec's relative paths start from. Raises UnsatisfiableError, NetworkError, CredentialsError,
    OfflineError, SpecError or UsageError.
    """
    moment = parse_time(exclude_newer)
    platforms = spec.platforms or (current_platform(),)
    cache = config.store or _user_cache()
    solver = RattlerSolver(cache / "repodata", offline=offline)
    job = _Job(spec, config, previous, update, moment, offline, root or Path.cwd(), reporter, solver, UvResolver())
    found = _run(lambda: _all(job, platforms))
    lock = Lock(
        spec=spec.to_dict(),
        platforms={name: platform for name, (platform, _) in sorted(found.items())},
        exclude_newer=moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "",
    )
    addresses: dict[str, str] = {}
    for _, (_, seen) in sorted(found.items()):
        addresses |= seen
    return Resolution(lock, addresses)


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


@dataclass(frozen=True)
class _Job:
    spec: Spec
    config: Config
    previous: Lock | None
    update: Sequence[str] | None
    exclude_newer: datetime | None
    offline: bool
    root: Path
    reporter: Reporter
    conda: CondaSolver
    pip: PipResolver


async def _all(job: _Job, platforms: Sequence[str]) -> dict[str, tuple[PlatformLock, Mapping[str, str]]]:
    found = await asyncio.gather(*(_one(job, platform) for platform in platforms))
    return dict(zip(platforms, found, strict=True))


async def _one(job: _Job, platform: str) -> tuple[PlatformLock, Mapping[str, str]]:
    spec = job.spec.for_platform(platform)
    virtual = virtual_packages(platform, spec.accelerator, dict(spec.system))
    with task(job.reporter, f"solve {platform}", f"Solving {platform}"):
        conda = await job.conda.solve(
            CondaRequest(
                platform=platform,
                channels=channels_of(spec, job.config),
                requirements=spec.conda,
                virtual_packages=virtual,
                exclude_newer=job.exclude_newer,
            )
        )
        answer = await _pip(job, spec, platform, conda) if spec.pip else PipAnswer()
    lock = PlatformLock(
        platform=platform,
        virtual_packages=tuple(str(package) for package in virtual),
        conda=conda,
        wheels=answer.wheels,
        variables=spec.variables,
    )
    return with_categories(spec, lock), answer.addresses


async def _pip(job: _Job, spec: Spec, platform: str, conda: tuple[CondaPackage, ...]) -> PipAnswer:
    python = next((package for package in conda if package.name == "python"), None)
    if python is None:
        raise UnsatisfiableError("pip requirements need a Python", remedy="add python to the conda requirements")
    return await job.pip.resolve(
        PipRequest(
            platform=platform,
            python_version=python.version,
            virtual_packages=virtual_packages(platform, spec.accelerator, dict(spec.system)),
            requirements=tuple(replace(r, hashes=()) for r in spec.pip),
            constraints=spec.constraints,
            options=spec.options,
            provided=provided(conda),
            exclude_newer=job.exclude_newer,
            source_builds=spec.source_builds,
            root=job.root,
            offline=job.offline,
        )
    )


def _run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, also where a loop runs already (a notebook): then in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(make())).result()


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("hermetic")
