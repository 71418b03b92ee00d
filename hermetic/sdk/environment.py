"""``Environment``: a named definition of Python packages, variables and an image's base.

The names are the Azure ML v1 SDK's. What differs, and why: docs/api.md.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from hermetic.errors import UsageError
from hermetic.sdk.attributes import text_argument
from hermetic.sdk.directory import write_directory
from hermetic.sdk.sources import FromSources
from hermetic.spec.azureml import Files

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.sdk.results import LocalBuild, LocalImage

_WORKSPACE = "it needs a Workspace, which comes with a later release; lock() and build_local(useDocker=False) need none"
_CLOUD = "what a file says of it is kept and written back, and changes nothing here; remove the line"


class Environment(FromSources):
    """A named environment: ``python``, ``docker``, ``environment_variables``, and what it is locked for.

    ``accelerator`` is ``cpu`` or ``cuda-12.4``; ``system`` names what the target machine offers where it differs
    from the defaults (``{"glibc": "2.35"}``); ``source_builds`` lists pip packages that may be built from source.
    """

    _elsewhere = {  # noqa: RUF012
        **dict.fromkeys(
            ("register", "get", "list", "label", "build", "get_image_details", "add_private_pip_wheel"), _WORKSPACE
        ),
        "from_docker_build_context": "images come with a later release; from_dockerfile() takes a Dockerfile",
        **dict.fromkeys(("spark", "databricks", "r", "asset_id"), _CLOUD),
    }

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
        texts = self._texts(folder.absolute())
        write_directory(folder, texts, overwrite=overwrite)

    @staticmethod
    def load_from_directory(path: str | os.PathLike[str]) -> Environment:
        """Read a folder that ``save_to_directory`` or the v1 SDK wrote, of any age.

        Raises MissingError (a FileNotFoundError), and SpecError with file and line.
        """
        folder = Path(path if isinstance(path, os.PathLike) else text_argument("load_from_directory", "path", path))
        environment = Environment(None)
        environment._read(Files(folder), folder)
        return environment

    # Locking and building

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
