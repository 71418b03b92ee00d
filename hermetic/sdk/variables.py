"""Environment variables of an Environment: a dictionary that takes only what a process can be given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from hermetic.errors import UsageError
from hermetic.sdk.errors import ArgumentError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Variables(dict[str, str]):
    """Names and texts, checked when they are set. Raises UsageError, and ArgumentError for a value that is no text."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.update(values or {})

    def __setitem__(self, name: str, value: str) -> None:
        _check(name, value)
        super().__setitem__(name, value)

    def update(self, *others: Any, **named: str) -> None:
        """Set several; none is set if one of them is refused."""
        found: dict[str, str] = dict(*others, **named)
        for name, value in found.items():
            _check(name, value)
        super().update(found)

    def setdefault(self, name: str, default: str = "") -> str:
        """Give a variable's value, set first if there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self


def _check(name: object, value: object) -> None:
    if not isinstance(name, str) or not _NAME.match(name):
        raise UsageError(
            f"{str(name)[:60]!r} is no name of an environment variable", remedy="use letters, digits and _"
        )
    if not isinstance(value, str):
        raise ArgumentError(
            f"the environment variable {name} is a text, not {type(value).__name__}",
            remedy=f"write it in quotation marks: environment_variables[{name!r}] = '...'",
        )
    if "\n" in value or "\0" in value:
        raise UsageError(f"the environment variable {name} has more than one line", remedy="write it in one line")
