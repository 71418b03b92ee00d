"""Names of environments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermetic.errors import UsageError
from hermetic.workspace.model import LATEST

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


def check_not_reserved(name: str) -> str:
    """Give a name back if anybody may register it. Raises UsageError with the reason."""
    taken = next((beginning for beginning in RESERVED if name.startswith(beginning)), None)
    if taken is None:
        return name
    raise UsageError(
        f"{name!r} cannot be registered: names that begin with {taken!r} are those of curated environments",
        remedy="choose another name; clone a curated environment to change it",
    )


def check_label(label: object) -> str:
    """Give a label back if it can be put on a version. Raises UsageError with the reason."""
    if not isinstance(label, str) or not _NAME.match(label) or len(label) > _LONGEST_NAME:
        raise UsageError(
            f"{str(label)[:80]!r} is no label",
            remedy="use letters, digits, '-', '_' and '.', and begin with a letter or digit",
        )
    if label.lower() == LATEST:
        raise UsageError(
            f"the label {label!r} cannot be put or taken away: it is what was registered last",
            remedy="register the definition again, or use another label",
        )
    return label


def near_names(name: str, known: Sequence[str], most: int = 3) -> list[str]:
    """Give the known names that a mistyped one may have meant, the nearest first.

    Thousands of names may be alike, and to compare two thoroughly is slow: the most alike by their ends are compared.
    """
    from difflib import get_close_matches
    from heapq import nlargest
    from os.path import commonprefix

    wanted = name.lower()
    lower = {one.lower(): one for one in known}

    def ends(one: str) -> int:
        same = len(commonprefix((one, wanted))) + len(commonprefix((one[::-1], wanted[::-1])))  # noqa: RUF071  no paths
        return same - abs(len(one) - len(wanted))

    return [lower[one] for one in get_close_matches(wanted, nlargest(100, lower, key=ends), most)]
