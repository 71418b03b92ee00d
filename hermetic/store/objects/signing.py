"""URLs of hermetic's own file server: signed with HMAC-SHA256, read-only, good for one path until one moment.

::

    https://server/wheels/<sha256>/<file name>?kid=<key's id>&exp=<unix seconds>&sig=<base64url, no padding>

``sig`` is the HMAC-SHA256 (RFC 2104), under the key's secret, of five lines without a line feed at the end::

    hermetic-url-v1
    GET
    wheels/<sha256>/<file name>
    <unix seconds>
    <key's id>

The path is the object's key as it is stored, without percent-encoding and without what a proxy stands under, so that a
proxy may write a URL in another way but never lead it to another file. Nothing here reads a file or asks a server.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from hermetic.errors import UsageError
from hermetic.store.objects.model import check_key, is_key

_VERSION = "hermetic-url-v1"
_SECRET_BYTES = 32
_LONGEST_PATH = 3000
# Some programs write + ! ~ in percent-encoding, though nothing demands it; a slash, a dot or a percent sign none does.
_PLAIN = re.compile(rb"(?i)/(?:[a-z0-9._+!~/-]|%2b|%21|%7e)*\Z")
_KID = re.compile(r"[a-z0-9]{1,32}\Z")
_QUERY = re.compile(rb"kid=([a-z0-9]{1,32})&exp=([1-9][0-9]{0,11})&sig=([A-Za-z0-9_-]{43})\Z")


@dataclass(frozen=True)
class SigningKey:
    """A key's id, which stands in URLs, and its secret, which stands nowhere but in ``keys.json``."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read ``id:secret``. Raises UsageError, which never repeats it."""
        kid, _, encoded = text.strip().partition(":")
        try:
            secret = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (binascii.Error, ValueError):
            secret = b""
        if not _KID.match(kid) or len(secret) != _SECRET_BYTES:
            raise UsageError(
                "this is no key of a workspace's file server",
                remedy="'hermetic workspace key add' prints one, where the workspace stands: id:secret",
            )
        return cls(kid, secret)

    def text(self) -> str:
        """Give ``id:secret``, to be told to one machine, once."""
        return f"{self.id}:{encode(self.secret)}"


@dataclass(frozen=True)
class Claim:
    """What a URL's query says: under which key it was signed, until when it is good, and the signature."""

    kid: str
    expires: int
    signature: str = field(repr=False)


def encode(data: bytes) -> str:
    """Give bytes in base64url without padding (RFC 4648, 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def is_object_key(key: str) -> bool:
    """Tell whether a text is an object's key: plain segments, none of them hidden, none that leads elsewhere."""
    return is_key(key)


def signature(key: SigningKey, method: str, object_key: str, expires: int) -> str:
    """Give the signature of a request: one method, one object, until ``expires`` (seconds since 1970)."""
    text = "\n".join((_VERSION, method, object_key, str(expires), key.id))
    return encode(hmac.digest(key.secret, text.encode(), "sha256"))


def sign_url(server: str, object_key: str, key: SigningKey, *, expires: int, method: str = "GET") -> str:
    """Give an object's signed URL; ``expires`` in seconds since 1970. Raises UsageError for what is no object's key."""
    check_key(object_key)  # all of its characters stand for themselves in a URL
    signed = signature(key, method, object_key, expires)
    return f"{server.rstrip('/')}/{object_key}?kid={key.id}&exp={expires}&sig={signed}"


def read_claim(query: bytes) -> Claim | None:
    """Read a URL's query; None unless it is, byte for byte, of the kind that ``sign_url`` writes."""
    found = _QUERY.match(query)
    return Claim(found[1].decode(), int(found[2]), found[3].decode()) if found else None


def read_path(raw: bytes) -> str | None:
    """Give the object's key that a request's path means; None unless it is a plain one, in plain writing."""
    if len(raw) > _LONGEST_PATH or not _PLAIN.match(raw):
        return None
    key = unquote_to_bytes(raw[1:]).decode("ascii")
    return key if is_object_key(key) else None


def is_signed(key: SigningKey, claim: Claim, method: str, object_key: str) -> bool:
    """Tell whether a claim's signature is that key's for this request, in a time that says nothing of the signature."""
    return hmac.compare_digest(signature(key, method, object_key, claim.expires), claim.signature)
