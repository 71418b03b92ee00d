"""The environments of a workspace, the curated ones among them: found by name, version or label, loaded when used."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from difflib import get_close_matches
from functools import cache
from heapq import merge
from typing import TYPE_CHECKING

from hermetic.errors import MissingError, UsageError
from hermetic.sdk.attributes import text_argument
from hermetic.sdk.environment import Environment
from hermetic.sdk.errors import ArgumentError, UnknownEnvironmentError
from hermetic.sdk.kept import kept_environment
from hermetic.sdk.registering import definition_of, environment_from
from hermetic.sdk.workspace import Workspace, room_of
from hermetic.workspace.curated.catalogue import catalogue, curated, curated_versions
from hermetic.workspace.model import LATEST, Definition, EnvironmentVersion

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.workspace.curated.catalogue import Curated


_SHOWN = 6
"""Names that are shown of many."""


class Environments(Mapping[str, Environment]):
    """The latest version of every environment of a workspace, by name, sorted: a dictionary that nobody writes to.

    Names are asked for when they are needed, definitions one by one, or in chunks where all are wanted.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __getitem__(self, name: str) -> Environment:
        if not isinstance(name, str):
            raise KeyError(name)
        try:
            return get_environment(self._workspace, name)
        except UsageError as error:
            raise UnknownEnvironmentError(error.message, place=error.place, remedy=error.remedy) from None

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if name in catalogue():
            return True
        found = self._workspace._room.environments.find(name)  # noqa: SLF001
        return found is not None and not found.archived and found.latest > 0

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._own(), *catalogue()}))

    def __len__(self) -> int:
        return len({*self._own(), *catalogue()})

    def values(self) -> ValuesView[Environment]:
        """Give the environments; while they are gone through, definitions come in chunks."""
        return _Values(self)

    def items(self) -> ItemsView[str, Environment]:
        """Give the environments with their names, as ``values`` does."""
        return _Items(self)

    def _own(self) -> list[str]:
        return self._workspace._room.environments.names()  # noqa: SLF001

    def _loaded(self) -> Iterator[Environment]:
        own = self._workspace._room.environments.latest_many(sorted(self._own()))  # noqa: SLF001  of one package
        ours = (version_of(item) for _, item in sorted(catalogue().items()))
        for version in merge(own, ours, key=lambda version: version.name):
            yield kept_environment(version, self._workspace._address)  # noqa: SLF001

    def __repr__(self) -> str:
        names = list(self)
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        return f"<{len(names)} environments of the workspace {self._workspace.name}: {shown}>"


class _Values(ValuesView[Environment]):
    _mapping: Environments

    def __iter__(self) -> Iterator[Environment]:
        return self._mapping._loaded()  # noqa: SLF001  of one module


class _Items(ItemsView[str, Environment]):
    _mapping: Environments

    def __iter__(self) -> Iterator[tuple[str, Environment]]:
        return ((str(environment.name), environment) for environment in self._mapping._loaded())  # noqa: SLF001


def get_environment(
    workspace: Workspace, name: str, version: str | int | None = None, label: str | None = None
) -> Environment:
    """Give a version of an environment: see Environment.get."""
    found = get_version(workspace, name, version, label)
    return kept_environment(found, workspace._address)  # noqa: SLF001


def get_version(
    workspace: Workspace, name: str, version: str | int | None = None, label: str | None = None
) -> EnvironmentVersion:
    """Give what is known of a version, also of a curated one. Raises as Environment.get."""
    room = room_of(workspace, "get")
    text_argument("get", "name", name)
    if version is not None and (not isinstance(version, str | int) or isinstance(version, bool)):
        raise ArgumentError(f"get: version is a number, not {type(version).__name__}", remedy="write version=3, or '3'")
    if label is not None:
        text_argument("get", "label", label)
    if curated_versions(name):
        if version is not None and label is not None:
            raise UsageError("get: version and label are both given", remedy="give one of them")
        if label not in {None, LATEST}:
            raise UsageError(f"the curated environment {name} has no label {label!r}", remedy=f"it has {LATEST!r}")
        found = curated(name, version)
        assert found is not None
        return version_of(found)
    try:
        return room.environments.get(name, version, label)
    except MissingError as error:
        if near := get_close_matches(name, catalogue(), 1, 0.8):
            error.remedy = f"did you mean {near[0]!r}?"
        raise


def parse_reference(text: str) -> tuple[str, str | None, str | None]:
    """Read NAME, NAME:VERSION or NAME@LABEL: give name, version and label. Raises UsageError."""
    name, colon, version = text.partition(":")
    if not colon:
        name, at, label = text.partition("@")
        if at and not label:
            raise UsageError(f"{text!r} has no label behind @", remedy="write NAME@LABEL")
        return name, None, label or None
    if not version:
        raise UsageError(f"{text!r} has no version behind the colon", remedy="write NAME:VERSION")
    return name, version, None


def get_versions(workspace: Workspace, name: str) -> tuple[EnvironmentVersion, ...]:
    """Give all versions of an environment: see Environment.versions."""
    room = room_of(workspace, "versions")
    text_argument("versions", "name", name)
    if found := curated_versions(name):
        return tuple(version_of(item) for item in found)
    return tuple(room.environments.versions(name))


def lock_of_version(workspace: Workspace, version: EnvironmentVersion) -> Lock | None:
    """Give the lock that is kept for a version, if it has one. Raises IntegrityError if it is damaged."""
    from hermetic.lock.file import read_lock
    from hermetic.workspace.kept_locks import kept_lock

    if curated_versions(version.name):
        found = curated(version.name, version.version)
        return read_lock(found.lock) if found and found.lock else None
    return kept_lock(room_of(workspace, "get").environments, version.name, version.version)[0]


def curated_name(name: str) -> bool:
    """Tell whether a name is that of a curated environment."""
    return bool(curated_versions(name))


def version_of(item: Curated) -> EnvironmentVersion:
    """Give a curated version as those of a workspace are given."""
    latest = curated_versions(item.name)[-1].version == item.version
    definition = _definition(item.name, item.version)
    return EnvironmentVersion(item.name, item.version, definition, "", "hermetic", labels=(LATEST,) if latest else ())


@cache
def _definition(name: str, version: int) -> Definition:
    found = curated(name, version)
    assert found is not None
    return definition_of(environment_from(name, version, found.files))
