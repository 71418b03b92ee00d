"""Artefacts behind hermetic's own file server (``hermetic workspace serve``): read-only, each with its own signed URL.

The key is this machine's own, made where the workspace stands (``hermetic workspace key add``). It is taken, when it is
needed, from ``HERMETIC_WORKSPACE_KEY`` (``id:secret``), else from the secret ``workspace-key``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from hermetic import secrets
from hermetic.errors import CredentialsError, NetworkError, Place, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.store.http import Client, NotFoundError, Patience, Response, Transient
from hermetic.store.objects.model import MissingObjectError, check_expiry, hidden, missing, other_size
from hermetic.store.objects.signing import SigningKey, sign_url

VARIABLE = "HERMETIC_WORKSPACE_KEY"
SECRET = "workspace-key"  # noqa: S105  its name
HEALTH = "/-/health"
"""A path that no object has: whether the server is up, for whoever watches it."""
_MOMENT = 60
"""Seconds that a URL is good for which is used at once."""
_Found = TypeVar("_Found")


class ServedObjects:
    """Objects of a workspace that is served elsewhere. The key is looked up at the first use."""

    def __init__(self, server: str, place: Place | None = None) -> None:
        self._server = check_server(server, place)
        self._client = Client(connections=4)

    @property
    def where(self) -> str:
        """Give the server's address."""
        return self._server

    def put(self, key: str, path: Path, *, sha256: str, reporter: Reporter = SILENT) -> bool:  # noqa: ARG002
        """Tell that a file is there already. Raises UsageError if it is not: nothing can be uploaded."""
        return self._there(key, path.stat().st_size)

    def put_bytes(self, key: str, data: bytes) -> bool:
        """Tell that a document is there already. Raises UsageError if it is not: nothing can be uploaded."""
        return self._there(key, len(data))

    def get_bytes(self, key: str) -> bytes:
        """Download a document."""
        with self._refusals(key):
            return self._client.get_bytes(self.signed_url(key, expires=_MOMENT))[0]

    def size(self, key: str) -> int | None:
        """Ask for an object's length."""
        signing = signing_key(self._server)

        def url() -> str:
            return hidden(sign_url(self._server, key, signing, expires=_until(_MOMENT), method="HEAD"))

        try:
            with self._refusals(key):
                return self._ask(url, lambda answer: answer.length())
        except MissingObjectError:
            return None

    def keys(self, prefix: str) -> Iterator[str]:  # noqa: ARG002
        """Raise UsageError: the server lists nothing, to nobody."""
        self._read_only("lists nothing", "look")

    def delete(self, key: str) -> None:  # noqa: ARG002
        """Raise UsageError."""
        self._read_only("deletes nothing", "delete it")

    def signed_url(self, key: str, *, expires: int) -> str:
        """Sign a GET of the object, with HMAC-SHA256."""
        check_expiry(expires)
        return hidden(sign_url(self._server, key, signing_key(self._server), expires=_until(expires)))

    def _there(self, key: str, size: int) -> bool:
        found = self.size(key)
        if found is None:
            self._read_only("takes nothing", "add it")
        if found != size:
            raise other_size(key, self.where, found, size)
        return False

    def _read_only(self, what: str, act: str) -> NoReturn:
        raise UsageError(
            f"{self._server} is the file server of a workspace, which {what}",
            remedy=f"{act} where the workspace stands",
        )

    def _ask(self, url: Callable[[], str], read: Callable[[Response], _Found]) -> _Found:
        patience = Patience(self._client.policy, self._server, kept="nothing was changed")
        while True:
            try:
                with self._client.attempt(url(), method="HEAD") as answer:
                    return read(answer)
            except Transient as failure:
                patience.failed(failure)

    @contextmanager
    def _refusals(self, key: str) -> Iterator[None]:
        try:
            yield
        except NotFoundError:
            raise missing(key, self._server) from None
        except CredentialsError:
            raise CredentialsError(
                f"{self._server} refuses this machine's key: it or {key} was revoked, or the clocks differ",
                remedy=f"ask where the workspace stands for 'hermetic workspace key add', and put that into {VARIABLE}",
            ) from None


def signing_key(server: str) -> SigningKey:
    """Give the key that this machine has for a server. Raises CredentialsError, UsageError."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        text = secrets.secret_value(SECRET, needed_by=f"{server} (or the variable {VARIABLE})")
    key = SigningKey.parse(text)
    secrets.hide(text.partition(":")[2])
    return key


def check_health(server: str) -> None:
    """Ask a file server whether it is up. Raises NetworkError if not, or if something else answers there."""
    if Client(connections=1).get_bytes(server.rstrip("/") + HEALTH)[0].strip() != b"healthy":
        raise NetworkError(f"{server} is no file server of a workspace", remedy="check the address")


def _until(seconds: int) -> int:
    return int(time.time()) + seconds


def check_server(server: str, place: Place | None = None) -> str:
    """Give a file server's address back if it is one, without a slash at its end. Raises UsageError."""
    parts = urlsplit(server)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise UsageError(
            "the address of a workspace's file server is more or less than https://server/path",
            place=place,
            remedy=f"leave keys out of it: they are taken from {VARIABLE} or the secret {SECRET}",
        )
    return server.rstrip("/")
