"""Which workspace is meant, and opening it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import DEFAULT_FOLDER, WorkspaceAddress, find_workspace


def find_address(start: str | os.PathLike[str] | None = None, name: str = "") -> WorkspaceAddress:
    """Give the workspace of a folder (default: the working one), or the one of a name. Raises UsageError."""
    from hermetic.config import load_config, workspace_named

    here = Path(start or ".").absolute()
    if name:
        return workspace_named(load_config(base=here), name)
    found = find_workspace(here)
    if found is None:
        raise UsageError(f"{here} is in no workspace", remedy=_remedy(here))
    return found


def _remedy(here: Path) -> str:
    """Tell how to name a workspace; one may lie there, made by a program that did not write down its name."""
    for folder in (here, *here.parents):
        made = folder / DEFAULT_FOLDER
        if (made / "workspace.sqlite").is_file():
            return (
                f"{made} is one that no file names: run 'hermetic workspace init NAME' in {folder} with the name that "
                "it was made with, or Workspace.create(NAME, exist_ok=True).write_config() there"
            )
    return "make one with 'hermetic workspace init NAME', or give its folder"


@cache
def opened(address: WorkspaceAddress) -> Workspace:
    """Open a workspace, once in a process. An embedded one that is not there yet is made: it costs a folder.

    So a project that names one works right after it was cloned, and so does the v1 SDK's config.json. Raises
    UsageError for a shared one that nobody has made.
    """
    if not address.database and not address.folder.exists():
        return Workspace.create(address, exist_ok=True)
    return Workspace.open(address)
