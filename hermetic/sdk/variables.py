"""Environment variables of an Environment: a dictionary that takes only what a process can be given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from hermetic.errors import UsageError
from hermetic.sdk.errors import ArgumentError
from hermetic.secrets import SecretText
from hermetic.spec.passwords import check_variable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Variables(dict[str, str]):
    """Names and texts, checked when they are set. What a key vault gave is kept as its reference, ``${secret:NAME}``.

    Raises UsageError, SpecError for a typed password, and ArgumentError for a value that is no text.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.update(values or {})

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, _checked(name, value))

    def update(self, *others: Any, **named: str) -> None:
        """Set several; none is set if one of them is refused."""
        found: dict[str, str] = dict(*others, **named)
        super().update({name: _checked(name, value) for name, value in found.items()})

    def setdefault(self, name: str, default: str = "") -> str:
        """Give a variable's value, set first if there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def check(self) -> None:
        """Check all once more: of a secret's value that was set before the vault gave it nobody knew then."""
        for name, value in self.items():
            check_variable(name, value)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self


def _checked(name: object, value: object) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise UsageError(
            f"{str(name)[:60]!r} is no name of an environment variable", remedy="use letters, digits and _"
        )
    if not isinstance(value, str):
        raise ArgumentError(
            f"the environment variable {name} is a text, not {type(value).__name__}",
            remedy=f"write it in quotation marks: environment_variables[{name!r}] = '...'",
        )
    if isinstance(value, SecretText):
        return value.reference
    if "\n" in value or "\0" in value:
        raise UsageError(f"the environment variable {name} has more than one line", remedy="write it in one line")
    check_variable(name, value)
    return value
