"""What is told of a workspace's environments: a line of each, and all that is known of a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hermetic.sdk.environments import curated_name, get_version, lock_of_version, version_of
from hermetic.workspace.curated.catalogue import catalogue, curated

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.sdk.workspace import Workspace
    from hermetic.workspace.model import EnvironmentVersion, ImageRecord


@dataclass(frozen=True)
class Line:
    """One line of a list. ``latest`` is 0 where every version is archived; ``packages`` are those of curated ones."""

    name: str
    latest: int
    versions: int
    created_at: str = ""
    created_by: str = ""
    archived: bool = False
    curated: bool = False
    summary: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detail:
    """A version with what belongs to it. ``summary`` is what is said of a curated one."""

    version: EnvironmentVersion
    lock: Lock | None = None
    images: tuple[ImageRecord, ...] = ()
    curated: bool = False
    summary: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    base: str = ""


def listed(workspace: Workspace, *, archived: bool = False, curated_only: bool = False) -> list[Line]:
    """Give a line of every environment, sorted by name: one's own, then the curated ones."""
    own = [] if curated_only else workspace._room.environments.list(archived=archived)  # noqa: SLF001  of one package
    lines = [
        Line(item.name, item.latest, item.versions, item.created_at, item.created_by, item.archived) for item in own
    ]
    for name, item in sorted(catalogue().items()):
        packages = version_of(item).definition.packages
        lines.append(Line(name, item.version, item.version, curated=True, summary=item.summary, packages=packages))
    return lines


def detail(workspace: Workspace, name: str, version: str | int | None = None, label: str | None = None) -> Detail:
    """Give all that is known of a version. Raises as Environment.get."""
    from hermetic.sdk.registering import environment_of

    found = get_version(workspace, name, version, label)
    spec = environment_of(found).to_spec()
    ours = curated_name(name)
    item = curated(name, found.version) if ours else None
    images = () if ours else tuple(workspace._room.environments.images(name, found.version))  # noqa: SLF001
    return Detail(
        found,
        lock_of_version(workspace, found),
        images,
        ours,
        item.summary if item else "",
        dict(spec.variables),
        "its own Dockerfile" if spec.base_dockerfile else spec.base,
    )
