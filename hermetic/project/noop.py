"""The no-op: tell that a build has nothing to do from fingerprints alone, without parsing spec or lock."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hermetic.project.layout import find_project
from hermetic.project.memo import read_memo


def question(name: str | None, prefix: str | None) -> dict[str, str]:
    """Give what a build was asked for, as its memo records it."""
    return {"name": name or "", "prefix": os.path.abspath(prefix) if prefix else ""}  # noqa: PTH100  the hot path


def built_already(project: str | None, name: str | None, prefix: str | None) -> dict[str, Any] | None:
    """Give the result of an earlier build if nothing that it depends on has changed, else None."""
    layout = find_project(project)
    memo = read_memo(layout.memo("build", name or ""), question(name, prefix))
    if memo is None:
        return None
    from hermetic.outputs.prefix.state import is_current

    if not is_current(Path(memo["prefix"]), memo["key"]):
        return None
    return {**memo, "changed": False}
