"""Versions of environments in a workspace: what the methods of Environment do with them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError, MissingError, UsageError
from hermetic.sdk.attributes import text_argument
from hermetic.sdk.environments import curated_name
from hermetic.sdk.errors import ArgumentError, HermeticWarning
from hermetic.sdk.kept import Kept, kept_environment, kept_of, room_at
from hermetic.sdk.registering import definition_of
from hermetic.sdk.workspace import checked_workspace, room_of

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.sdk.environment import Environment
    from hermetic.sdk.workspace import Workspace
    from hermetic.workspace.model import EnvironmentVersion


class ImageDetails(dict[str, Any]):
    """What is known of an environment's image, under the v1 SDK's names: ``dockerImage``, ``imageExistsInRegistry``.

    Besides there are ``digest`` and ``platform``. Without an image ``dockerImage`` is None.
    """

    @property
    def image_exist(self) -> bool:
        """Whether a registry has the image."""
        return bool(self["imageExistsInRegistry"])

    @property
    def repository(self) -> str | None:
        """The image's name, without its registry; None if there is no image."""
        return self["dockerImage"]["name"] if self["dockerImage"] else None

    @property
    def registry(self) -> str | None:
        """The address of the registry that has the image; None if none has."""
        return self["dockerImage"]["registry"]["address"] if self["dockerImage"] else None

    @property
    def image(self) -> str | None:
        """The image's whole name; None if there is no image."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository


def register(environment: Environment, workspace: Workspace, lock: Lock | str | os.PathLike[str] | None) -> Environment:
    """Register an environment: see Environment.register."""
    version, _ = registered(environment, workspace, lock)
    return kept_environment(version, room_of(workspace, "register").address)


def registered(
    environment: Environment,
    workspace: Workspace,
    lock: Lock | str | os.PathLike[str] | None = None,
    *,
    labels: Sequence[str] = (),
    root: str | os.PathLike[str] | None = None,
) -> tuple[EnvironmentVersion, bool]:
    """Register an environment; give the version, and whether it is new. ``labels`` are put on it.

    ``root`` is the folder whose ``lockfiles`` are looked at (default: the working one).
    """
    from hermetic.workspace.naming import check_label

    for one in labels:  # before anything is kept
        check_label(one)
    environments = room_of(workspace, "register").environments
    definition = definition_of(environment)
    data = _own_lock(environment, Path(root or ".")) if lock is None else _lock_bytes(environment, lock)
    known = environments.find(definition.name)
    version = environments.register(definition, lock=data)
    if data is not None and lock is not None:
        from hermetic.digest import sha256_bytes

        if version.lock != sha256_bytes(data):
            warnings.warn(
                f"{version.name}:{version.version} has a lock already, and keeps it: the one given is not used",
                HermeticWarning,
                stacklevel=4,
            )
    if labels:
        environments.label(version.name, version.version, labels)
        version = environments.get(version.name, version.version)
    return version, known is None or version.version > known.versions


def archived_as(environment: Environment, workspace: Workspace) -> bool:
    """Tell whether an environment's definition is a version that is archived: registering it would restore it."""
    definition = definition_of(environment)
    environments = room_of(workspace, "register").environments
    if environments.find(definition.name) is None:
        return False
    found = environments.versions(definition.name)
    return any(item.archived for item in found if item.definition.digest == definition.digest)


def version_for(environment: Environment, workspace: Workspace | None, function: str = "build_local") -> Kept | None:
    """Tell which version an environment is; with a workspace it is registered first, unless it is one of it."""
    kept = kept_of(environment)
    if workspace is None:
        return kept
    address = checked_workspace(workspace, function)._address  # noqa: SLF001  of one package
    if kept is not None and (kept.curated or kept.workspace == address):
        return kept
    return register(environment, workspace, None)._kept  # noqa: SLF001


def label(workspace: Workspace, name: str, version: str | int, labels: Sequence[str]) -> None:
    """Put labels on a version: see Environment.label."""
    room = room_of(workspace, "label")
    _refuse_curated(name, "labelled")
    room.environments.label(name, version, _labels(labels))


def unlabel(workspace: Workspace, name: str, labels: Sequence[str]) -> None:
    """Take labels away: see Environment.unlabel."""
    room = room_of(workspace, "unlabel")
    _refuse_curated(name, "labelled")
    room.environments.unlabel(name, _labels(labels))


def archive(environment: Environment, *, restore: bool = False) -> None:
    """Archive or restore the version that an environment is: see Environment.archive."""
    kept = environment._kept  # noqa: SLF001
    if environment.name is not None:
        _refuse_curated(environment.name, "archived")
    if kept is None or kept.curated or environment.name != kept.name:
        raise UsageError(
            f"{environment.name} is no version of a workspace",
            remedy="take one with Environment.get(workspace, name, version), or register it first",
        )
    room_at(kept.workspace).environments.archive(kept.name, kept.version, restore=restore)


def archive_named(
    workspace: Workspace, name: str, version: str | int | None, label: str | None, *, restore: bool
) -> int | None:
    """Archive or restore an environment, or one version of it; give the version's number."""
    environments = room_of(workspace, "archive").environments
    _refuse_curated(name, "archived")
    number = environments.get(name, version, label).version if version is not None or label is not None else None
    environments.archive(name, number, restore=restore)
    return number


def add_wheel(workspace: Workspace, file_path: str | os.PathLike[str], *, exist_ok: bool = False) -> str:
    """Upload a wheel: see Environment.add_private_pip_wheel."""
    room = room_of(workspace, "add_private_pip_wheel")
    path = file_path if isinstance(file_path, os.PathLike) else (
        text_argument("add_private_pip_wheel", "file_path", file_path)
    )  # fmt: skip
    return str(room.wheels.add(Path(path), exist_ok=exist_ok).url)


def image_details(environment: Environment, workspace: Workspace) -> ImageDetails:
    """Tell of an environment's image: see Environment.get_image_details."""
    room = room_of(workspace, "get_image_details")
    if environment.name is None:
        raise UsageError("the environment has no name", remedy="give it one, and register it")
    kept = kept_of(environment)
    number: int | str | None = None
    if kept is not None and kept.workspace == room.address:
        number = kept.version
    elif not curated_name(environment.name):
        number = registered_as(environment, workspace)
    records = [] if number is None else room.environments.images(environment.name, number)
    found = next(iter(sorted(records, key=lambda item: item.pushed, reverse=True)), None)
    if found is None:
        return ImageDetails(imageExistsInRegistry=False, dockerImage=None, digest=None, platform=None)
    host, slash, name = found.reference.partition("/")
    has_host = bool(slash) and (":" in host or "." in host or host == "localhost")
    address = host if has_host and found.pushed else None
    return ImageDetails(
        imageExistsInRegistry=found.pushed,
        dockerImage={"name": name if address else found.reference, "registry": {"address": address}},
        digest=found.digest,
        platform=found.platform,
    )


def registered_as(environment: Environment, workspace: Workspace) -> int:
    """Give the number of the version that has an environment's definition. Raises MissingError if none has."""
    digest = definition_of(environment).digest
    name = str(environment.name)
    found = [item for item in room_of(workspace, "get").environments.versions(name) if item.definition.digest == digest]
    if not found:
        raise MissingError(
            f"no version of {name} has this definition", remedy="register it, with environment.register(workspace)"
        )
    return found[-1].version


def _own_lock(environment: Environment, root: Path) -> bytes | None:
    """Give the lock that the environment has in a folder, as ``lock()`` writes it, if it fits what is registered."""
    path = root.absolute() / "lockfiles" / f"{environment.name}.lock.json"
    if not path.is_file():
        return None
    try:
        return _lock_bytes(environment, path)
    except (HermeticError, OSError):  # nobody has named it, so it is no fault
        return None


def _lock_bytes(environment: Environment, lock: Lock | str | os.PathLike[str]) -> bytes:
    """Give a lock that fits an environment as the bytes of its file. Raises UsageError for one that does not."""
    from hermetic.lock.check import check, check_bases
    from hermetic.lock.file import format_lock, read_lock
    from hermetic.lock.model import Lock as LockValue

    if isinstance(lock, LockValue):
        found, shown = lock, "the lock"
    elif isinstance(lock, str | os.PathLike):
        found, shown = read_lock(Path(lock)), os.fspath(lock)
    else:
        raise ArgumentError("register: lock is a Lock or a path", remedy="give what Environment.lock() gives")
    spec = environment.to_spec()
    findings = list(check(spec, found, platforms=tuple(found.platforms)))
    findings += [item for item in check_bases(spec, found) if item.code == "base-changed" and not spec.base_dockerfile]
    if findings:
        raise UsageError(
            f"{shown} does not fit {environment.name}: {findings[0].message}",
            remedy="lock it again, with environment.lock()",
        )
    return format_lock(found).encode()


def _refuse_curated(name: str, what: str) -> None:
    if curated_name(name):
        raise UsageError(
            f"{name} is curated: it cannot be {what}", remedy="clone() it under a name of your own, and register that"
        )


def _labels(labels: Sequence[str]) -> Sequence[str]:
    if isinstance(labels, str):
        return [labels]
    if not isinstance(labels, Sequence) or not all(isinstance(item, str) for item in labels):
        raise ArgumentError("labels is a list of texts", remedy="write labels=[...]")
    return labels
