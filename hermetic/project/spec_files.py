"""Which of a folder's spec files declare its environment, and which lie there unread."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hermetic.project.layout import SPEC_FILES

_PYPROJECT = "pyproject.toml"
_DECLARES = re.compile(rb"^\s*(?:\[\s*(?:project|dependency-groups)\s*\]|project\s*\.)", re.MULTILINE)


def spec_files_in(folder: Path) -> list[str]:
    """Give the names of the spec files in a folder, best first; a ``pyproject.toml`` without a project is none."""
    return [name for name in SPEC_FILES if (folder / name).is_file() and not _is_for_tools(folder / name)]


def files_to_declare(folder: Path) -> tuple[list[str], list[str]]:
    """Give the spec files that a new manifest takes, and those that it leaves to the user's choice.

    Taken is what was written to declare an environment, unless another of the files includes it already. A
    ``pyproject.toml`` declares a package first of all, so it is left.
    """
    from hermetic.spec.load import load

    names = spec_files_in(folder)
    chosen = [name for name in names if name != _PYPROJECT]
    if len(chosen) > 1:
        included = [path for name in chosen for path in load([folder / name], root=folder).files[1:]]
        chosen = [name for name in chosen if not _is_among(folder / name, included)]
    return chosen, [name for name in names if name == _PYPROJECT]


def unread(spec_file: Path, files: Iterable[Path]) -> list[str]:
    """Give the spec files beside one that were not read for it, so that their user can be told."""
    read = list(files)
    return [
        name for name in spec_files_in(spec_file.parent)
        if name != spec_file.name and not _is_among(spec_file.parent / name, read)
    ]  # fmt: skip


def _is_among(path: Path, others: Iterable[Path]) -> bool:
    return any(path.resolve() == other.resolve() for other in others)


def _is_for_tools(path: Path) -> bool:
    """Tell whether a ``pyproject.toml`` only configures tools."""
    try:
        return path.name == _PYPROJECT and not _DECLARES.search(path.read_bytes())
    except OSError:
        return False  # whoever reads it will say why
