"""Names of environments."""

from __future__ import annotations

import re

from hermetic.errors import UsageError

RESERVED = ("Hermetic-", "AzureML", "Microsoft")
"""Beginnings of names that only curated environments have; refused where an environment is registered."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_LONGEST_NAME = 255


def check_name(name: str) -> str:
    """Give an environment's name back if it is one. Raises UsageError with the reason."""
    if _NAME.match(name) and len(name) <= _LONGEST_NAME:
        return name
    wrong = sorted({character for character in name if not re.match(r"[A-Za-z0-9._-]", character)})
    if not name:
        reason = "the name is empty"
    elif wrong:
        reason = f"it holds {', '.join(map(repr, wrong[:5]))}"
    elif len(name) > _LONGEST_NAME:
        reason = f"it is longer than {_LONGEST_NAME} characters"
    else:
        reason = f"it begins with {name[0]!r}"
    raise UsageError(
        f"{name[:80]!r} is no name of an environment: {reason}",
        remedy="use letters, digits, '-', '_' and '.', and begin with a letter or digit",
    )
