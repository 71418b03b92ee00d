"""The shape of a lockfile's values: one small reader per kind of value, each of which says what is wrong.

The readers guard what is built on: a file name cannot leave its folder, a digest is one, and an address
carries no credentials and no signature. The schema says the same in JSON Schema (schema/lock-v1.schema.json).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from hermetic.errors import UsageError
from hermetic.lock.jsontext import Path
from hermetic.lock.model import LOCK_VERSION

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z")
_PLATFORM = re.compile(r"[a-z]+-[a-z0-9_]+\Z")
_SUBDIR = re.compile(r"(noarch|[a-z]+-[a-z0-9_]+)\Z")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][^/\\\s\x00-\x1f:?#]*\Z")
_ADDRESS = re.compile(r"[^\s\x00-\x1f?#]+\Z")
_USERINFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/@]*)@")
_TOKEN = re.compile(r"/t/(?!\$\{)[^/]+/")
_VARIABLES = re.compile(r"(\$\{\w+\}|:)*\Z")
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")


class Malformed(Exception):  # noqa: N818  # never leaves hermetic.lock: file.py adds the place and makes it a LockFileError
    """A value in a lockfile is not what the format says; ``path`` leads to it."""

    def __init__(self, path: Path, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.remedy = remedy


def header(value: Any) -> Mapping[str, Any]:
    """Give the top-level object, once it is known to be a lock of a version that this hermetic reads."""
    if not isinstance(value, dict) or "lock_version" not in value:
        raise Malformed((), "no hermetic lockfile: it states no lock_version")
    version = value["lock_version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Malformed(("lock_version",), f"must be a whole number from 1, is {_shown(version)}")
    if version > LOCK_VERSION:
        raise Malformed(
            ("lock_version",),
            f"the lock has version {version}; this hermetic reads up to {LOCK_VERSION}",
            "use a newer hermetic, or write the lock anew with this one: delete it, then `hermetic lock`",
        )
    return value


def required(value: Mapping[str, Any], key: str, path: Path) -> Any:
    """Give the value of a key that must be there."""
    if key not in value:
        raise Malformed(path, f"lacks {key!r}")
    return value[key]


def known(value: Mapping[str, Any], keys: Collection[str], path: Path) -> None:
    """Refuse keys that the format does not have: one that were overlooked could change what is built."""
    for key in value:
        if key not in keys:
            raise Malformed(
                (*path, key), "unknown key", "if a newer hermetic wrote the lock, use that one; else restore the file"
            )


def mapping(value: Any, path: Path) -> dict[str, Any]:
    """Read an object."""
    if not isinstance(value, dict):
        raise Malformed(path, f"must be an object, is {_shown(value)}")
    return value


def text(value: Any, path: Path) -> str:
    """Read a string that UTF-8 can hold, without NUL."""
    if not isinstance(value, str):
        raise Malformed(path, f"must be a string, is {_shown(value)}")
    if _FORBIDDEN.search(value):
        raise Malformed(path, "holds a NUL or half a character")
    return value


def texts(value: Any, path: Path) -> tuple[str, ...]:
    """Read a list of strings."""
    if not isinstance(value, list):
        raise Malformed(path, f"must be a list of strings, is {_shown(value)}")
    for index, item in enumerate(value):
        text(item, (*path, index))
    return tuple(value)


def count(value: Any, path: Path) -> int:
    """Read a whole number, not negative (bytes, milliseconds, build numbers)."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed(path, f"must be a whole number, not negative, is {_shown(value)}")
    return value


def digest(value: Any, path: Path) -> str:
    """Read a sha256: 64 lower-case hex digits."""
    return _matching(_SHA256, value, path, "a sha256 (64 lower-case hex digits)")


def md5(value: Any, path: Path) -> str:
    """Read an md5: 32 lower-case hex digits."""
    return _matching(_MD5, value, path, "an md5 (32 lower-case hex digits)")


def name(value: str, path: Path) -> str:
    """Read a package's name."""
    return _matching(_NAME, value, path, "a package name")


def platform(value: str, path: Path) -> str:
    """Read a platform's name, one that this hermetic knows or one of another."""
    return _matching(_PLATFORM, value, (*path, value), "a platform (linux-64)")


def subdir(value: Any, path: Path) -> str:
    """Read a conda subdir."""
    return _matching(_SUBDIR, value, path, "a conda subdir (linux-64, noarch)")


def file_name(value: Any, path: Path) -> str:
    """Read a bare file name: one that cannot leave the folder it is put in."""
    return _matching(_FILE_NAME, value, path, "a bare file name")


def address(value: Any, path: Path) -> str:
    """Read a channel's or an index's name, or an address without credentials, query and fragment."""
    found = _matching(_ADDRESS, value, path, "a name, or an address without query and fragment")
    userinfo = _USERINFO.match(found)
    if (userinfo and not _VARIABLES.match(userinfo[1])) or _TOKEN.search(found):
        raise Malformed(
            path,
            "the address holds credentials",
            "treat them as published and replace them; then give the address without them, and the credentials "
            "by the environment, a keyring or netrc",
        )
    return found


def spec(value: Any, path: Path) -> dict[str, Any]:
    """Read the spec's canonical values; what they mean is the spec's business (hermetic.spec)."""
    _no_surrogates(mapping(value, path), path)
    return value  # type: ignore[no-any-return]


def checked(parse: Callable[[str], object], value: str, path: Path) -> None:
    """Try a parser of the vocabulary on a value."""
    try:
        parse(value)
    except UsageError as error:
        raise Malformed(path, error.message) from None


def _no_surrogates(value: Any, path: Path) -> None:
    if isinstance(value, str):
        text(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            text(key, path)
            _no_surrogates(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _no_surrogates(item, (*path, index))


def _matching(pattern: re.Pattern[str], value: Any, path: Path, what: str) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        raise Malformed(path, f"must be {what}, is {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
