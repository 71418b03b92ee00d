"""What the methods of ``CondaDependencies`` are given, checked before it is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.sdk.attributes import text_argument
from hermetic.sdk.errors import ArgumentError

_EDITABLE = re.compile(r"(-e|--editable)\b")
_FILE = re.compile(r"(-r|-c|--requirement|--constraint)\b")


def refuse_option(function: str, text: str) -> None:
    """Refuse an option of pip where a package is meant."""
    if text.startswith("-") and not _EDITABLE.match(text):
        raise UsageError(
            f"{function}: {text[:80]!r} is an option, no package",
            remedy="set options with set_pip_option, and read whole files with Environment.from_pip_requirements",
        )


def demand_option(function: str, text: str) -> None:
    """Refuse what is no option, and what pip writes like one but means packages."""
    if _EDITABLE.match(text):
        remedy = "add_pip_package takes it, with its -e"
    elif _FILE.match(text):
        remedy = "read whole files with Environment.from_pip_requirements"
    elif not text.startswith("-"):
        remedy = "write an option: --extra-index-url URL, --pre"
    else:
        return
    raise UsageError(f"{function}: {text[:80]!r} is no option", remedy=remedy)


def path_argument(function: str, name: str, value: object) -> Path:
    """Give an argument as a path. Raises ArgumentError, UsageError if empty."""
    if isinstance(value, os.PathLike):
        return Path(value)
    return Path(text_argument(function, name, value))


def texts_argument(function: str, name: str, value: Iterable[str] | str | None, *, lines: bool = False) -> list[str]:
    """Give an argument as a list of texts: of one, of lines if they are meant, of none. Raises ArgumentError."""
    if value is None:
        return []
    if isinstance(value, str):
        return value.split("\n") if lines else [value]
    if not isinstance(value, Iterable):
        raise ArgumentError(f"{function}: {name} is a list of texts, not {type(value).__name__}", remedy="give a list")
    found = list(value)
    for item in found:
        if not (lines and isinstance(item, str)):
            text_argument(function, f"an item of {name}", item)
    return found
