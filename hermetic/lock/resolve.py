"""Resolve a Spec to a Lock: conda and pip as one, all platforms side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from hermetic.config import Config, patience
from hermetic.errors import HermeticError, UnsatisfiableError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock import backends
from hermetic.lock.conda_side import PYTHON, solve_conda, wants_python
from hermetic.lock.conda_solver import CondaSolver, RattlerSolver
from hermetic.lock.incremental import check_update, kept_wheels
from hermetic.lock.job import FetchArchive, FetchWheels, Job, Resolved, Target, cut_off
from hermetic.lock.model import CondaPackage, Lock, PlatformLock
from hermetic.lock.pip_checks import refuse_missing, refuse_sources
from hermetic.lock.pip_resolver import NeedsSourceError, PipAnswer, PipResolver, PythonRefusedError
from hermetic.lock.pip_side import resolve_pip
from hermetic.lock.source import BuildWheel
from hermetic.platforms import current_platform, virtual_packages
from hermetic.spec.model import CondaRequirement, Spec
from hermetic.spec.times import time_text

T = TypeVar("T")

_OLDEST_PYTHON = (3, 8)
"""Where the search for a Python that the requirements admit ends."""


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
    fetch_archive: FetchArchive | None = None,
    fetch_wheels: FetchWheels | None = None,
    meanwhile: Callable[[], None] | None = None,
    root: Path | None = None,
    conda_solver: CondaSolver | str = "",
    pip_resolver: PipResolver | str = "",
) -> Resolution:
    """Resolve a spec for its platforms (by default this machine's).

    ``previous`` gives the pins to keep; ``update`` names the packages that may move (None: none need to, ``["*"]``:
    all may). ``exclude_newer`` is an RFC 3339 time, or a date, which includes that day (UTC); without one, what the
    spec declares or ``previous`` was made with holds, and ``none`` lifts that. ``root`` is the folder that the spec's
    relative paths start from. ``build_wheel`` builds what the spec allows to be built; ``fetch_archive`` fetches what
    an explicit list names and no channel lists, ``fetch_wheels`` the wheels of workspaces. ``meanwhile`` is called
    when there is nothing to do but to wait, for work that is needed later (imports, say): several times, or never.
    The solvers are py-rattler and uv (pip-tools where there is no uv) unless others are named (``backends``) or given.

    Raises UnsatisfiableError, NetworkError, CredentialsError, OfflineError, SpecError or UsageError; where several
    platforms fail, the first of them speaks, and the message names the others.
    """
    moment = cut_off(exclude_newer, spec, previous, reporter)
    platforms = spec.platforms or (current_platform(),)
    check_update(previous, update)
    refuse_sources(spec)
    refuse_missing(spec, root or Path.cwd())
    cache = cache_folder(config)
    offline = offline or config.offline
    waits = patience()
    rattler = RattlerSolver(cache / "repodata", offline=offline, patience=waits.timeout, retries=waits.retries)
    if isinstance(conda_solver, str):
        conda_solver = backends.conda_solver(conda_solver, rattler, offline=offline)
    if isinstance(pip_resolver, str):
        pip_resolver = backends.pip_resolver(pip_resolver, cache, reporter)
    job = Job(
        spec=spec,
        config=config,
        conda=conda_solver,
        records=rattler,
        pip=pip_resolver,
        reporter=reporter,
        root=root or Path.cwd(),
        cache=cache,
        previous=previous,
        update=update,
        exclude_newer=moment,
        offline=offline,
        build_wheel=build_wheel,
        fetch_archive=fetch_archive,
        fetch_wheels=fetch_wheels,
        meanwhile=meanwhile,
    )
    found = _run(lambda: _all(job, platforms))
    addresses = {digest: url for _, resolved in sorted(found.items()) for digest, url in resolved.addresses.items()}
    locks = _with_sizes(job, {name: resolved.lock for name, resolved in found.items()}, addresses)
    lock = Lock(
        spec=spec.to_dict(),
        platforms=dict(sorted(locks.items())),
        exclude_newer=time_text(moment),
    )
    return Resolution(lock, addresses)


def cache_folder(config: Config) -> Path:
    """Give the folder for what may be forgotten: repodata, stubs, sizes."""
    if config.store:
        return config.store / "solving"
    from platformdirs import user_cache_path

    return user_cache_path("hermetic")


async def _all(job: Job, platforms: Sequence[str]) -> dict[str, Resolved]:
    found = await asyncio.gather(*(_one(job, platform) for platform in platforms), return_exceptions=True)
    failed = {name: result for name, result in zip(platforms, found, strict=True) if isinstance(result, BaseException)}
    if failed:
        raise _summed_up(failed)
    return {name: result for name, result in zip(platforms, found, strict=True) if isinstance(result, Resolved)}


def _summed_up(failed: Mapping[str, BaseException]) -> BaseException:
    """Give the first platform's error, naming the other platforms that failed too."""
    unforeseen = next((error for error in failed.values() if not isinstance(error, HermeticError)), None)
    first = unforeseen or next(iter(failed.values()))
    others = list(failed)[1:]
    if isinstance(first, HermeticError) and others:
        first.message += f"\n  not for {', '.join(others)} either"
    return first


async def _one(job: Job, platform: str) -> Resolved:
    spec = job.spec.for_platform(platform)
    target = Target(platform, spec, virtual_packages(platform, spec.accelerator, dict(spec.system)))
    with task(job.reporter, f"resolve {platform}", f"resolving {platform}"):
        if spec.exact:
            from hermetic.lock.exact import resolve_exact

            conda, answer = await resolve_exact(job, target)
        elif wants_python(target):
            conda, answer = await _with_newest_python(job, target)
        else:
            conda = await solve_conda(job, target)
            answer = await resolve_pip(job, target, conda) if spec.pip else PipAnswer()
    lock = PlatformLock(
        platform=platform,
        virtual_packages=tuple(map(str, target.virtual_packages)),
        conda=conda,
        wheels=answer.wheels,
        variables=spec.variables,
    )
    from hermetic.lock.merge import with_categories

    return Resolved(with_categories(spec, lock), answer.addresses)


async def _with_newest_python(job: Job, target: Target) -> tuple[tuple[CondaPackage, ...], PipAnswer]:
    """Choose the newest Python of the channels that the pip requirements admit: try, and go down while they refuse."""
    limit, tried = "", list[str]()
    refusal: UnsatisfiableError | None = None
    while True:
        try:
            conda = await solve_conda(job, target, [CondaRequirement(PYTHON, f"{PYTHON} {limit}".strip())])
        except UnsatisfiableError:
            if refusal is None:
                raise
            break
        version = next(package.version for package in conda if package.name == PYTHON)
        minor = tuple(int(part) for part in version.split(".")[:2])
        if minor < _OLDEST_PYTHON and refusal:
            break
        tried.append(".".join(map(str, minor)))
        try:
            answer = await resolve_pip(job, target, conda)
        except (PythonRefusedError, NeedsSourceError) as error:
            refusal = refusal or error
            limit = f"<{minor[0]}.{minor[1]}"
            continue
        if refusal:
            job.reporter.say(f"{target.platform}: Python {tried[-1]}, the newest that the pip requirements admit")
        return conda, answer
    refusal.message += f"\n  tried with Python {', '.join(tried)}"
    raise refusal


def _with_sizes(job: Job, locks: Mapping[str, PlatformLock], addresses: Mapping[str, str]) -> dict[str, PlatformLock]:
    """Fill in the sizes that no index told."""
    missing = {w.sha256 for lock in locks.values() for w in lock.wheels if not w.size}
    if not missing:
        return dict(locks)
    from hermetic.lock.sizes import MEMORY, find_sizes, with_sizes

    known = [(w.sha256, w.size) for platform in locks for w in kept_wheels(job.previous, platform, None).values()]
    asked = {digest: addresses[digest] for digest in missing & addresses.keys()}
    sizes = find_sizes(asked, known, job.cache / MEMORY, offline=job.offline)
    return {name: replace(lock, wheels=with_sizes(lock.wheels, sizes)) for name, lock in locks.items()}


def _run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, also where a loop runs already (a notebook): then in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(make())).result()
