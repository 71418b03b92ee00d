"""YAML of other tools' locks: the fast, safe loader, and errors with their lines."""

from __future__ import annotations

from typing import Any

from hermetic.errors import LockFileError, Place


def load_yaml(text: str, file: str) -> Any:
    """Load a YAML document. Raises LockFileError, with file and line, for what is none."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast, and not everywhere
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506  # both are safe loaders
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not understood"
        line = mark.line + 1 if mark else None
        raise LockFileError(f"not YAML: {problem}", place=Place(file, line), remedy="restore the file") from None
    except (RecursionError, ValueError) as error:
        raise LockFileError(f"not YAML that can be read: {type(error).__name__}", place=Place(file)) from None
