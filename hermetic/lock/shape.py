"""The shape of a lockfile's values: one small reader per kind of value, each of which says what is wrong.

The readers guard what is built on: a file name cannot leave its folder, a digest is one, and an address
carries no credentials and no signature. The schema says the same in JSON Schema (schema/lock-v1.schema.json).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from hermetic.errors import UsageError
from hermetic.lock.jsontext import Path
from hermetic.lock.model import LOCK_VERSION
from hermetic.platforms import VirtualPackage

_BARE = r"[A-Za-z0-9_][^/\\\s\x00-\x1f:?#]*"
Reader: TypeAlias = Callable[[Any], Any]


class Malformed(Exception):  # noqa: N818  # never leaves hermetic.lock: file.py adds the place and makes it a LockFileError
    """A value in a lockfile is not what the format says; ``path`` leads to it from the value that was read."""

    def __init__(self, message: str, path: Path = (), remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.remedy = remedy

    def below(self, *steps: str | int) -> Malformed:
        """Give the same fault as seen from further up: paths are put together only when something is wrong."""
        return Malformed(self.message, (*steps, *self.path), self.remedy)


class Newer(Malformed):  # never leaves hermetic.lock, as Malformed
    """The lockfile is of a version that this hermetic does not know."""


def header(value: Any) -> dict[str, Any]:
    """Give the top-level object, once it is known to be a lock of a version that this hermetic reads."""
    if not isinstance(value, dict) or "lock_version" not in value:
        raise Malformed("no hermetic lockfile: it states no lock_version")
    version = value["lock_version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Malformed(f"must be a whole number from 1, is {_shown(version)}", ("lock_version",))
    if version > LOCK_VERSION:
        raise Newer(
            f"the lock has version {version}; this hermetic reads up to {LOCK_VERSION}",
            ("lock_version",),
            "use a newer hermetic, or write the lock anew with this one: delete it, then `hermetic lock`",
        )
    return value


def record(value: Any, readers: Mapping[str, Reader], needed: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """Read an object with known keys, each by its own reader; keys that are not there are left out.

    Unknown keys are refused: one that were overlooked could change what is built.
    """
    if not isinstance(value, dict):
        raise Malformed(f"must be an object, is {_shown(value)}")
    if not needed <= value.keys():
        raise Malformed(f"lacks {', '.join(sorted(needed - value.keys()))}")
    found = {}
    for key, item in value.items():
        reader = readers.get(key)
        if reader is None:
            remedy = "if a newer hermetic wrote the lock, use that one; else restore the file"
            raise Malformed("unknown key", (key,), remedy)
        try:
            found[key] = reader(item)
        except Malformed as error:
            raise error.below(key) from None
    return found


def mapping(value: Any) -> dict[str, Any]:
    """Read an object with keys of its own."""
    if not isinstance(value, dict):
        raise Malformed(f"must be an object, is {_shown(value)}")
    return value


def text(value: Any) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise Malformed(f"must be a string, is {_shown(value)}")
    return value


def listing(value: Any) -> list[Any]:
    """Read a list."""
    if not isinstance(value, list):
        raise Malformed(f"must be a list, is {_shown(value)}")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Read a list of strings."""
    if not isinstance(value, list):
        raise Malformed(f"must be a list of strings, is {_shown(value)}")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise Malformed(f"must be a string, is {_shown(item)}", (index,))
    return tuple(value)


def count(value: Any) -> int:
    """Read a whole number, not negative (bytes, milliseconds, build numbers)."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed(f"must be a whole number, not negative, is {_shown(value)}")
    return value


def _matching(pattern: str, what: str) -> Callable[[Any], str]:
    match = re.compile(pattern).fullmatch

    def read(value: Any) -> str:
        if not isinstance(value, str) or not match(value):
            raise Malformed(f"must be {what}, is {_shown(value)}")
        return value

    return read


digest = _matching(r"[0-9a-f]{64}", "a sha256 (64 lower-case hex digits)")
md5 = _matching(r"[0-9a-f]{32}", "an md5 (32 lower-case hex digits)")
word = _matching(r"[^\s/\\\x00-\x1f]+", "a word without spaces and slashes")
name = _matching(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", "a package name")
image_digest = _matching(r"sha256:[0-9a-f]{64}", "an image's digest (sha256: and 64 lower-case hex digits)")
reference = _matching(
    r"[A-Za-z0-9\[][A-Za-z0-9._:/\[\]-]*(@sha256:[0-9a-f]{64})?", "an image's reference, without credentials"
)
platform = _matching(r"[a-z]+-[a-z0-9_]+", "a platform (linux-64)")
subdir = _matching(r"noarch|[a-z]+-[a-z0-9_]+", "a conda subdir (linux-64, noarch)")
file_name = _matching(_BARE, "a bare file name")
archive = _matching(_BARE + r"\.(conda|tar\.bz2)", "the bare file name of a conda archive (.conda, .tar.bz2)")
wheel = _matching(_BARE + r"\.whl", "the bare file name of a wheel (.whl)")
_address = _matching(r"[^\s\x00-\x1f?#]+", "a name, or an address without query and fragment")


def address(value: Any) -> str:
    """Read a channel's or an index's name, or an address without credentials, query and fragment."""
    found = _address(value)
    if "/" in found:
        from hermetic.spec.urls import carries_secret  # the parsers come with it, and most locks hold only names

        if carries_secret(found):
            raise Malformed(
                "the address holds credentials",
                remedy="treat them as published and replace them; then give the address without them, and the "
                "credentials by the environment, a keyring or netrc",
            )
    return found


def virtual_packages(value: Any) -> tuple[str, ...]:
    """Read a list of virtual packages."""
    found = texts(value)
    for index, item in enumerate(found):
        try:
            VirtualPackage.parse(item)
        except UsageError as error:
            raise Malformed(error.message, (index,)) from None
    return found


def variables(value: Any) -> tuple[tuple[str, str], ...]:
    """Read environment variables."""
    for key, item in mapping(value).items():
        if not isinstance(item, str) or "\0" in item:
            raise Malformed(f"must be a string without NUL, is {_shown(item)}", (key,))
        if not key or "=" in key or "\0" in key:
            raise Malformed("no name of a variable", (key,))
    return tuple(sorted(value.items()))


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
