"""What a project's ``pyproject.toml`` says of its build (PEP 517, PEP 518): backend, requirements, static version."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hermetic.errors import BuildError, Place, SpecError
from hermetic.spec.model import PipRequirement
from hermetic.spec.pep508 import Origin, pip_requirement

_OLD_BACKEND = "setuptools.build_meta:__legacy__"
_OLD_REQUIRES = ("setuptools>=40.8.0",)  # PEP 517: what a project without a [build-system] table means


@dataclass(frozen=True)
class BuildSystem:
    """How a project is built. ``version`` is the static version of PEP 621, empty where only the build can tell."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...] = ()
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the build system as JSON values."""
        return {
            "requires": list(self.requires),
            "backend": self.backend,
            "backend_path": list(self.backend_path),
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BuildSystem:
        """Read what ``to_dict`` gives."""
        return cls(tuple(values["requires"]), values["backend"], tuple(values["backend_path"]), values["version"])


def read_build_system(folder: Path, name: str) -> BuildSystem:
    """Read how the project in a folder is built. Raises BuildError if that cannot be understood.

    ``name`` is the project's, for messages.
    """
    file = folder / "pyproject.toml"
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        raise _wrong(name, "pyproject.toml is a link that leads out of the source")
    if not file.is_file():
        if not (folder / "setup.py").is_file():
            raise _wrong(name, "it has neither pyproject.toml nor setup.py: it is no Python project")
        return BuildSystem(_OLD_REQUIRES, _OLD_BACKEND)
    try:
        with file.open("rb") as opened:
            content = tomllib.load(opened)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(name, f"its pyproject.toml is no TOML: {error}") from None
    project = content.get("project", {})
    version = project.get("version", "") if isinstance(project, dict) else ""
    version = version if isinstance(version, str) else ""
    table = content.get("build-system")
    if table is None:
        return BuildSystem(_OLD_REQUIRES, _OLD_BACKEND, version=version)
    if not isinstance(table, dict):
        raise _wrong(name, "[build-system] in its pyproject.toml is no table")
    requires, path = table.get("requires"), table.get("backend-path", [])
    backend = table.get("build-backend", _OLD_BACKEND)
    if not isinstance(requires, list) or not isinstance(path, list) or not isinstance(backend, str):
        raise _wrong(name, "[build-system] in its pyproject.toml is not as PEP 518 has it")
    if not backend or not all(isinstance(item, str) for item in (*requires, *path)):
        raise _wrong(name, "[build-system] in its pyproject.toml is not as PEP 518 has it")
    for item in path:
        if PurePosixPath(item).is_absolute() or ".." in PurePosixPath(item).parts:
            raise _wrong(name, f"backend-path in its pyproject.toml leads out of the source: {item!r}")
    return BuildSystem(tuple(requires), backend, tuple(path), version)


def build_requirements(texts: tuple[str, ...], name: str) -> tuple[PipRequirement, ...]:
    """Read build requirements. Raises BuildError for one that no wheel of an index could serve."""
    found = []
    for text in texts:
        try:
            requirement = pip_requirement(text, Origin(Place(f"pyproject.toml of {name}")))
        except SpecError as error:
            raise _wrong(name, f"{text!r}, which its build requires, is no requirement: {error.message}") from None
        if requirement.url and not requirement.url.partition("#")[0].endswith(".whl"):
            raise _wrong(name, f"its build requires {text!r}, which is no wheel")
        found.append(requirement)
    return tuple(sorted(set(found)))


def _wrong(name: str, what: str) -> BuildError:
    return BuildError(f"{name} cannot be built: {what}", remedy="choose another version of it, or one with a wheel")
