"""A local folder as a source: the files that belong to it, their digest, and a copy for a build.

In a Git work tree those are the files that Git does not ignore; elsewhere all but what builds and tools leave behind.
Links are copied as links: nothing outside of the folder is read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hermetic.digest import key, sha256_file
from hermetic.errors import BuildError
from hermetic.plan.files import MTIME

_LEFT_BEHIND = {".eggs", ".bzr", ".git", ".hermetic", ".hg", ".hypothesis", ".idea", ".mypy_cache", ".nox",
                ".pytest_cache", ".ruff_cache", ".svn", ".tox", ".venv", ".vscode", "__pycache__", "node_modules",
                "venv"}  # fmt: skip
_BUILT = {"build", "dist"}
_LOCK = ".lock.json"
"""What our lockfiles end in. A lock that stands in the folder holds the folder's digest, so it cannot be part of it."""


def folder_files(folder: Path) -> list[str]:
    """List the files and links of a folder that belong to its project, sorted, relative and with ``/``."""
    found = _by_git(folder)
    return sorted(path for path in (_walk(folder) if found is None else found) if not path.endswith(_LOCK))


def folder_digest(folder: Path, files: list[str]) -> str:
    """Give the sha256 over a folder's files: paths, contents, what is executable, and where links point."""
    return key("source-folder/1", [_described(folder, path) for path in files])


def copy_folder(folder: Path, files: list[str], target: Path) -> None:
    """Copy a folder's files into an empty folder, with fixed modes and times."""
    for path in files:
        source, copy = folder / path, target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            copy.symlink_to(source.readlink())
        else:
            shutil.copyfile(source, copy)
            copy.chmod(0o755 if _executable(source) else 0o644)
        os.utime(copy, (MTIME, MTIME), follow_symlinks=False)


def _described(folder: Path, path: str) -> list[str | bool]:
    file = folder / path
    if file.is_symlink():
        return [path, "link", os.fspath(file.readlink()), False]
    return [path, "file", sha256_file(file), _executable(file)]


def _executable(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _by_git(folder: Path) -> list[str] | None:
    """Ask Git which files of a folder it does not ignore; None if it is no work tree or there is no Git."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return None
    if done.returncode:
        return None
    named = {os.fsdecode(name) for name in done.stdout.split(b"\0") if name and not name.startswith(b".hermetic/")}
    files = [name for name in named if (folder / name).is_symlink() or (folder / name).is_file()]
    for name in named:  # a submodule, or a repository of its own, is named as a folder
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            files += [f"{name.rstrip('/')}/{path}" for path in folder_files(folder / name)]
    return files or None  # an ignored folder has none


def _walk(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder, onerror=_refuse):
        top = Path(root) == folder
        kept = [name for name in folders if name not in _LEFT_BEHIND and not name.endswith(".egg-info")]
        folders[:] = sorted(name for name in kept if not (top and name in _BUILT))
        for name in (*files, *(name for name in folders if Path(root, name).is_symlink())):
            path = Path(root, name)
            if not name.endswith((".pyc", ".pyo")) and (path.is_symlink() or path.is_file()):
                yield path.relative_to(folder).as_posix()


def _refuse(error: OSError) -> None:
    raise BuildError(f"{error.filename} cannot be read: {error.strerror}", remedy="check its permissions")
