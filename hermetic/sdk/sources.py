"""Environments made from what is there: spec files, installed environments, images, Dockerfiles."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Self

from hermetic.errors import UsageError
from hermetic.sdk.attributes import text_argument
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.described import Described
from hermetic.sdk.errors import HermeticWarning, MissingError
from hermetic.sdk.sections import ContainerRegistry, Readable


class FromSources(Described):
    """The functions of an Environment that make one: see there."""

    @classmethod
    def from_conda_specification(cls, name: str, file_path: str | os.PathLike[str]) -> Self:
        """Make an environment from an ``environment.yml``. Raises MissingError, and SpecError with file and line."""
        environment = cls(name)
        path = file_path if isinstance(file_path, os.PathLike) else (
            text_argument("from_conda_specification", "file_path", file_path)
        )  # fmt: skip
        environment.python.conda_dependencies = CondaDependencies(path)
        environment._source = Path(path).name
        return environment

    @classmethod
    def from_pip_requirements(
        cls, name: str, file_path: str | os.PathLike[str], pip_version: str | None = None
    ) -> Self:
        """Make an environment from a pip requirements file; ``pip_version`` puts that pip into it.

        Raises MissingError, and SpecError with file and line.
        """
        environment = cls(name)
        dependencies = CondaDependencies.from_requirements(file_path)
        if pip_version is not None:
            dependencies.add_conda_package(f"pip={text_argument('from_pip_requirements', 'pip_version', pip_version)}")
        environment.python.conda_dependencies = dependencies
        environment._source = Path(file_path).name
        return environment

    @classmethod
    def from_existing_conda_environment(cls, name: str, conda_environment_name: str | os.PathLike[str]) -> Self:
        """Make an environment from an installed one, given by its name or folder: its packages' versions, no builds.

        Raises MissingError if there is none.
        """
        from hermetic.errors import SpecError
        from hermetic.spec.existing import read_existing

        environment = cls(name)
        where = os.fspath(conda_environment_name) if isinstance(conda_environment_name, os.PathLike) else (
            text_argument("from_existing_conda_environment", "conda_environment_name", conda_environment_name)
        )  # fmt: skip
        try:
            found = read_existing(where)
        except SpecError as error:
            if error.place is None or not Path(error.place.file).exists():
                raise MissingError(error.message, place=error.place, remedy=error.remedy) from None
            raise
        for note in found.warnings:
            warnings.warn(note, HermeticWarning, stacklevel=2)
        environment.python.conda_dependencies = CondaDependencies.from_spec(found.spec)
        environment._source = f"the conda environment {Path(where).name}"
        return environment

    @classmethod
    def from_docker_image(
        cls,
        name: str,
        image: str,
        container_registry: ContainerRegistry | str | None = None,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Make an environment on an image; without a specification its Python is the image's own (user-managed)."""
        environment = cls._with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_image = text_argument("from_docker_image", "image", image)
        if container_registry is not None:
            environment.docker.base_image_registry = container_registry
        return environment

    @classmethod
    def from_dockerfile(
        cls,
        name: str,
        dockerfile: str | os.PathLike[str] | Readable,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Make an environment on what a Dockerfile builds (its path, text or open file); else as from_docker_image."""
        environment = cls._with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_dockerfile = dockerfile
        if environment.docker.base_dockerfile is None:
            raise UsageError(
                "from_dockerfile: dockerfile is empty", remedy="give the path of a Dockerfile, or its text"
            )
        return environment

    @classmethod
    def _with_packages(
        cls,
        name: str,
        conda_specification: str | os.PathLike[str] | None,
        pip_requirements: str | os.PathLike[str] | None,
    ) -> Self:
        if conda_specification is not None and pip_requirements is not None:
            raise UsageError(
                "conda_specification and pip_requirements are both given",
                remedy="give one; a conda specification may name pip packages, or '-r file', below '- pip:'",
            )
        if conda_specification is not None:
            return cls.from_conda_specification(name, conda_specification)
        if pip_requirements is not None:
            return cls.from_pip_requirements(name, pip_requirements)
        environment = cls(name)
        environment.python.user_managed_dependencies = True
        return environment
