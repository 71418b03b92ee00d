"""What every object store does, whoever keeps it; one contract test holds them all to it.

A key is a path of plain names (``wheels/<sha256>/<file name>``). An object is written once, whole, and never again:
what is there stays, so that a URL means the same bytes for ever, and a second upload costs a look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from hermetic import secrets
from hermetic.errors import IntegrityError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.store.http import NotFoundError

LONGEST_EXPIRY = 7 * 24 * 3600
"""Seconds that a signed URL may hold: what S3 and GCS allow at most."""
_LONGEST_KEY = 1000
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]*(/[A-Za-z0-9_][A-Za-z0-9._+!~-]*)*\Z")
_SIGNATURES = {"sig", "x-amz-signature", "x-goog-signature", "x-amz-security-token"}


class MissingObjectError(NotFoundError):
    """The object store has no object of that key."""


class ObjectStore(Protocol):
    """Files by key, shared by all who use a workspace. Safe to use from several threads and processes at once.

    All of it raises CredentialsError, NetworkError or MachineError where the keeper refuses or cannot be reached.
    """

    @property
    def where(self) -> str:
        """Give the place as a person writes it, without secrets."""

    def put(self, key: str, path: Path, *, sha256: str, reporter: Reporter = SILENT) -> bool:
        """Upload a file unless the key is there already; tell whether it was uploaded now.

        Another one sees all of it or nothing. Raises IntegrityError if the file has not that sha256, or if what is
        there has another size.
        """

    def put_bytes(self, key: str, data: bytes) -> bool:
        """Upload a small document unless the key is there already; of several at once, one is told True."""

    def get_bytes(self, key: str) -> bytes:
        """Give a small document. Raises MissingObjectError."""

    def size(self, key: str) -> int | None:
        """Give how many bytes an object has; None if there is none."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Give the keys that begin with a text, sorted."""

    def delete(self, key: str) -> None:
        """Take an object away, if it is there."""

    def signed_url(self, key: str, *, expires: int) -> str:
        """Give an address that reads this one object for some seconds, and does nothing else.

        A folder gives a ``file://`` address. Nothing is asked: a key that is not there gets an address too.
        """


def check_key(key: str) -> str:
    """Give a key back if it is one: plain names between slashes, none hidden or leading upwards. Raises UsageError."""
    if is_key(key):
        return key
    raise UsageError(
        f"{key[:200]!r} is no key of an artefact",
        remedy="its parts begin with a letter, digit or _, and hold letters, digits and . _ + ! ~ - only",
    )


def is_key(text: str) -> bool:
    """Tell whether a text is a key."""
    return len(text) <= _LONGEST_KEY and bool(_KEY.match(text))


def check_expiry(expires: int) -> int:
    """Give the seconds back that a signed URL is to hold. Raises UsageError for none and for too many."""
    if isinstance(expires, int) and 1 <= expires <= LONGEST_EXPIRY:
        return expires
    raise UsageError(
        f"a signed address cannot hold for {expires} seconds",
        remedy=f"give 1 to {LONGEST_EXPIRY} seconds (7 days)",
    )


def hidden(url: str) -> str:
    """Give a signed URL back, its signature counted as secret from now on."""
    for item in urlsplit(url).query.split("&"):
        name, _, value = item.partition("=")
        if name.lower() in _SIGNATURES:
            secrets.hide(value)  # as it stands there
            secrets.hide(unquote(value))
    return url


def missing(key: str, where: str) -> MissingObjectError:
    """Give the error for a key that is not there."""
    return MissingObjectError(f"{where} has no {key}", remedy="check the name, and that the workspace is the right one")


def other_size(key: str, where: str, there: int, wanted: int) -> IntegrityError:
    """Give the error for an object that is there and cannot be the file it should be."""
    return IntegrityError(
        f"{where} has {key} with {there} bytes, and the file has {wanted}",
        remedy="somebody wrote it by other means than hermetic: find out who, remove it there and add it again",
    )
