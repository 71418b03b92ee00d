"""``Environment``: a named definition of Python packages, variables and an image's base.

The names are the Azure ML v1 SDK's. What differs, and why: docs/api.md.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from hermetic.errors import UsageError
from hermetic.platforms import Accelerator, check_system
from hermetic.sdk.attributes import Attribute, Strict, checked, text_argument
from hermetic.sdk.conda_dependencies import CondaDependencies
from hermetic.sdk.directory import directory_texts, fill, read_directory, write_directory
from hermetic.sdk.errors import HermeticWarning, MissingError
from hermetic.sdk.naming import check_name
from hermetic.sdk.sections import ContainerRegistry, DockerSection, PythonSection, Readable
from hermetic.sdk.variables import Variables
from hermetic.spec.azureml import OURS, default_values
from hermetic.spec.model import Spec
from hermetic.spec.pep508 import normal_name

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.sdk.results import LocalBuild, LocalImage

_WORKSPACE = "it needs a Workspace, which comes with a later release; lock() and build_local(useDocker=False) need none"
_CLOUD = "what a file says of it is kept and written back, and changes nothing here; remove the line"


class Environment(Strict):
    """A named environment: ``python``, ``docker``, ``environment_variables``, and what it is locked for.

    ``accelerator`` is ``cpu`` or ``cuda-12.4``; ``system`` names what the target machine offers where it differs
    from the defaults (``{"glibc": "2.35"}``); ``source_builds`` lists pip packages that may be built from source.
    """

    python = Attribute[PythonSection](PythonSection, PythonSection, doc="Python and its packages")
    docker = Attribute[DockerSection](DockerSection, DockerSection, doc="The image")
    inferencing_stack_version = Attribute[str | None](str, lambda: None, optional=True, doc="Kept in files; not used")

    _elsewhere = {  # noqa: RUF012
        **dict.fromkeys(
            ("register", "get", "list", "label", "build", "get_image_details", "add_private_pip_wheel"), _WORKSPACE
        ),
        "from_docker_build_context": "images come with a later release; from_dockerfile() takes a Dockerfile",
        **dict.fromkeys(("spark", "databricks", "r", "asset_id"), _CLOUD),
    }

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.version = None
        self._values = default_values()
        self._variables = Variables()
        self._accelerator = str(Accelerator())
        self._system: dict[str, str] = {}
        self._source_builds: list[str] = []

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
        self._system = dict(sorted(check_system(name, str(version)) for name, version in found.items()))

    @property
    def source_builds(self) -> list[str]:
        """Pip packages that may be built from source, or ``:all:``; wheels alone are used for all others."""
        return list(self._source_builds)

    @source_builds.setter
    def source_builds(self, value: Sequence[str]) -> None:
        names = [text_argument("source_builds", "a name", name) for name in checked(self, "source_builds", value, list)]
        self._source_builds = sorted({name if name == ":all:" else normal_name(name) for name in names})

    # Definitions from what is there

    @staticmethod
    def from_conda_specification(name: str, file_path: str | os.PathLike[str]) -> Environment:
        """Make an environment from an ``environment.yml``. Raises MissingError, and SpecError with file and line."""
        environment = Environment(name)
        path = file_path if isinstance(file_path, os.PathLike) else (
            text_argument("from_conda_specification", "file_path", file_path)
        )  # fmt: skip
        environment.python.conda_dependencies = CondaDependencies(path)
        return environment

    @staticmethod
    def from_pip_requirements(
        name: str, file_path: str | os.PathLike[str], pip_version: str | None = None
    ) -> Environment:
        """Make an environment from a pip requirements file; ``pip_version`` puts that pip into it.

        Raises MissingError, and SpecError with file and line.
        """
        environment = Environment(name)
        dependencies = CondaDependencies.from_requirements(file_path)
        if pip_version is not None:
            dependencies.add_conda_package(f"pip={text_argument('from_pip_requirements', 'pip_version', pip_version)}")
        environment.python.conda_dependencies = dependencies
        return environment

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str | os.PathLike[str]) -> Environment:
        """Make an environment from an installed one, given by its name or folder: its packages' versions, no builds.

        Raises MissingError if there is none.
        """
        from hermetic.errors import SpecError
        from hermetic.spec.existing import read_existing

        environment = Environment(name)
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
        return environment

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | str | None = None,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """Make an environment on an image; without a specification its Python is the image's own (user-managed)."""
        environment = _with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_image = text_argument("from_docker_image", "image", image)
        if container_registry is not None:
            environment.docker.base_image_registry = container_registry
        return environment

    @staticmethod
    def from_dockerfile(
        name: str,
        dockerfile: str | os.PathLike[str] | Readable,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """Make an environment on what a Dockerfile builds (its path, text or open file); else as from_docker_image."""
        environment = _with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_dockerfile = dockerfile
        if environment.docker.base_dockerfile is None:
            raise UsageError(
                "from_dockerfile: dockerfile is empty", remedy="give the path of a Dockerfile, or its text"
            )
        return environment

    def clone(self, new_name: str) -> Environment:
        """Give an independent copy under another name, without a version."""
        made = copy.deepcopy(self)
        made.name = text_argument("clone", "new_name", new_name)
        made.version = None
        made._values["assetId"] = None  # noqa: SLF001
        return made

    # Directories

    def save_to_directory(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the definition to a folder: azureml_environment.json, conda_dependencies.yml, BaseDockerfile.

        With ``overwrite`` the files in an existing folder are replaced, each in one step, and other files stay.
        Raises ExistsError (a FileExistsError) otherwise.
        """
        folder = Path(path if isinstance(path, os.PathLike) else text_argument("save_to_directory", "path", path))
        own: dict[str, Any] = {
            **self._values,
            "name": self.name,
            "version": self.version,
            "environmentVariables": dict(self.environment_variables),
            "inferencingStackVersion": self.inferencing_stack_version,
        }
        own.pop(OURS, None)
        target = {"accelerator": self.accelerator, "system": self.system, "sourceBuilds": self.source_builds}
        if (target["accelerator"], target["system"], target["sourceBuilds"]) != (str(Accelerator()), {}, []):
            own[OURS] = target
        texts = directory_texts(own, self.python, self.docker, folder.absolute())
        write_directory(folder, texts, overwrite=overwrite)

    @staticmethod
    def load_from_directory(path: str | os.PathLike[str]) -> Environment:
        """Read a folder that ``save_to_directory`` or the v1 SDK wrote, of any age.

        Raises MissingError (a FileNotFoundError), and SpecError with file and line.
        """
        folder = Path(path if isinstance(path, os.PathLike) else text_argument("load_from_directory", "path", path))
        found = read_directory(folder)
        environment = Environment(None)
        fill(environment, found.values, folder)
        environment._values = found.values
        environment.python, environment.docker = found.python, found.docker
        return environment

    # Locking and building

    def to_spec(self) -> Spec:
        """Give what the environment declares as a Spec; relative paths start from its conda dependencies' ``root``."""
        python, docker = self.python, self.docker
        spec = Spec() if python.user_managed_dependencies else python.conda_dependencies.to_spec()
        image, address = docker.base_image or "", docker.base_image_registry.address
        return replace(
            spec,
            variables=tuple({**dict(spec.variables), **self.environment_variables}.items()),
            base=f"{address}/{image}" if image and address and not image.startswith(f"{address}/") else image,
            base_dockerfile=docker.base_dockerfile or "",
            accelerator=Accelerator.parse(self.accelerator),
            system=tuple(self.system.items()),
            source_builds=tuple(self.source_builds),
        )

    def lock(
        self,
        path: str | os.PathLike[str] | None = None,
        platforms: Sequence[str] | None = None,
        *,
        update: Sequence[str] | None = None,
        exclude_newer: str | None = None,
        offline: bool = False,
        show_output: bool = False,
    ) -> Lock:
        """Resolve the environment and write its lock (default: ``lockfiles/NAME.lock.json``); give the lock.

        ``platforms`` are conda's (default: the declared ones, else those of the lock that is there, else this
        machine's). A lock that is there keeps its pins, except for the packages in ``update`` (``["*"]``: all).
        ``exclude_newer`` is a date or time. Raises UnsatisfiableError, NetworkError and their kin.
        """
        from hermetic.sdk.functions import lock_environment

        return lock_environment(
            self,
            path,
            platforms=platforms,
            update=update,
            exclude_newer=exclude_newer,
            offline=offline,
            show_output=show_output,
        )

    @overload
    def build_local(
        self,
        workspace: object = ...,
        platform: str | None = ...,
        *,
        useDocker: Literal[False],  # noqa: N803
        pushImageToWorkspaceAcr: bool = ...,  # noqa: N803
        prefix: str | os.PathLike[str] | None = ...,
        registry: str | None = ...,
        lock: str | os.PathLike[str] | None = ...,
        locked: bool = ...,
        link_scripts: str = ...,
        offline: bool = ...,
        show_output: bool = ...,
    ) -> LocalBuild: ...

    @overload
    def build_local(
        self,
        workspace: object = ...,
        platform: str | None = ...,
        useDocker: Literal[True] = ...,  # noqa: N803
        pushImageToWorkspaceAcr: bool = ...,  # noqa: N803
        *,
        prefix: str | os.PathLike[str] | None = ...,
        registry: str | None = ...,
        lock: str | os.PathLike[str] | None = ...,
        locked: bool = ...,
        link_scripts: str = ...,
        offline: bool = ...,
        show_output: bool = ...,
    ) -> LocalImage: ...

    def build_local(
        self,
        workspace: object = None,
        platform: str | None = None,
        useDocker: bool = True,  # noqa: N803  the v1 SDK's names
        pushImageToWorkspaceAcr: bool = False,  # noqa: N803
        *,
        prefix: str | os.PathLike[str] | None = None,
        registry: str | None = None,
        lock: str | os.PathLike[str] | None = None,
        locked: bool = False,
        link_scripts: str = "refuse",
        offline: bool = False,
        show_output: bool = False,
    ) -> LocalBuild | LocalImage:
        """Build the environment on this machine, and say where it is.

        With ``useDocker`` an image is put together on the environment's base and loaded into the Docker Engine;
        ``pushImageToWorkspaceAcr`` also pushes it, to ``registry`` (default: the one that hermetic is configured for).
        Its name is ``hermetic/env_`` and a hash of all that determines it. With ``useDocker=False`` a conda
        environment is built at ``prefix`` (default: ``.hermetic/envs/NAME``). Both are built from the lock at ``lock``
        (default: ``lockfiles/NAME.lock.json``), which is made first if it is missing or does not fit; with ``locked``
        that is an error. ``workspace`` is not used.
        """
        from hermetic.sdk.functions import build_environment, build_environment_image

        del workspace
        if not useDocker and (pushImageToWorkspaceAcr or registry):
            raise UsageError(
                "build_local: only an image can be pushed, and useDocker=False builds none",
                remedy="set useDocker=True, or leave pushImageToWorkspaceAcr and registry out",
            )
        if useDocker and prefix is not None:
            raise UsageError("build_local: an image has no prefix", remedy="set useDocker=False to build on disk")
        if useDocker:
            return build_environment_image(
                self,
                platform=platform,
                path=lock,
                locked=locked,
                push=pushImageToWorkspaceAcr,
                registry=registry,
                link_scripts=link_scripts,
                offline=offline,
                show_output=show_output,
            )
        return build_environment(
            self,
            platform=platform,
            prefix=prefix,
            path=lock,
            locked=locked,
            link_scripts=link_scripts,
            offline=offline,
            show_output=show_output,
        )

    def __repr__(self) -> str:
        return f"Environment(name={self.name!r}, version={self.version!r})"


def _with_packages(
    name: str,
    conda_specification: str | os.PathLike[str] | None,
    pip_requirements: str | os.PathLike[str] | None,
) -> Environment:
    if conda_specification is not None and pip_requirements is not None:
        raise UsageError(
            "conda_specification and pip_requirements are both given",
            remedy="give one; a conda specification may name pip packages, or '-r requirements.txt', below '- pip:'",
        )
    if conda_specification is not None:
        return Environment.from_conda_specification(name, conda_specification)
    if pip_requirements is not None:
        return Environment.from_pip_requirements(name, pip_requirements)
    environment = Environment(name)
    environment.python.user_managed_dependencies = True
    return environment
