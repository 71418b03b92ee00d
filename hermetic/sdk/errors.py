"""Errors of the Python API: hermetic's own, and the built-in ones that users of such an API catch."""

from __future__ import annotations

from hermetic.errors import ExistsError, MissingError, UsageError

__all__ = [
    "ArgumentError",
    "ExistsError",
    "HermeticWarning",
    "MissingError",
    "UnknownAttributeError",
    "UnknownEnvironmentError",
]


class ArgumentError(UsageError, TypeError):
    """A value of the wrong type; also a ``TypeError``."""

    code = "argument"


class UnknownAttributeError(UsageError, AttributeError):
    """An attribute that an object does not have; also an ``AttributeError``."""

    code = "attribute"


class UnknownEnvironmentError(UsageError, KeyError):
    """A workspace has no environment of a name; also a ``KeyError``."""

    code = "unknown"


class HermeticWarning(UserWarning):
    """Something that is not done as written, and what to do about it; the work goes on."""
