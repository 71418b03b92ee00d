"""Locking and building from Python: what the ``hermetic`` command does, for a Spec, spec files or an Environment.

Names of channels get their addresses as on the command line: from ``channels=``, the ``hermetic.toml`` that is
nearest above the spec's folder, and the machine's configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from hermetic.errors import DriftError, UsageError
from hermetic.lock.model import Lock
from hermetic.platforms import check_platform, current_platform
from hermetic.project.layout import Layout
from hermetic.project.project import Declaration
from hermetic.project.workplace import Workplace, absolute_address
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.environment import Environment
from hermetic.sdk.errors import ArgumentError, MissingError
from hermetic.sdk.leaving import settle_at_exit
from hermetic.sdk.output import Output
from hermetic.sdk.results import LocalBuild, LocalImage
from hermetic.spec.manifest import FILE_NAME as MANIFEST
from hermetic.spec.manifest import find_manifest, load_manifest
from hermetic.spec.model import Spec

if TYPE_CHECKING:
    from hermetic.lock.model import PlatformLock

AnyPath: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = Spec | Environment | CondaDependencies | AnyPath | Sequence[AnyPath]
"""What can be locked and built: a Spec, an Environment, CondaDependencies, or spec files."""


@dataclass(frozen=True)
class _Job:
    """One thing to lock and build: where, what, and whom to tell."""

    workplace: Workplace
    declaration: Declaration
    output: Output
    offline: bool = False


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
    for channel in _texts("channels", channels):
        dependencies.add_channel(channel)
    for requirement in _texts("conda", conda):
        dependencies.add_conda_package(requirement)
    dependencies.set_pip_requirements(_texts("pip", pip))
    environment.python.conda_dependencies = dependencies
    environment.environment_variables = dict(variables or {})
    environment.accelerator = accelerator
    environment.system = dict(system or {})
    environment.source_builds = _texts("source_builds", source_builds)
    spec = environment.to_spec()
    return replace(spec, platforms=tuple(check_platform(platform) for platform in _texts("platforms", platforms)))


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
        job = _job(source, _path(path, Path(folder) / "none.lock.json"), channels, offline=offline, show=show_output)
        return _lock(job, platforms, update, exclude_newer, write=path is not None)


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
        job = _job(declared, lock_path, channels, offline=offline, show=show_output)
        found = source if isinstance(source, Lock) else _fitting(job, locked=locked)
        built = _build(job, found, Path(prefix).absolute(), link_scripts, jobs)
    return built if path is not None else replace(built, lock_path=None)


def lock_environment(
    environment: Environment,
    path: AnyPath | None,
    *,
    platforms: Sequence[str] | None,
    update: Sequence[str] | None,
    exclude_newer: str | None,
    offline: bool,
    show_output: bool,
) -> Lock:
    """Lock an Environment: see Environment.lock."""
    job = _job(environment, _lock_path(environment, path, "path"), offline=offline, show=show_output)
    return _lock(job, platforms, update, exclude_newer, write=True)


def build_environment(
    environment: Environment,
    *,
    platform: str | None,
    prefix: AnyPath | None,
    path: AnyPath | None,
    locked: bool,
    link_scripts: str,
    offline: bool,
    show_output: bool,
) -> LocalBuild:
    """Build an Environment on disk: see Environment.build_local."""
    _refuse_foreign(platform)
    if environment.python.user_managed_dependencies:
        raise UsageError(
            "build_local: the environment is user-managed, so there is nothing to build",
            remedy="set python.user_managed_dependencies = False to have its packages installed",
        )
    lock_path = _lock_path(environment, path, "lock")
    target = Path(prefix).absolute() if prefix else Layout(Path.cwd()).prefix(_name(environment, "prefix"))
    job = _job(environment, lock_path, offline=offline, show=show_output)
    return _build(job, _fitting(job, locked=locked), target, link_scripts, None)


def build_environment_image(
    environment: Environment,
    *,
    platform: str | None,
    path: AnyPath | None,
    locked: bool,
    push: bool,
    registry: str | None,
    link_scripts: str,
    offline: bool,
    show_output: bool,
) -> LocalImage:
    """Build an Environment's image and load it into the Docker Engine: see Environment.build_local."""
    from hermetic.lock.file import read_lock
    from hermetic.outputs.oci.options import ImageOptions
    from hermetic.project.image_order import ImageOrder
    from hermetic.project.imaging import build_declared_images

    _refuse_foreign(platform)
    settle_at_exit()
    lock_path = _lock_path(environment, path, "lock")
    job = _job(environment, lock_path, offline=offline, show=show_output)
    order = ImageOrder(
        reference=f"{registry.rstrip('/')}/" if registry else "",
        push=push,
        load=True,
        options=ImageOptions(link_scripts=link_scripts),
    )
    built = build_declared_images(
        job.workplace, job.declaration, order, locked=locked, offline=offline, reporter=job.output
    )
    job.output.pass_on()
    return LocalImage(
        built.reference, built.digest, built.loaded, built.changed, push, read_lock(lock_path), lock_path,
        tuple(dict.fromkeys(job.output.warnings)),
    )  # fmt: skip


def _lock(
    job: _Job,
    platforms: Sequence[str] | None,
    update: Sequence[str] | None,
    exclude_newer: str | None,
    *,
    write: bool,
) -> Lock:
    from hermetic.project.locking import lock_declaration

    settle_at_exit()
    declaration = job.declaration
    if platforms is not None:
        chosen = tuple(check_platform(platform) for platform in _texts("platforms", platforms))
        declaration = replace(declaration, spec=replace(declaration.spec, platforms=chosen))
    outcome = lock_declaration(
        job.workplace,
        declaration,
        update=None if update is None else _texts("update", update),
        exclude_newer=exclude_newer,
        offline=job.offline,
        reporter=job.output,
        write=write,
    )
    job.output.pass_on()
    return outcome.lock


def _fitting(job: _Job, *, locked: bool) -> Lock:
    from hermetic.project.building import fitting_lock

    settle_at_exit()
    try:
        return fitting_lock(job.workplace, job.declaration, locked=locked, offline=job.offline, reporter=job.output)
    except DriftError as error:  # the command line cannot lock what is declared in Python
        error.remedy = "lock it, with Environment.lock() or hermetic.lock(), and commit it; or leave locked=True out"
        raise


def _build(job: _Job, found: Lock, target: Path, link_scripts: str, jobs: int | None) -> LocalBuild:
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
    return LocalBuild(target, platform.key(), result.changed, found, job.declaration.lock_path, warnings)


def _job(
    source: Source, lock_path: Path, channels: Mapping[str, str] | None = None, *, offline: bool, show: bool
) -> _Job:
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
    return _Job(Workplace(Layout(root), addresses=addresses), declaration, output, offline)


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


def _lock_path(environment: Environment, path: AnyPath | None, parameter: str) -> Path:
    return Path(path).absolute() if path else Layout(Path.cwd()).lock(_name(environment, parameter))


def _name(environment: Environment, parameter: str) -> str:
    if environment.name is None:
        raise UsageError("the environment has no name", remedy=f"set its name, or give {parameter} a path")
    return environment.name


def _refuse_claimed(manifest: Path, claimed: set[Path], lock_path: Path) -> None:
    if lock_path.absolute() in claimed:
        raise UsageError(
            f"{lock_path} is the lock of an environment that {manifest} declares",
            remedy=f"give another path for the lock, or build what {MANIFEST} declares with 'hermetic build'",
        )


def _refuse_foreign(platform: object) -> None:
    """Accept the platform of this machine, as conda or the v1 SDK names it."""
    here = current_platform()
    system = {"linux": "Linux", "osx": "OSX", "win": "Windows"}[here.split("-", maxsplit=1)[0]]
    if platform is not None and str(platform).lower() not in {here, system.lower()}:
        raise UsageError(
            f"build_local: an environment for {platform} cannot be built on {here}",
            remedy="lock it here with lock(platforms=[...]), and build it there",
        )


def _path(path: AnyPath | None, default: Path) -> Path:
    return default if path is None else Path(path).absolute()


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ArgumentError(f"{name} is a list of texts", remedy=f"write {name}=[...]")
    return list(value)
