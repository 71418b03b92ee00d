"""Definitions as folders: one to begin with, and one of a version that is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hermetic.errors import ExistsError, MissingError
from hermetic.sdk.environment import Environment
from hermetic.sdk.environments import lock_of_version
from hermetic.sdk.registering import environment_of

if TYPE_CHECKING:
    from hermetic.sdk.workspace import Workspace
    from hermetic.workspace.model import EnvironmentVersion


class Scaffold(NamedTuple):
    """A folder that was made, and its files' names."""

    directory: Path
    files: tuple[str, ...]


def scaffold(name: str, directory: str | os.PathLike[str], *, overwrite: bool = False) -> Scaffold:
    """Make a folder with a definition to begin with. Raises ExistsError, and UsageError for a name that is none."""
    from hermetic.workspace.naming import check_not_reserved

    environment = Environment(check_not_reserved(name))
    folder = Path(directory).absolute()
    environment.save_to_directory(folder, overwrite=overwrite)
    return Scaffold(folder, tuple(sorted(path.name for path in folder.iterdir() if path.is_file())))


def download(
    workspace: Workspace,
    version: EnvironmentVersion,
    directory: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    lock: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a version's definition to a folder, and its lock to a file if one is named; give the folder.

    Raises ExistsError, and MissingError for the lock of a version that has none.
    """
    from hermetic.lock.file import write_lock

    held = None
    if lock is not None:
        held = lock_of_version(workspace, version)
        if held is None:
            raise MissingError(
                f"{version.name}:{version.version} has no lock yet",
                remedy="it gets one when it is first built or locked",
            )
        if Path(lock).exists() and not overwrite:
            raise ExistsError(f"{os.fspath(lock)} is there already", remedy="give another path, or --overwrite")
    folder = Path(directory).absolute()
    environment_of(version).save_to_directory(folder, overwrite=overwrite)
    if held is not None and lock is not None:
        write_lock(held, Path(lock))
    return folder
