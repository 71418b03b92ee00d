"""One thing to lock and build from Python: what it declares, where its relative paths start, and whom to tell.

Names of channels get their addresses as on the command line: from ``channels=``, the ``hermetic.toml`` that is
nearest above the spec's folder, and the machine's configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hermetic.errors import DriftError, UsageError
from hermetic.lock.model import Lock
from hermetic.platforms import check_platform
from hermetic.project.layout import Layout
from hermetic.project.project import Declaration
from hermetic.project.workplace import Workplace, absolute_address
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.environment import Environment
from hermetic.sdk.errors import ArgumentError, MissingError
from hermetic.sdk.leaving import settle_at_exit
from hermetic.sdk.output import Output
from hermetic.sdk.results import LocalBuild
from hermetic.sdk.vaults import use_vault_of
from hermetic.spec.manifest import FILE_NAME as MANIFEST
from hermetic.spec.manifest import find_manifest, load_manifest
from hermetic.spec.model import Spec

if TYPE_CHECKING:
    from hermetic.lock.model import PlatformLock
    from hermetic.workspace_config import WorkspaceAddress

AnyPath: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = Spec | Environment | CondaDependencies | AnyPath | Sequence[AnyPath]
"""What can be locked and built: a Spec, an Environment, CondaDependencies, or spec files."""


@dataclass(frozen=True)
class Job:
    """One thing to lock and build: where, what, and whom to tell."""

    workplace: Workplace
    declaration: Declaration
    output: Output
    offline: bool = False


def lock_job(
    job: Job,
    platforms: Sequence[str] | None,
    update: Sequence[str] | None,
    exclude_newer: str | None,
    *,
    write: bool,
) -> Lock:
    """Resolve what a job declares. ``write`` its lock, or not."""
    from hermetic.project.locking import lock_declaration

    settle_at_exit()
    declaration = job.declaration
    if platforms is not None:
        chosen = checked_platforms(platforms)
        declaration = replace(declaration, spec=replace(declaration.spec, platforms=chosen))
    outcome = lock_declaration(
        job.workplace,
        declaration,
        update=None if update is None else text_list("update", update),
        exclude_newer=exclude_newer,
        offline=job.offline,
        reporter=job.output,
        write=write,
    )
    job.output.pass_on()
    return outcome.lock


def fitting_lock_of(job: Job, *, locked: bool) -> Lock:
    """Give a job's lock, made or mended first unless ``locked`` forbids it."""
    from hermetic.project.building import fitting_lock

    settle_at_exit()
    try:
        return fitting_lock(job.workplace, job.declaration, locked=locked, offline=job.offline, reporter=job.output)
    except DriftError as error:  # the command line cannot lock what is declared in Python
        error.remedy = "lock it, with Environment.lock() or hermetic.lock(), and commit it; or leave locked=True out"
        raise


def build_job(job: Job, found: Lock, target: Path, link_scripts: str, jobs: int | None) -> LocalBuild:
    """Build a job's environment at ``target``."""
    from hermetic.outputs.prefix import build_prefix
    from hermetic.project.building import platform_lock
    from hermetic.project.memo import hide_state
    from hermetic.store import Store

    settle_at_exit()
    platform: PlatformLock = platform_lock(found, job.declaration)
    if target == Layout(Path.cwd()).prefix(target.name):
        hide_state(Path.cwd())
    config = job.workplace.config(offline=job.offline)
    result = build_prefix(
        platform,
        target,
        store=Store.open(config.store),
        config=config,
        reporter=job.output,
        offline=job.offline,
        link_scripts=link_scripts,
        jobs=jobs,
    )
    what = f"built {target}" if result.changed else f"nothing to do, {target} is up to date"
    job.output.say(f"{job.declaration.name}: {what}")
    warnings = tuple(dict.fromkeys([*job.output.warnings, *result.warnings]))
    path, workspace = job.declaration.lock_path, job.workplace.workspace
    return LocalBuild(target, platform.key(), result.changed, found, path, warnings, workspace)


def make_job(
    source: Source,
    lock_path: Path,
    channels: Mapping[str, str] | None = None,
    *,
    workspace: WorkspaceAddress | None = None,
    offline: bool,
    show: bool,
) -> Job:
    """Make a job of what can be locked and built; its lock is at ``lock_path``.

    Raises UsageError for a lock that belongs to an environment of the project.
    """
    use_vault_of(workspace)
    spec, root, name, warnings = _spec_of(source)
    manifest_path = find_manifest(root)
    addresses: dict[str, str] = {}
    if manifest_path:
        manifest = load_manifest(manifest_path)
        _refuse_claimed(manifest_path, {item.lock.absolute() for item in manifest.environments.values()}, lock_path)
        addresses |= {item: absolute_address(address, manifest.root) for item, address in manifest.channels.items()}
    addresses |= {item: absolute_address(str(address), Path.cwd()) for item, address in (channels or {}).items()}
    output = Output(show=show)
    login = ("", "")
    if isinstance(source, Environment):
        registry = source.docker.base_image_registry
        login = registry.username or "", registry.password or ""
    declaration = Declaration(name, spec, (), lock_path, warnings, base_login=login)
    return Job(Workplace(Layout(root), addresses=addresses, workspace=workspace), declaration, output, offline)


def _spec_of(source: Source) -> tuple[Spec, Path, str, tuple[str, ...]]:
    """Give a source's Spec, the folder that its relative paths start from, its name for messages, and warnings."""
    if isinstance(source, Spec):
        return source, Path.cwd(), "the environment", ()
    if isinstance(source, Environment):
        root = source.python.conda_dependencies.root
        return source.to_spec(), root, source.name or "the environment", ()
    if isinstance(source, CondaDependencies):
        return source.to_spec(), source.root, "the environment", ()
    from hermetic.spec.load import load

    files = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(files, Sequence) or not all(isinstance(file, str | os.PathLike) for file in files):
        raise ArgumentError(
            f"{type(source).__name__} cannot be locked",
            remedy="give a Spec, an Environment, CondaDependencies, or the paths of spec files",
        )
    paths = [Path(file).absolute() for file in files]
    for path in paths:
        if not path.exists():
            raise MissingError(f"there is no file {path}", remedy="check the path of the spec file")
    root = (paths[0] if paths and paths[0].is_dir() else paths[0].parent) if paths else Path.cwd()
    found = load(paths, root=root)
    return found.spec, root, found.name or "the environment", found.warnings


def _refuse_claimed(manifest: Path, claimed: set[Path], lock_path: Path) -> None:
    if lock_path.absolute() in claimed:
        raise UsageError(
            f"{lock_path} is the lock of an environment that {manifest} declares",
            remedy=f"give another path for the lock, or build what {MANIFEST} declares with 'hermetic build'",
        )


def text_list(name: str, value: Any) -> list[str]:
    """Give an argument back if it is a list of texts. Raises ArgumentError."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ArgumentError(f"{name} is a list of texts", remedy=f"write {name}=[...]")
    return list(value)


def checked_platforms(platforms: Sequence[str]) -> tuple[str, ...]:
    """Give platforms that are conda's. Raises ArgumentError, UsageError."""
    return tuple(check_platform(platform) for platform in text_list("platforms", platforms))
