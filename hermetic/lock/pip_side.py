"""The pip side of one platform: what conda leaves to pip is resolved, and what has no wheel is built."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hermetic.errors import UnsatisfiableError
from hermetic.lock.aside import aside
from hermetic.lock.conda_side import environment_here
from hermetic.lock.incremental import kept_wheels
from hermetic.lock.job import Job, Target
from hermetic.lock.model import CondaPackage, PlatformLock, Wheel
from hermetic.lock.names import provided
from hermetic.lock.pip_checks import is_vcs, is_wheel, may_build, without_provided
from hermetic.lock.pip_inputs import local_path
from hermetic.lock.pip_resolver import IndexAt, NeedsSourceError, PipAnswer, PipRequest
from hermetic.lock.private_wheels import bring, with_urls
from hermetic.lock.sizes import MEMORY, find_sizes, with_sizes
from hermetic.lock.source import BuildRequirements, BuiltWheel, SourceBuild, origin_of
from hermetic.platforms import VirtualPackage, current_platform
from hermetic.secrets import expand
from hermetic.spec.model import PipOptions, PipRequirement

_ROUNDS = 50
"""How often a built wheel may turn out to need another build."""


@dataclass(frozen=True)
class _Built:
    """A wheel that was built for this lock, the source it came from, and that source's URL in the spec."""

    source: SourceBuild
    wheel: BuiltWheel
    named: str


async def resolve_pip(job: Job, target: Target, conda: tuple[CondaPackage, ...]) -> PipAnswer:
    """Resolve the pip requirements of one platform beside what conda installs.

    Raises what the resolver and the checks raise.
    """
    python = python_of(conda, target.platform)
    projects = provided(conda)
    wanted = without_provided(target.spec, projects, target.platform, python.version, job.reporter)
    if not wanted:
        return PipAnswer()
    pins = kept_wheels(job.previous, target.platform, job.update)
    request = PipRequest(
        platform=target.platform,
        python_version=python.version,
        virtual_packages=target.virtual_packages,
        requirements=wanted,
        constraints=target.spec.constraints,
        options=target.spec.options,
        indexes=indexes_of(target.spec.options, job),
        provided=projects,
        keep={name: wheel.version for name, wheel in pins.items() if not wheel.url},
        exclude_newer=job.exclude_newer,
        from_source=tuple(sorted(set(target.spec.options.no_binary) & set(target.spec.source_builds))),
        root=job.root,
        offline=job.offline,
    )
    return await _with_builds(job, target, request, conda, pins)


def python_of(conda: Sequence[CondaPackage], platform: str) -> CondaPackage:
    """Give the CPython that wheels are chosen for. Raises UnsatisfiableError for another kind of Python."""
    python = next(package for package in conda if package.name == "python")
    build = python.build
    if "pypy" in build or re.search(r"_cp3\d+t\Z", build):  # cp313t: CPython without its global lock (PEP 703)
        raise UnsatisfiableError(
            f"pip requirements for {platform} can only be resolved for the usual CPython, and conda chose {build}",
            remedy="ask for python with build *_cpython or *_cp3*, or take the packages from conda",
        )
    return python


def indexes_of(options: PipOptions, job: Job) -> tuple[IndexAt, ...]:
    """Give the indexes of a spec with their addresses of the moment, the main one first."""
    if options.no_index:
        return ()
    main = IndexAt("", job.config.default_index)
    if options.index:
        main = IndexAt(options.index, job.config.indexes.get(options.index, options.index))
    others = (IndexAt(url, job.config.indexes.get(url, url)) for url in options.extra_indexes)
    return (main, *others)


async def _with_builds(
    job: Job, target: Target, request: PipRequest, conda: tuple[CondaPackage, ...], pins: dict[str, Wheel]
) -> PipAnswer:
    """Ask, build what has no wheel, and ask again, until wheels serve everything."""
    spec = target.spec
    request, private = await bring(job, request)
    built: dict[str, _Built] = {}
    for requirement in request.requirements:
        if requirement.url and not is_wheel(requirement):
            source = await _direct_source(requirement, job, pins.get(requirement.name))
            built[source.name] = await _build(_as_before(source, pins), requirement.url, job, request, conda)
    from_source = set(request.from_source)
    for _ in range(_ROUNDS):
        asked = replace(
            request,
            built={**request.built, **{name: Path(item.wheel.path) for name, item in built.items()}},
            from_source=tuple(sorted(from_source - built.keys() - private.keys())),
        )
        try:
            answer = await _preferring(job, asked)
        except NeedsSourceError as error:
            more = {name for name in error.names if may_build(name, spec)} - from_source
            if not more:
                raise
            from_source |= more
            continue
        if not answer.sources:
            return with_urls(_with_origins(answer, built), private)
        for source in answer.sources:
            if not may_build(source.name, spec):
                raise UnsatisfiableError(
                    f"{source.name} {source.version} has no wheel for {target.platform}",
                    place=source.place,
                    remedy=f'allow to build it: source-builds = ["{source.name}"]',
                )
            built[source.name] = await _build(_as_before(source, pins), "", job, request, conda)
    raise UnsatisfiableError("building from source leads to ever more builds", remedy="ask for packages with wheels")


def _as_before(source: SourceBuild, pins: dict[str, Wheel]) -> SourceBuild:
    """Tell a build how the old lock's wheel was built, so that the same source gives the same wheel again."""
    pinned = pins.get(source.name)
    return replace(source, previous=pinned.origin if pinned else None)


async def _preferring(job: Job, request: PipRequest) -> PipAnswer:
    """Ask with the old pins held fast; where that cannot be, with the old pins preferred (as the conda side does)."""
    taken = {project.name for project in request.provided} | request.built.keys()
    held = tuple(
        PipRequirement(name, specifier=f"=={version}") for name, version in request.keep.items() if name not in taken
    )
    if held and not job.update:  # held fast, pins would hold back what is to move
        with suppress(UnsatisfiableError):
            return await _ask(job, replace(request, constraints=(*request.constraints, *held)))
    return await _ask(job, request)


async def _ask(job: Job, request: PipRequest) -> PipAnswer:
    """Ask the resolver, and use the time while its program runs."""
    asked = asyncio.ensure_future(job.pip.resolve(request))
    try:
        await asyncio.sleep(0)  # long enough for the program to be started
        from hermetic.lock import merge, pip_answers, pylock  # noqa: F401  what is needed when it has answered

        if job.meanwhile:
            job.meanwhile()
        return await asked
    finally:
        asked.cancel()


def _with_origins(answer: PipAnswer, built: dict[str, _Built]) -> PipAnswer:
    wheels = [
        replace(
            wheel,
            origin=origin_of(item.source, item.wheel, item.named),
            index=item.source.index,
            size=item.wheel.size,
        )
        if (item := built.get(wheel.name))
        else wheel
        for wheel in answer.wheels
    ]
    return replace(answer, wheels=tuple(wheels))


async def _direct_source(requirement: PipRequirement, job: Job, pinned: Wheel | None) -> SourceBuild:
    """Pin what a direct reference names: a checkout to the commit that the old lock has, else to that of today."""
    if is_vcs(requirement):
        from hermetic.lock.vcs import pin

        before = job.previous.spec.get("pip", ()) if job.previous else ()
        same = any(item.get("requirement") == requirement.text for item in before)
        commit = pinned.origin.commit if same and pinned and pinned.origin else ""
        return await pin(requirement, commit=commit, offline=job.offline)
    address, _, fragment = requirement.url.partition("#")
    subdirectory = fragment.removeprefix("subdirectory=") if fragment.startswith("subdirectory=") else ""
    if "://" not in address:
        path = str(local_path(address, job.root))
        return SourceBuild(requirement.name, path=path, subdirectory=subdirectory, place=requirement.place)
    digest = next((h.removeprefix("sha256:") for h in requirement.hashes if h.startswith("sha256:")), "")
    return SourceBuild(
        requirement.name,
        file_name=address.rpartition("/")[2],
        url=expand(address),
        sha256=digest,
        subdirectory=subdirectory,
        place=requirement.place,
    )


async def _build(
    source: SourceBuild, named: str, job: Job, request: PipRequest, conda: tuple[CondaPackage, ...]
) -> _Built:
    """Have a wheel built on this machine; for another platform it serves only if it holds nothing of this one."""
    if job.build_wheel is None:
        raise UnsatisfiableError(
            f"{source.name} must be built from source, and nothing here can build it",
            place=source.place,
            remedy="ask for a version that has a wheel",
        )
    here = current_platform()
    if request.platform == here:
        environment = PlatformLock(here, tuple(map(str, request.virtual_packages)), conda)
    else:
        environment = await environment_here(job, request.python_version)
    python = python_of(environment.conda, here)
    question = replace(
        request,
        platform=here,
        python_version=python.version,
        virtual_packages=tuple(VirtualPackage.parse(text) for text in environment.virtual_packages),
        constraints=(),
        provided=(),
        keep={},
        built={},
        from_source=(),
    )
    loop = asyncio.get_running_loop()

    async def answered(asked: PipRequest) -> PipAnswer:
        asked, private = await bring(job, asked)
        return with_urls(await job.pip.resolve(asked), private)

    def requirements(wanted: Sequence[PipRequirement]) -> BuildRequirements:
        answer = asyncio.run_coroutine_threadsafe(
            answered(replace(question, requirements=tuple(wanted))), loop
        ).result()
        unknown = {w.sha256: answer.addresses[w.sha256] for w in answer.wheels if not w.size}
        sizes = find_sizes(unknown, (), job.cache / MEMORY, offline=job.offline)
        return BuildRequirements(with_sizes(answer.wheels, sizes), answer.addresses)

    build = job.build_wheel
    async with job.building:  # one at a time: a build takes the whole machine, and platforms share its result
        wheel = await aside(lambda: build(source, environment, requirements))
    if request.platform != here and not wheel.file_name.endswith("-any.whl"):
        raise UnsatisfiableError(
            f"{source.name} must be built for {request.platform}, and this machine is {here}",
            place=source.place,
            remedy="lock on such a machine, or ask for a version that has a wheel",
        )
    return _Built(source, wheel, named)
