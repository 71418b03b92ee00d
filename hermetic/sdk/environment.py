"""``Environment``: a named definition of Python packages, variables and an image's base.

The names are the Azure ML v1 SDK's. What differs, and why: docs/migration.md.
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
    from hermetic.sdk.builds import EnvironmentBuild
    from hermetic.sdk.comparing import EnvironmentDiff
    from hermetic.sdk.environments import Environments
    from hermetic.sdk.results import LocalBuild, LocalImage
    from hermetic.sdk.versions import ImageDetails
    from hermetic.sdk.workspace import Workspace
    from hermetic.workspace.model import EnvironmentVersion

_CLOUD = "what a file says of it is kept and written back, and changes nothing here; remove the line"


class Environment(FromSources):
    """A named environment: ``python``, ``docker``, ``environment_variables``, and what it is locked for.

    ``accelerator`` is ``cpu`` or ``cuda-12.4``; ``system`` names what the target machine offers where it differs
    from the defaults (``{"glibc": "2.35"}``); ``source_builds`` lists pip packages that may be built from source.
    """

    _elsewhere = {  # noqa: RUF012
        "from_docker_build_context": "from_dockerfile() takes a Dockerfile; one that copies from its folder is "
        "declared in hermetic.toml: base-dockerfile, base-context",
        **dict.fromkeys(("spark", "databricks", "r", "asset_id"), _CLOUD),
    }

    def clone(self, new_name: str) -> Environment:
        """Give an independent copy under another name, without a version."""
        made = copy.deepcopy(self)
        made.name = text_argument("clone", "new_name", new_name)
        made.version = None
        made._kept = None  # noqa: SLF001
        made._values["assetId"] = None  # noqa: SLF001
        return made

    # In a workspace

    def register(self, workspace: Workspace, *, lock: Lock | str | os.PathLike[str] | None = None) -> Environment:
        """Register the definition under its name; give it as the version that it is now.

        A definition that a version has already is that version; another one is the next version. Either becomes the
        latest. Nothing is solved: ``lock`` (a Lock, or a lockfile's path; default: ``lockfiles/NAME.lock.json``, if it
        is there and fits) becomes the lock of a version that has none. Raises UsageError, with the way out, for paths
        of this machine, typed passwords and reserved names.
        """
        from hermetic.sdk.versions import register

        return register(self, workspace, lock)

    @staticmethod
    def get(workspace: Workspace, name: str, version: str | int | None = None, label: str | None = None) -> Environment:
        """Give a registered or curated environment: by version, by label, else the latest.

        Raises MissingError, which tells what there is instead, and UsageError for both a version and a label.
        """
        from hermetic.sdk.environments import get_environment

        return get_environment(workspace, name, version, label)

    @staticmethod
    def versions(workspace: Workspace, name: str) -> tuple[EnvironmentVersion, ...]:
        """Give what is known of each version, the oldest first: who, when, labels, lock. Raises MissingError."""
        from hermetic.sdk.environments import get_versions

        return get_versions(workspace, name)

    @staticmethod
    def diff(
        workspace: Workspace, name: str, old: str | int, new: str | int | None = None, *, other: str | None = None
    ) -> EnvironmentDiff:
        """Tell how two versions differ, in definition and lock; ``new`` is the latest unless it is named.

        With ``other`` the new one is a version of that environment. Raises MissingError.
        """
        from hermetic.sdk.comparing import compare
        from hermetic.sdk.environments import get_version

        return compare(workspace, get_version(workspace, name, old), get_version(workspace, other or name, new))

    @staticmethod
    def label(workspace: Workspace, name: str, version: str | int, labels: Sequence[str]) -> None:
        """Put labels on a version: they leave the version that had them. Raises UsageError, MissingError."""
        from hermetic.sdk.versions import label

        label(workspace, name, version, labels)

    @staticmethod
    def unlabel(workspace: Workspace, name: str, labels: Sequence[str]) -> None:
        """Take labels away. Raises UsageError, MissingError."""
        from hermetic.sdk.versions import unlabel

        unlabel(workspace, name, labels)

    def archive(self) -> None:
        """Archive this version: it is never the latest any more, and still found by its number."""
        from hermetic.sdk.versions import archive

        archive(self)

    def restore(self) -> None:
        """Take this version back from the archive."""
        from hermetic.sdk.versions import archive

        archive(self, restore=True)

    @staticmethod
    def add_private_pip_wheel(workspace: Workspace, file_path: str | os.PathLike[str], exist_ok: bool = False) -> str:
        """Upload a wheel of one's own, once; give its URL, which ``add_pip_package`` takes.

        The URL names the wheel's bytes, and holds no signature. Other bytes under a name that is there are refused
        unless ``exist_ok``; the earlier ones keep their URL. Raises ExistsError, and UsageError for what is no wheel.
        """
        from hermetic.sdk.versions import add_wheel

        return add_wheel(workspace, file_path, exist_ok=exist_ok)

    def build(
        self,
        workspace: Workspace,
        image_build_compute: object = None,
        *,
        platforms: Sequence[str] | None = None,
        offline: bool = False,
    ) -> EnvironmentBuild:
        """Register the environment and build its image, in a process of its own; give the build, to wait for or not.

        A build of the same version that is under way is joined. The image goes to the workspace's registry, else into
        the Docker Engine, else into a layout in the workspace's folder. ``platforms`` are conda's (default: this
        machine's); ``image_build_compute`` names what only a cloud has. Raises what ``register`` raises.
        """
        from hermetic.sdk.builds import build_version

        del image_build_compute
        return build_version(self, workspace, platforms=platforms, offline=offline)

    def get_image_details(self, workspace: Workspace) -> ImageDetails:
        """Tell which image was built last of this environment, as it is in a workspace. Raises UsageError."""
        from hermetic.sdk.versions import image_details

        return image_details(self, workspace)

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
        environment._source = folder.absolute().name
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
        ``exclude_newer`` is a date or time. A version that a workspace keeps has one lock for good: it is given, made
        by whoever asks first, and only platforms are added. Raises UnsatisfiableError, NetworkError and their kin.
        """
        from hermetic.sdk.building import lock_environment

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
        workspace: Workspace | None = ...,
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
        workspace: Workspace | None = ...,
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
        workspace: Workspace | None = None,
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
        that is an error.

        A version of a workspace, and what it is with a ``workspace`` given, which registers it first, is built from the
        lock that the workspace keeps for it; that is made by whoever builds or locks the version first.
        """
        from hermetic.sdk.building import build_environment, build_environment_image
        from hermetic.sdk.versions import version_for

        if not useDocker and (pushImageToWorkspaceAcr or registry):
            raise UsageError(
                "build_local: only an image can be pushed, and useDocker=False builds none",
                remedy="set useDocker=True, or leave pushImageToWorkspaceAcr and registry out",
            )
        if useDocker and prefix is not None:
            raise UsageError("build_local: an image has no prefix", remedy="set useDocker=False to build on disk")
        kept = version_for(self, workspace)
        if useDocker:
            return build_environment_image(
                self,
                kept,
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
            kept,
            platform=platform,
            prefix=prefix,
            path=lock,
            locked=locked,
            link_scripts=link_scripts,
            offline=offline,
            show_output=show_output,
        )

    @staticmethod
    def list(workspace: Workspace) -> Environments:
        """Give the latest version of every environment, by name, the curated ones too: ``workspace.environments``."""
        from hermetic.sdk.environments import Environments
        from hermetic.sdk.workspace import checked_workspace

        return Environments(checked_workspace(workspace, "list"))
