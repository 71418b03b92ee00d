"""Locking and building from Python: what the ``hermetic`` command does, for a Spec, spec files or an Environment.

Names of channels get their addresses as on the command line: from ``channels=``, the ``hermetic.toml`` that is
nearest above the spec's folder, and the machine's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hermetic.lock.model import Lock
from hermetic.platforms import check_platform, current_platform
from hermetic.sdk.building import version_lock
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.environment import Environment
from hermetic.sdk.jobs import (
    AnyPath,
    Source,
    build_job,
    checked_platforms,
    fitting_lock_of,
    lock_job,
    make_job,
    text_list,
)
from hermetic.sdk.results import LocalBuild
from hermetic.spec.model import Spec


def declare(
    conda: Sequence[str] = (),
    pip: Sequence[str] = (),
    *,
    channels: Sequence[str] = (),
    platforms: Sequence[str] = (),
    accelerator: str = "cpu",
    system: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    source_builds: Sequence[str] = (),
) -> Spec:
    """Declare an environment in Python; its relative paths start from the working folder.

    ``conda`` and ``pip`` are requirements in any spelling of conda's and pip's (options of pip included).
    No channels means the default one, no platforms this machine's. Raises SpecError and UsageError.
    """
    environment = Environment(None)
    dependencies = CondaDependencies.from_spec(Spec())
    for channel in text_list("channels", channels):
        dependencies.add_channel(channel)
    for requirement in text_list("conda", conda):
        dependencies.add_conda_package(requirement)
    dependencies.set_pip_requirements(text_list("pip", pip))
    environment.python.conda_dependencies = dependencies
    environment.environment_variables = dict(variables or {})
    environment.accelerator = accelerator
    environment.system = dict(system or {})
    environment.source_builds = text_list("source_builds", source_builds)
    spec = environment.to_spec()
    return replace(spec, platforms=tuple(check_platform(platform) for platform in text_list("platforms", platforms)))


def lock(
    source: Source,
    path: AnyPath | None = None,
    *,
    platforms: Sequence[str] | None = None,
    update: Sequence[str] | None = None,
    exclude_newer: str | None = None,
    channels: Mapping[str, str] | None = None,
    offline: bool = False,
    show_output: bool = False,
) -> Lock:
    """Resolve what is declared, for all its platforms; with ``path`` the lock there keeps its pins and is rewritten.

    ``update`` names the packages whose pins may move (``["*"]``: all); ``exclude_newer`` is a date or time;
    ``channels`` maps names of channels to addresses. Raises UnsatisfiableError, NetworkError, SpecError and kin.
    """
    with TemporaryDirectory(prefix="hermetic-") as folder:
        job = make_job(
            source, _path(path, Path(folder) / "none.lock.json"), channels, offline=offline, show=show_output
        )
        if update is None and exclude_newer is None:
            chosen = job.declaration.spec.platforms if platforms is None else checked_platforms(platforms)
            if found := version_lock(job, source, chosen, None if path is None else job.declaration.lock_path):
                return found
        return lock_job(job, platforms, update, exclude_newer, write=path is not None)


def build(
    source: Source | Lock,
    prefix: AnyPath,
    *,
    path: AnyPath | None = None,
    locked: bool = False,
    channels: Mapping[str, str] | None = None,
    link_scripts: str = "refuse",
    jobs: int | None = None,
    offline: bool = False,
    show_output: bool = False,
) -> LocalBuild:
    """Build an environment at ``prefix`` from a Lock, or from what is declared.

    With ``path`` the lock there is used where it fits, and made or mended where it does not (``locked``: an
    error instead). A prefix that is already so is left as it is. ``link_scripts`` is ``refuse``, ``skip`` or
    ``run``; ``jobs`` limits what is done at once.
    """
    with TemporaryDirectory(prefix="hermetic-") as folder:
        lock_path = _path(path, Path(folder) / "none.lock.json")
        declared = Spec() if isinstance(source, Lock) else source
        job = make_job(declared, lock_path, channels, offline=offline, show=show_output)
        if isinstance(source, Lock):
            found = source
        else:
            own = None if path is None else lock_path
            found = version_lock(job, source, (current_platform(),), own, locked=locked) or (
                fitting_lock_of(job, locked=locked)
            )
        built = build_job(job, found, Path(prefix).absolute(), link_scripts, jobs)
    return built if path is not None else replace(built, lock_path=None)


def _path(path: AnyPath | None, default: Path) -> Path:
    return default if path is None else Path(path).absolute()
