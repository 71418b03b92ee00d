"""Where a project keeps things: pure paths, imported on every call, so nothing heavy is imported here.

A project is a folder with a ``hermetic.toml``, or, without one, a folder with a spec file, which then
declares the one environment ``default``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hermetic.errors import UsageError
from hermetic.project.instant import MANIFEST, STATE, memo_file

__all__ = ["DEFAULT", "MANIFEST", "SPEC_FILES", "STATE", "Layout", "find_project"]

DEFAULT = "default"
SPEC_FILES = ("environment.yml", "environment.yaml", "conda.yaml", "conda.yml", "requirements.txt", "pyproject.toml")
"""Spec files that make a folder a project, best first."""


class Layout(NamedTuple):  # no dataclass: importing that would double what a no-op imports
    """A project's folder and the paths in it. ``spec_file`` is set where there is no manifest."""

    root: Path
    spec_file: Path | None = None

    @property
    def manifest(self) -> Path:
        """The path of ``hermetic.toml``, whether it exists or not."""
        return self.root / MANIFEST

    def lock(self, name: str) -> Path:
        """Give the default path of an environment's lockfile (a manifest may name another)."""
        return self.root / "lockfiles" / f"{name}.lock.json"

    def prefix(self, name: str) -> Path:
        """Give the path where an environment is built unless another is asked for."""
        return self.root / STATE / "envs" / name

    def memo(self, kind: str, name: str) -> Path:
        """Give the path of the memo that makes a no-op instant."""
        return Path(memo_file(str(self.root), kind, name, ".json"))

    @property
    def chooses(self) -> tuple[Path, ...]:
        """The paths that say which file declares the project: one that appears or goes changes what is declared."""
        if not self.spec_file:
            return (self.manifest,)
        names = SPEC_FILES[: SPEC_FILES.index(self.spec_file.name) + 1]
        return (self.manifest, *(self.root / name for name in names))


def find_project(start: str | os.PathLike[str] | None = None) -> Layout:
    """Find the project that ``start`` (default: the working folder) is in.

    An explicitly given folder is not searched upwards. Raises UsageError where there is none.
    """
    here = Path(start or os.getcwd()).absolute()  # noqa: PTH109  cheaper than Path.cwd() and the same
    if start is not None and not here.is_dir():
        raise UsageError(f"{start} is no folder", remedy="give the folder that holds the project")
    folders = [here] if start is not None else [here, *here.parents]
    for folder in folders:
        if (folder / MANIFEST).is_file():
            return Layout(folder)
    for name in SPEC_FILES:
        if (here / name).is_file():
            return Layout(here, here / name)
        if os.path.lexists(here / name):  # another spec file in its place would declare something else
            raise UsageError(
                f"{name} in {here} is {'a folder' if (here / name).is_dir() else 'a link to nothing'}, not a spec file",
                remedy="mend or remove it",
            )
    raise UsageError(
        f"no {MANIFEST} in {here}, and no spec file ({', '.join(SPEC_FILES)})",
        remedy="start a project with 'hermetic init', or give its folder with -C",
    )
