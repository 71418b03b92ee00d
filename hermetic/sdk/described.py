"""What an environment is described by: its attributes, each checked when it is set, and the Spec that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import UsageError
from hermetic.platforms import Accelerator, check_system
from hermetic.sdk.attributes import Attribute, Strict, checked, text_argument
from hermetic.sdk.directory import directory_texts, fill, read_directory
from hermetic.sdk.naming import check_name
from hermetic.sdk.sections import DockerSection, PythonSection
from hermetic.sdk.variables import Variables
from hermetic.spec.azureml import OURS, Files, default_values
from hermetic.spec.images import base_reference
from hermetic.spec.model import Spec
from hermetic.spec.passwords import check_text
from hermetic.spec.pep508 import normal_name

if TYPE_CHECKING:
    from hermetic.sdk.kept import Kept


class Described(Strict):
    """The attributes of an Environment: see there."""

    python = Attribute[PythonSection](PythonSection, PythonSection, doc="Python and its packages")
    docker = Attribute[DockerSection](DockerSection, DockerSection, doc="The image")
    inferencing_stack_version = Attribute[str | None](str, lambda: None, optional=True, doc="Kept in files; not used")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.version = None
        self._values = default_values()
        self._variables = Variables()
        self._accelerator = str(Accelerator())
        self._system: dict[str, str] = {}
        self._source_builds: list[str] = []
        self._kept: Kept | None = None  # the version that it was got as
        self._source = ""  # the name of the file that it was made from, for people

    @property
    def name(self) -> str | None:
        """The name; None for an environment without one, which is locked and built by path only."""
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = None if checked(self, "name", value, str, optional=True) is None else check_name(str(value))

    @property
    def version(self) -> str | None:
        """The version that a workspace gave it."""
        return self._version

    @version.setter
    def version(self, value: str | int | None) -> None:
        number = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        self._version: str | None = checked(self, "version", number, str, optional=True)

    @property
    def environment_variables(self) -> Variables:
        """Variables that processes in the environment get; they win over those of the conda specification."""
        return self._variables

    @environment_variables.setter
    def environment_variables(self, value: Mapping[str, str]) -> None:
        self._variables = Variables(checked(self, "environment_variables", value, dict))

    @property
    def accelerator(self) -> str:
        """What the environment computes on: ``cpu``, or ``cuda-`` with the driver's CUDA version."""
        return self._accelerator

    @accelerator.setter
    def accelerator(self, value: str) -> None:
        self._accelerator = str(Accelerator.parse(checked(self, "accelerator", value, str)))

    @property
    def system(self) -> dict[str, str]:
        """What the target machine offers, where it differs from the defaults: ``{"glibc": "2.35"}``."""
        return dict(self._system)

    @system.setter
    def system(self, value: Mapping[str, str]) -> None:
        found: dict[str, str] = checked(self, "system", value, dict)
        self._system = dict(sorted(check_system(str(name), version) for name, version in found.items()))

    @property
    def source_builds(self) -> list[str]:
        """Pip packages that may be built from source, or ``:all:``; wheels alone are used for all others."""
        return list(self._source_builds)

    @source_builds.setter
    def source_builds(self, value: Sequence[str]) -> None:
        names = [text_argument("source_builds", "a name", name) for name in checked(self, "source_builds", value, list)]
        self._source_builds = sorted({name if name == ":all:" else normal_name(name) for name in names})

    def to_spec(self) -> Spec:
        """Give what the environment declares as a Spec; relative paths start from its conda dependencies' ``root``.

        Raises UsageError for an environment with a build context, which nothing here can build.
        """
        python, docker = self.python, self.docker
        if docker.build_context is not None:
            raise UsageError(
                "docker.build_context says where a cloud finds what it builds the base from, and is not used here",
                remedy="set docker.base_dockerfile to its Dockerfile; one that copies from its folder is declared in "
                "hermetic.toml: base-dockerfile, base-context",
            )
        spec = Spec() if python.user_managed_dependencies else python.conda_dependencies.to_spec()
        return replace(
            spec,
            variables=tuple({**dict(spec.variables), **self.environment_variables}.items()),
            base=base_reference(docker.base_image or "", docker.base_image_registry.address),
            base_dockerfile=docker.base_dockerfile or "",
            accelerator=Accelerator.parse(self.accelerator),
            system=tuple(self.system.items()),
            source_builds=tuple(self.source_builds),
        )

    def _texts(self, root: Path, *, version: bool = True) -> dict[str, str]:
        """Give the definition as the files of a directory at ``root``, by name; without its version if so wished.

        Raises SpecError if the value of a secret stands in it.
        """
        self.environment_variables.check()
        own: dict[str, Any] = {
            **self._values,
            "name": self.name,
            "version": self.version if version else None,
            "environmentVariables": dict(self.environment_variables),
            "inferencingStackVersion": self.inferencing_stack_version,
        }
        own.pop(OURS, None)
        target = {"accelerator": self.accelerator, "system": self.system, "sourceBuilds": self.source_builds}
        if (target["accelerator"], target["system"], target["sourceBuilds"]) != (str(Accelerator()), {}, []):
            own[OURS] = target
        texts = directory_texts(own, self.python, self.docker, root)
        for file, text in texts.items():
            check_text(file, text)
        return texts

    def _read(self, held: Files, root: Path, *, deferred: bool = False) -> None:
        """Become what a directory's files say. Raises MissingError, and SpecError with file and line.

        ``deferred``: as in read_directory.
        """
        found = read_directory(held, root, deferred=deferred)
        fill(self, found.values, held)
        self._values = found.values
        self.python, self.docker = found.python, found.docker

    def __repr__(self) -> str:
        return f"Environment(name={self.name!r}, version={self.version!r})"
