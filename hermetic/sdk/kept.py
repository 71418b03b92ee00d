"""Environments that are versions: their locks are kept, so the same version gives the same bytes everywhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hermetic.errors import DriftError, HermeticError, MissingError, UsageError
from hermetic.sdk.registering import definition_of, environment_of
from hermetic.workspace_config import WorkspaceAddress

if TYPE_CHECKING:
    from hermetic.events import Reporter
    from hermetic.lock.model import Lock
    from hermetic.project.imaging import ImageBuild
    from hermetic.project.project import Declaration
    from hermetic.project.workplace import Workplace
    from hermetic.sdk.environment import Environment
    from hermetic.workspace.model import EnvironmentVersion
    from hermetic.workspace.workspace import Workspace


@dataclass(frozen=True)
class Kept:
    """Which version an Environment is, as long as its definition is the same, and of which workspace it was got.

    A ``curated`` one is the same in all workspaces.
    """

    name: str
    version: int
    digest: str
    workspace: WorkspaceAddress
    curated: bool = False

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def kept_environment(version: EnvironmentVersion, workspace: WorkspaceAddress) -> Environment:
    """Give a version as an Environment that knows which one it is."""
    from hermetic.workspace.curated.catalogue import curated_versions

    environment = environment_of(version)
    ours = bool(curated_versions(version.name))
    environment._kept = Kept(version.name, version.version, version.definition.digest, workspace, ours)  # noqa: SLF001
    return environment


def kept_of(environment: Environment) -> Kept | None:
    """Tell which version an environment is; None if it is none, or has been changed since it was got."""
    kept = environment._kept  # noqa: SLF001
    if kept is None or environment.name != kept.name:
        return None
    try:
        return kept if definition_of(environment).digest == kept.digest else None
    except HermeticError:  # what could not be registered is no version
        return None


def refuse_moving(kept: Kept, *, update: object, exclude_newer: object) -> None:
    """Refuse to choose the packages of a version anew."""
    if update is None and exclude_newer is None:
        return
    raise UsageError(
        f"the lock of {kept} is kept for good: its packages do not move",
        remedy="clone() it and lock that; a changed definition that is registered is a new version",
    )


@contextmanager
def lock_place(path: Path | None) -> Iterator[Path]:
    """Give a place for a version's lock while it is worked with; when all went well, it is at ``path`` too."""
    with TemporaryDirectory(prefix="hermetic-") as folder:
        place = Path(folder) / "version.lock.json"
        if path and path.is_file():
            shutil.copyfile(path, place)  # its pins are as good as any for a version that has no lock yet
        yield place
        if path and place.is_file():
            from hermetic.files import write_whole

            write_whole(path, place.read_bytes())


def settle(
    kept: Kept,
    project: Workplace,
    declaration: Declaration,
    platforms: Sequence[str],
    *,
    images: Sequence[str] = (),
    locked: bool = False,
    offline: bool = False,
    reporter: Reporter,
) -> Lock | None:
    """Lay a version's lock where the declaration has it, made or grown if need be (``locked``: DriftError instead).

    None for a curated version that is not locked for these platforms: it is locked like any other environment.
    """
    if kept.curated:
        return _curated(kept, project, declaration, platforms, images=images, offline=offline, reporter=reporter)
    from hermetic.workspace.settling import settle_lock

    environments = room_at(kept.workspace).environments
    version = environments.get(kept.name, kept.version)
    if locked:
        from hermetic.workspace.kept_locks import kept_lock

        held, _ = kept_lock(environments, kept.name, kept.version)
        missing = [platform for platform in platforms if held is None or platform not in held.platforms]
        if held is None or missing:
            raise DriftError(
                f"{kept} is not locked for {', '.join(missing)} yet" if missing else f"{kept} has no lock yet",
                remedy="lock it, with Environment.lock(); or leave locked=True out",
            )
    lock, _ = settle_lock(
        environments, version, project, declaration, platforms, images=images, offline=offline, reporter=reporter
    )
    return lock


def remember_image(kept: Kept, built: ImageBuild, *, pushed: bool) -> None:
    """Write down in the workspace which image was built of a version."""
    if kept.curated:  # nothing of it is in the database
        return
    from hermetic.platforms import current_platform
    from hermetic.workspace.model import ImageRecord

    record = ImageRecord(
        kept.name, kept.version, current_platform(), built.reference, built.digest, pushed, "", ""
    )  # fmt: skip
    room_at(kept.workspace).environments.add_image(record)


def _curated(
    kept: Kept,
    project: Workplace,
    declaration: Declaration,
    platforms: Sequence[str],
    *,
    images: Sequence[str],
    offline: bool,
    reporter: Reporter,
) -> Lock | None:
    if images:  # with the base that the first build in the workspace has pinned
        from hermetic.workspace.builds.curated_locks import settle_curated
        from hermetic.workspace.builds.making import find_version

        room = room_at(kept.workspace)
        version = find_version(room, kept.name, kept.version)
        return settle_curated(room.objects, version, project, declaration, images, offline=offline, reporter=reporter)[
            0
        ]
    from hermetic.lock.file import read_lock, write_lock
    from hermetic.workspace.curated.catalogue import curated

    found = curated(kept.name, kept.version)
    if found is None or found.lock is None:
        return None
    lock = read_lock(found.lock)
    if any(platform not in lock.platforms for platform in platforms):
        return None
    write_lock(lock, declaration.lock_path)
    return lock


def room_at(address: WorkspaceAddress) -> Workspace:
    """Give the workspace of an address, open. Raises MissingError for one that is not on this machine."""
    if not address.database and not address.folder.exists():
        raise MissingError(
            f"the workspace {address.name} is not here any more: there is no {address.folder}",
            remedy="get the environment anew, from a workspace that is",
        )
    from hermetic.workspace.opening import opened

    return opened(address)
