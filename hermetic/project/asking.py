"""Reading a project's locks to answer questions about them; nothing is changed or resolved."""

from __future__ import annotations

from pathlib import Path

from hermetic.errors import DriftError, Place, UsageError
from hermetic.lock.file import read_lock
from hermetic.lock.model import Lock
from hermetic.platforms import current_platform
from hermetic.project.project import open_project


def environment_lock(start: str | None, name: str | None) -> tuple[str, Lock]:
    """Give an environment's name and its lock as it stands. Raises DriftError if there is none yet."""
    project = open_project(start)
    chosen = project.choose(name)
    path = project.lock_path(chosen)
    if not path.exists():
        raise DriftError(f"{chosen} has no lock yet", place=Place(str(path)), remedy="make it with 'hermetic lock'")
    return chosen, read_lock(path)


def either_lock(start: str | None, text: str) -> Lock:
    """Give the lock that a person means: a lockfile's path, or an environment's name."""
    path = Path(text)
    if path.suffix == ".json" and path.is_file():
        return read_lock(path)
    if path.suffix == ".json" or "/" in text:
        raise UsageError(f"there is no file {text}", remedy="give a lockfile or an environment's name")
    return environment_lock(start, text)[1]


def choose_platform(lock: Lock, platform: str | None) -> str:
    """Give the platform that is meant: the named one, else this machine's, else the only one."""
    if platform is None:
        here = current_platform()
        platform = here if here in lock.platforms or len(lock.platforms) != 1 else next(iter(lock.platforms))
    if platform not in lock.platforms:
        raise UsageError(
            f"the lock has no {platform}", remedy=f"choose one with --platform: {', '.join(lock.platforms) or 'none'}"
        )
    return platform
