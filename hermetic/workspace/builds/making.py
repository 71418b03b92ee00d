"""From a registered version to an image: its declaration, its kept lock, the image, and where it goes.

An image goes to the workspace's registry; where there is none, into this machine's Docker Engine; where there is none
either, into an OCI layout in the workspace's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import MachineError
from hermetic.events import SILENT, Reporter
from hermetic.platforms import current_platform
from hermetic.project.project import Declaration
from hermetic.project.workplace import Workplace
from hermetic.workspace.builds.curated_locks import settle_curated
from hermetic.workspace.curated.catalogue import curated, curated_versions
from hermetic.workspace.model import Definition, EnvironmentVersion, ImageRecord
from hermetic.workspace.settling import settle_lock
from hermetic.workspace.stamps import now, user

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.project.image_order import ImageOrder
    from hermetic.project.imaging import ImageBuild
    from hermetic.workspace.workspace import Workspace
    from hermetic.workspace_config import WorkspaceAddress

REGISTRY, ENGINE, LAYOUT = "registry", "engine", "layout"
IMAGES = "images"
"""The folder in the workspace's own for layouts: ``images/NAME/VERSION/PLATFORMS``."""
_LOCK = "environment.lock.json"


@dataclass(frozen=True)
class Order:
    """What is asked of a build: conda's ``platforms`` (none: this machine's), and addresses of channels' names."""

    platforms: tuple[str, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False


@dataclass(frozen=True)
class Made:
    """What a build came to: the image, where it went (REGISTRY, ENGINE or LAYOUT), and its lock's sha256."""

    image: ImageBuild
    where: str
    lock: str
    records: tuple[ImageRecord, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give what is told of it, as JSON values."""
        image = self.image
        return {
            "where": self.where,
            "reference": image.reference,
            "digest": image.digest,
            "changed": image.changed,
            "sent": image.sent,
            "loaded": image.loaded or None,
            "layout": image.layout or None,
            "platforms": {
                record.platform: {"reference": record.reference, "digest": record.digest} for record in self.records
            },
        }


def make_image(
    workspace: Workspace,
    version: EnvironmentVersion,
    folder: Path,
    order: Order,
    *,
    reporter: Reporter = SILENT,
) -> Made:
    """Build a version's image from its kept lock, which is made or grown first, and bring it where it belongs.

    ``folder`` is empty, and this build's own. Raises what locking and building images raise.
    """
    from hermetic.project.imaging import build_declared_images

    project = Workplace(_layout(folder), addresses=order.addresses, workspace=workspace.address)
    where, wanted = _delivery(workspace.address, version, project.config(), order.platforms)
    declaration = declaration_of(version, folder)
    platforms = order.platforms or (current_platform(),)
    config = project.config(offline=order.offline)
    if curated_versions(version.name):
        lock, digest = settle_curated(
            workspace.objects, version, project, declaration, platforms, offline=config.offline, reporter=reporter
        )
    else:
        lock, digest = settle_lock(
            workspace.environments, version, project, declaration, platforms, images=platforms, offline=config.offline,
            reporter=reporter,
        )  # fmt: skip
    declaration = replace(declaration, spec=replace(declaration.spec, platforms=tuple(lock.platforms)))
    built = build_declared_images(project, declaration, wanted, locked=True, offline=config.offline, reporter=reporter)
    reporter.say(f"{version.name}:{version.version}: {_told(built, where)}")
    return Made(built, where, digest, tuple(_records(version, built, platforms, where)))


def find_version(workspace: Workspace, name: str, version: int) -> EnvironmentVersion:
    """Give a version of the workspace, or of a curated environment. Raises MissingError, UsageError."""
    found = curated(name, version)
    if found is None:
        return workspace.environments.get(name, version)
    return EnvironmentVersion(name, version, Definition(name, "", found.files), "", "hermetic")


def declaration_of(version: EnvironmentVersion, folder: Path) -> Declaration:
    """Give what a version declares; its lock is to stand in the folder."""
    from hermetic.spec.azureml import Files, read_azureml

    named = Files(Path(f"{version.name}:{version.version}"), version.definition.files)
    found = read_azureml(named, root=folder)
    registry = found.values["docker"]["baseImageRegistry"]
    login = (registry["username"] or "", registry["password"] or "")
    return Declaration(str(named.folder), found.spec, (), folder / _LOCK, found.warnings, base_login=login)


def delivery(address: WorkspaceAddress, config: Config) -> str:
    """Say whither images of a workspace go: a registry's name, or an empty text where they stay on this machine."""
    return address.registry.rstrip("/") or config.registry


def _delivery(
    address: WorkspaceAddress, version: EnvironmentVersion, config: Config, platforms: Sequence[str]
) -> tuple[str, ImageOrder]:
    from hermetic.project.image_order import ImageOrder

    chosen = tuple(platforms)
    if registry := delivery(address, config):
        return REGISTRY, ImageOrder(reference=f"{registry}/", platforms=chosen, push=True)
    if (not chosen or current_platform() in chosen) and current_platform().startswith("linux-") and has_engine():
        return ENGINE, ImageOrder(platforms=chosen, load=True)
    layout = address.folder / IMAGES / version.name / str(version.version) / "+".join(chosen or (current_platform(),))
    return LAYOUT, ImageOrder(platforms=chosen, layout=layout)


def has_engine() -> bool:
    """Tell whether a Docker Engine answers this user."""
    from hermetic.outputs.oci.engine import connect

    try:
        return bool(connect(timeout=10).ping())
    except (MachineError, ValueError):  # none, none for this user, or an address that is none
        return False
    except OSError:
        return False


def _records(version: EnvironmentVersion, built: ImageBuild, platforms: Sequence[str], where: str) -> list[ImageRecord]:
    reference = f"oci:{built.layout}:{built.reference}" if where == LAYOUT else built.reference
    digests = {image.platform: image.manifest.digest for image in built.images}
    if not digests:  # the registry had it all: only the whole is known
        digests = dict.fromkeys(platforms, built.digest)
    moment, who = now(), user()
    return [
        ImageRecord(version.name, version.version, platform, reference, digest, where == REGISTRY, moment, who)
        for platform, digest in digests.items()
    ]


def _told(built: ImageBuild, where: str) -> str:
    news = "" if built.changed else ", which was there already"
    if where == REGISTRY:
        return f"pushed {built.reference} ({built.digest}){news}"
    if where == ENGINE:
        return f"the Docker Engine has {built.reference} ({built.loaded}){news}"
    return f"written to {built.layout} ({built.digest}){news}"


def _layout(folder: Path) -> Any:
    from hermetic.project.layout import Layout

    return Layout(folder)
