"""Environments as directories, in the v1 SDK's format.

The files are ``azureml_environment.json``, ``conda_dependencies.yml`` and, with a base Dockerfile,
``BaseDockerfile``. Fields that this version does not know are kept and written back. A registry's password is
never written.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from hermetic.errors import MachineError, Place, SpecError, UsageError
from hermetic.files import write_together
from hermetic.lock.jsontext import line_of
from hermetic.sdk.attributes import Strict
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.errors import ExistsError, HermeticWarning, MissingError
from hermetic.sdk.sections import DockerSection, PythonSection, is_placeholder
from hermetic.spec.azureml import (
    CONDA_NAME,
    DOCKERFILE_NAME,
    JSON_NAME,
    OURS,
    Files,
    default_values,
    json_text,
    read_azureml,
)

_PYTHON = {"userManagedDependencies": "user_managed_dependencies", "interpreterPath": "interpreter_path"}
_DOCKER = {
    "enabled": "enabled",
    "baseImage": "base_image",
    "buildContext": "build_context",
    "sharedVolumes": "shared_volumes",
    "shmSize": "shm_size",
    "arguments": "arguments",
}
_REGISTRY = {
    "address": "address",
    "username": "username",
    "password": "password",
    "registryIdentity": "registry_identity",
}
_PLATFORM = {"os": "os", "architecture": "architecture"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRET = re.compile(r"PASS|PWD|TOKEN|SECRET|KEY", re.IGNORECASE)
_TELLING = 4
"""Characters of a password from which on it is no accident that a variable has the same value."""
_TARGET = {"accelerator": "accelerator", "system": "system", "sourceBuilds": "source_builds"}


class Definition(NamedTuple):
    """What a directory says, as values and sections; ``values`` is its whole JSON."""

    values: dict[str, Any]
    python: PythonSection
    docker: DockerSection


def read_directory(held: Files, root: Path, *, deferred: bool = False) -> Definition:
    """Read a directory; relative paths in it start from ``root``.

    Texts that a workspace keeps have been read before: their conda side may be ``deferred`` until it is asked for.

    Raises MissingError if it is none, and SpecError with file, line and remedy.
    """
    path = held.folder
    if JSON_NAME not in held:
        there = held.texts is not None or path.is_dir()
        raise MissingError(
            f"there is no {JSON_NAME} in {path}" if there else f"there is no folder {path}",
            remedy=f"name a folder with {JSON_NAME}, as Environment.save_to_directory and 'hermetic environment "
            "scaffold' write it",
        )
    found = read_azureml(held, root=root, conda=not deferred)
    for note in found.warnings:
        warnings.warn(note, HermeticWarning, stacklevel=4)
    values = deepcopy(dict(found.values))
    reader = _Reader(held)
    python, docker = PythonSection(), DockerSection()
    reader.fill(python, values["python"], _PYTHON, "python")
    conda = found.conda
    if not conda and CONDA_NAME in held:  # the Spec needs none of a user-managed one, but it is kept
        conda = held.text(CONDA_NAME)
    if conda and deferred:
        python._deferred = conda, root  # noqa: SLF001  of one package
    elif conda:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HermeticWarning)  # said above
            python.conda_dependencies = CondaDependencies.from_text(conda, root)
    values["python"].pop("condaDependencies", None)
    reader.fill(docker, values["docker"], _DOCKER, "docker")
    reader.fill(
        docker.base_image_registry, values["docker"]["baseImageRegistry"], _REGISTRY, "docker", "baseImageRegistry"
    )
    reader.fill(docker.platform, values["docker"]["platform"], _PLATFORM, "docker", "platform")
    if found.dockerfile:
        docker.base_dockerfile = found.dockerfile if "\n" in found.dockerfile else f"{found.dockerfile}\n"
    return Definition(values, python, docker)


def fill(owner: Strict, values: Mapping[str, Any], held: Files) -> None:
    """Set an Environment's own attributes from a directory's values. Raises SpecError."""
    reader = _Reader(held)
    if values["version"] is not None:
        values = {**values, "version": str(values["version"])}
    names = {"name": "name", "version": "version", "inferencingStackVersion": "inferencing_stack_version"}
    reader.fill(owner, values, {**names, "environmentVariables": "environment_variables"})
    reader.fill(owner, values.get(OURS) or {}, _TARGET, OURS)


def write_directory(path: Path, texts: Mapping[str, str], *, overwrite: bool) -> None:
    """Write a directory's files. Raises ExistsError if something is there and may not be overwritten."""
    if not path.is_symlink() and not path.exists() and _write_new(path, texts):
        return
    if not overwrite:
        raise ExistsError(f"{path} is there already", remedy="give another path, or overwrite=True")
    if not path.is_dir():
        raise ExistsError(f"{path} is no folder", remedy="give a folder")
    # The JSON goes last: it is the file that makes the folder an environment.
    write_together({path / name: texts[name] for name in sorted(texts, key=lambda name: (name == JSON_NAME, name))})
    if DOCKERFILE_NAME not in texts:
        (path / DOCKERFILE_NAME).unlink(missing_ok=True)


def _write_new(path: Path, texts: Mapping[str, str]) -> bool:
    """Write a folder beside and give it its name when it is whole; False if another has taken the name meanwhile."""
    staging = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        inner = staging / "new"  # mkdtemp's own folder is for its owner only; this one has the usual mode
        inner.mkdir()
        write_together({inner / name: text for name, text in texts.items()})
        inner.rename(path)
    except MachineError:
        raise
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR} and path.exists():
            return False
        raise MachineError(
            f"cannot write: {error.strerror}", place=Place(str(path)), remedy="make room, or check the permissions"
        ) from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return True


def directory_texts(
    values: Mapping[str, Any], python: PythonSection, docker: DockerSection, root: Path
) -> dict[str, str]:
    """Give the files of a directory at ``root``; ``values`` holds the Environment's own fields and what is kept."""
    document: dict[str, Any] = {**default_values(), **deepcopy(dict(values))}
    document["python"] |= {name: getattr(python, attribute) for name, attribute in _PYTHON.items()}
    section = {**default_values()["docker"], **document["docker"]}
    section |= {name: getattr(docker, attribute) for name, attribute in _DOCKER.items()}
    registry = docker.base_image_registry
    section["baseImageRegistry"] |= {name: getattr(registry, attribute) for name, attribute in _REGISTRY.items()}
    section["platform"] |= {name: getattr(docker.platform, attribute) for name, attribute in _PLATFORM.items()}
    section["baseImageRegistry"]["password"] = written_password(registry.password)
    if registry.password is not None and section["baseImageRegistry"]["password"] is None:
        warnings.warn(
            "the registry's password is not written: set it again after loading, or use '${NAME}', which stands for "
            "the environment variable NAME and is kept",
            HermeticWarning,
            stacklevel=4,
        )
    texts = {}
    if docker.build_context is None or python.conda_dependencies.to_spec() != CondaDependencies().to_spec():
        texts[CONDA_NAME] = python.conda_dependencies.text_for(root)
    section["baseDockerfile"] = None
    if docker.base_dockerfile:
        del section["baseDockerfile"]  # as the v1 SDK does: the text stands beside
        texts[DOCKERFILE_NAME] = docker.base_dockerfile
    document["docker"] = section
    texts[JSON_NAME] = json_text(document)
    return texts


def written_password(password: str | None) -> str | None:
    """Give what is written down for a password: the reference that it is, or the variable that it was taken from.

    None for a password that was typed in: it is written nowhere.
    """
    if password is None or is_placeholder(password):
        return password
    if len(password) < _TELLING:
        return None
    names = sorted(name for name, value in os.environ.items() if value == password and _VARIABLE.match(name))
    named = [name for name in names if _SECRET.search(name)] or names
    return f"${{{named[0]}}}" if named else None


class _Reader:
    """Sets attributes from JSON values, and says where in the file a refused one stands."""

    def __init__(self, held: Files) -> None:
        self.held = held

    def fill(self, target: Strict, values: Mapping[str, Any], names: Mapping[str, str], *above: str) -> None:
        for name, attribute in names.items():
            if name not in values:
                continue
            try:
                setattr(target, attribute, values[name])
            except UsageError as error:
                line = line_of(self.held.text(JSON_NAME), (*above, name))
                place = Place(str(self.held.folder / JSON_NAME), line)
                raise SpecError(error.message, place=place, remedy=error.remedy) from None
