"""Locking and building an Environment from Python: what its methods ``lock`` and ``build_local`` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import UsageError
from hermetic.lock.model import Lock
from hermetic.platforms import current_platform
from hermetic.project.layout import Layout
from hermetic.project.project import Declaration
from hermetic.project.workplace import Workplace, addresses_above
from hermetic.sdk.environment import Environment
from hermetic.sdk.environments import get_version
from hermetic.sdk.jobs import AnyPath, Job, build_job, checked_platforms, fitting_lock_of, lock_job, make_job
from hermetic.sdk.kept import Kept, kept_environment, kept_of, lock_place, refuse_moving, remember_image, settle
from hermetic.sdk.leaving import settle_at_exit
from hermetic.sdk.results import LocalBuild, LocalImage

if TYPE_CHECKING:
    from hermetic.events import Reporter
    from hermetic.project.image_order import ImageOrder
    from hermetic.project.imaging import ImageBuild
    from hermetic.sdk.workspace import Workspace
    from hermetic.workspace.model import EnvironmentVersion


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
    lock_path = _lock_path(environment, path, "path")
    kept = kept_of(environment)
    if kept is not None:
        refuse_moving(kept, update=update, exclude_newer=exclude_newer)
    job = make_job(
        environment, lock_path, workspace=kept.workspace if kept else None, offline=offline, show=show_output
    )
    if kept is not None:
        declared = job.declaration.spec.platforms
        chosen = checked_platforms(platforms) if platforms is not None else declared
        if lock := _settled(job, kept, chosen, lock_path):
            return lock
    return lock_job(job, platforms, update, exclude_newer, write=True)


def build_environment(
    environment: Environment,
    kept: Kept | None,
    *,
    platform: str | None,
    prefix: AnyPath | None,
    path: AnyPath | None,
    locked: bool,
    link_scripts: str,
    offline: bool,
    show_output: bool,
) -> LocalBuild:
    """Build an Environment on disk: see Environment.build_local. ``kept`` is the version that it is, if it is one."""
    _refuse_foreign(platform)
    if environment.python.user_managed_dependencies:
        raise UsageError(
            "build_local: the environment is user-managed, so there is nothing to build",
            remedy="set python.user_managed_dependencies = False to have its packages installed",
        )
    target = Path(prefix).absolute() if prefix else Layout(Path.cwd()).prefix(_name(environment, "prefix"))
    lock_path = _lock_path(environment, path, "lock")
    job = make_job(
        environment, lock_path, workspace=kept.workspace if kept else None, offline=offline, show=show_output
    )
    if kept is not None:
        own = lock_path if path else None
        if lock := _settled(job, kept, (current_platform(),), own, locked=locked):
            return replace(build_job(job, lock, target, link_scripts, None), lock_path=own)
    return build_job(job, fitting_lock_of(job, locked=locked), target, link_scripts, None)


def build_environment_image(
    environment: Environment,
    kept: Kept | None,
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

    _refuse_foreign(platform)
    settle_at_exit()
    lock_path = _lock_path(environment, path, "lock")
    job = make_job(
        environment, lock_path, workspace=kept.workspace if kept else None, offline=offline, show=show_output
    )
    order = ImageOrder(
        reference=f"{registry.rstrip('/')}/" if registry else "",
        push=push,
        load=True,
        options=ImageOptions(link_scripts=link_scripts),
    )
    done: tuple[ImageBuild, Lock] | None = None
    own: Path | None = lock_path
    if kept is not None:
        own = lock_path if path else None
        with lock_place(own) as place:
            done = _image_of_version(_at(job, place), kept, order, locked=locked)
    if done is None:
        own = lock_path
        done = _image(job, order, locked=locked), read_lock(lock_path)
    built, lock = done
    job.output.pass_on()
    return LocalImage(
        built.reference, built.digest, built.loaded, built.changed, push, lock, own,
        tuple(dict.fromkeys(job.output.warnings)),
    )  # fmt: skip


def _image_of_version(job: Job, kept: Kept, order: ImageOrder, *, locked: bool) -> tuple[ImageBuild, Lock] | None:
    """Build the image of a version; None for one that is locked like any other environment."""
    here = (current_platform(),)
    lock = settle(
        kept, job.workplace, job.declaration, here, images=here, locked=locked, offline=job.offline, reporter=job.output
    )
    if lock is None:
        return None
    spec = replace(job.declaration.spec, platforms=tuple(lock.platforms))
    job = replace(job, declaration=replace(job.declaration, spec=spec))
    built = _image(job, order, locked=True)
    remember_image(kept, built, pushed=order.push)
    return built, lock


def _image(job: Job, order: ImageOrder, *, locked: bool) -> ImageBuild:
    from hermetic.project.imaging import build_declared_images

    return build_declared_images(
        job.workplace, job.declaration, order, locked=locked, offline=job.offline, reporter=job.output
    )


def _settled(job: Job, kept: Kept, platforms: Sequence[str], path: Path | None, *, locked: bool = False) -> Lock | None:
    """Give the lock of a version, written to ``path`` too; None for one that is locked like any other environment."""
    settle_at_exit()
    with lock_place(path) as place:
        lock = settle(
            kept, job.workplace, _at(job, place).declaration, platforms, locked=locked, offline=job.offline,
            reporter=job.output,
        )  # fmt: skip
    job.output.pass_on()
    return lock


def lock_version(
    workspace: Workspace,
    reference: tuple[str, str | int | None, str | None],
    *,
    platforms: Sequence[str] = (),
    path: AnyPath | None = None,
    root: AnyPath | None = None,
    offline: bool = False,
    reporter: Reporter,
) -> tuple[EnvironmentVersion, Lock]:
    """Give a version (its name, version and label) with its lock, made or grown by platforms; written to ``path`` too.

    Names of channels get their addresses from the ``hermetic.toml`` of ``root`` (default: the working folder) or above.
    Raises UsageError for a curated version and a platform that it is not locked for.
    """
    name, number, label = reference
    version = get_version(workspace, name, number, label)
    environment = kept_environment(version, workspace._address)  # noqa: SLF001
    kept = environment._kept  # noqa: SLF001  of one package
    assert kept is not None
    folder = Path(root or ".").absolute()
    project = Workplace(Layout(folder), addresses=addresses_above(folder), workspace=kept.workspace)
    declaration = Declaration(str(kept), environment.to_spec(), (), folder)
    wanted = checked_platforms(platforms) or declaration.spec.platforms
    with lock_place(Path(path).absolute() if path else None) as place:
        declaration = replace(declaration, lock_path=place)
        lock = settle(kept, project, declaration, wanted, offline=offline, reporter=reporter)
    if lock is None:
        raise UsageError(
            f"{kept} is curated, and not locked for {', '.join(wanted) or 'any platform'}",
            remedy="clone it under a name of your own, register that and lock it",
        )
    return get_version(workspace, name, version.version), lock


def version_lock(
    job: Job, source: object, platforms: Sequence[str], path: Path | None, *, locked: bool = False
) -> Lock | None:
    """Give the lock of a source that is a version, written to ``path`` too; None for any other source."""
    kept = kept_of(source) if isinstance(source, Environment) else None
    if kept is None:
        return None
    job = replace(job, workplace=replace(job.workplace, workspace=kept.workspace))
    return _settled(job, kept, platforms, path, locked=locked)


def _at(job: Job, lock_path: Path) -> Job:
    return replace(job, declaration=replace(job.declaration, lock_path=lock_path))


def _lock_path(environment: Environment, path: AnyPath | None, parameter: str) -> Path:
    return Path(path).absolute() if path else Layout(Path.cwd()).lock(_name(environment, parameter))


def _name(environment: Environment, parameter: str) -> str:
    if environment.name is None:
        raise UsageError("the environment has no name", remedy=f"set its name, or give {parameter} a path")
    return environment.name


def _refuse_foreign(platform: object) -> None:
    """Accept the platform of this machine, as conda or the v1 SDK names it."""
    here = current_platform()
    system = {"linux": "Linux", "osx": "OSX", "win": "Windows"}[here.split("-", maxsplit=1)[0]]
    if platform is not None and str(platform).lower() not in {here, system.lower()}:
        raise UsageError(
            f"build_local: an environment for {platform} cannot be built on {here}",
            remedy="lock it here with lock(platforms=[...]), and build it there",
        )
