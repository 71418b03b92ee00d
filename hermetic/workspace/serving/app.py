"""The file server as an ASGI application: it judges requests and gives files, and does nothing else.

The order of judging: rate, method, path, signature, expiry, revocation, and only then the file, so that nobody without
a signature learns what there is. Every refusal is 403, whatever was wrong; only a URL that was good once is told that
it has expired or was revoked, so that honest clients know to ask for a new one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO

from hermetic.errors import HermeticError
from hermetic.secrets import redact
from hermetic.store.objects.model import LONGEST_EXPIRY
from hermetic.store.objects.served import HEALTH
from hermetic.store.objects.signing import Claim, SigningKey, is_signed, read_claim, read_path
from hermetic.workspace.serving.connections import EXTENSION, GoneError
from hermetic.workspace.serving.files import Headers, entity_tag, file_headers, open_object
from hermetic.workspace.serving.keys import KeyRing, WatchedKeys
from hermetic.workspace.serving.limits import UNKNOWN, Proxies, RateLimit
from hermetic.workspace.serving.ranges import still_the_same, wanted_bytes

SKEW = 60
"""Seconds that the clock of who signs may be ahead, where a URL is good for as long as any may be."""

_NOBODY = SigningKey("nobody", os.urandom(32))
_METHODS = {"GET", "HEAD"}
_SAFE: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
]

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """What the log says of one request: never its query. ``size`` counts bytes of the body, ``seconds`` all of it."""

    client: str
    method: str
    path: str
    status: int
    size: int
    seconds: float
    kid: str = ""
    reason: str = ""


@dataclass
class Answer:
    """What is answered: a word, or (part of) a file."""

    status: int
    reason: str = ""
    headers: Headers = field(default_factory=list)
    kid: str = ""
    object_key: str = ""
    file: BinaryIO | None = None
    offset: int = 0
    count: int = 0


class FileServer:
    """Serves the files of a folder to whoever has a URL that is signed with one of the keys."""

    def __init__(
        self,
        folder: Path,
        keys: WatchedKeys,
        *,
        rate: RateLimit,
        proxies: Proxies | None = None,
        log: Callable[[Seen], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._rate = rate
        self._proxies = proxies or Proxies()
        self._log = log
        self._warn = warn
        self._clock = clock

    async def __call__(self, scope: Scope, receive: object, send: Send) -> None:  # noqa: ARG002  ASGI
        """Answer one request."""
        begun = time.monotonic()
        headers = scope["headers"]
        client = self._proxies.client((scope["client"] or [UNKNOWN])[0], _texts(headers, b"x-forwarded-for"))
        answer = self._rated(client, begun) or self._answer(scope, headers)
        size = 0
        try:
            if answer.file and scope["method"] == "GET":
                await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
                connection = scope["extensions"][EXTENSION]
                await connection.send_file(answer.file, answer.offset, answer.count, self._watch(answer))
                await send({"type": "http.response.body", "body": b""})
                size = answer.count
            else:
                await _send_word(send, answer, closing=_has_body(headers))
        except GoneError:
            answer.reason = "broken off"
        finally:
            if answer.file:
                answer.file.close()
            path, seconds = scope["raw_path"].decode("ascii", "replace"), time.monotonic() - begun
            self._log(Seen(client, scope["method"], path, answer.status, size, seconds, answer.kid, answer.reason))

    def _rated(self, client: str, now: float) -> Answer | None:
        wait = self._rate.wait(client, now)
        return Answer(429, "too many requests", [(b"retry-after", b"%d" % ceil(wait))]) if wait else None

    def _answer(self, scope: Scope, headers: Headers) -> Answer:
        if scope["raw_path"] == HEALTH.encode():
            return Answer(200, "healthy")
        method = scope["method"]
        object_key, claim = read_path(scope["raw_path"]), read_claim(scope["query_string"])
        if method not in _METHODS or object_key is None or claim is None or _has_body(headers):
            return Answer(403, "forbidden")
        try:
            ring = self._keys.now()
        except (HermeticError, OSError) as error:
            self._warn(redact(str(error)))
            return Answer(503, "the keys cannot be read", [(b"retry-after", b"10")])
        left = claim.expires - self._clock()
        if wrong := _wrong(ring, claim, method, object_key, left):
            return wrong
        answer = Answer(200, kid=claim.kid, object_key=object_key)
        if file := open_object(self._folder, object_key):
            _describe(answer, file, headers, left)
        else:
            answer.status, answer.reason = 404, "not found"
        return answer

    def _watch(self, answer: Answer) -> Callable[[], bool]:
        """Give what tells, while a file is on its way, whether its URL still would be accepted but for its expiry."""

        def may_go_on() -> bool:
            try:
                ring = self._keys.now()
            except (HermeticError, OSError):
                return False
            return ring.get(answer.kid) is not None and answer.object_key not in ring.revoked

        return may_go_on


def _wrong(ring: KeyRing, claim: Claim, method: str, object_key: str, left: float) -> Answer | None:
    """Give the refusal of a request that may not be answered. An unknown key takes as long as a wrong signature."""
    key = ring.get(claim.kid)
    if not is_signed(key or _NOBODY, claim, method, object_key) or key is None:
        return Answer(403, "forbidden")
    if left <= 0:
        return Answer(403, "expired", kid=key.id)
    if left > LONGEST_EXPIRY + SKEW:
        return Answer(403, "forbidden", kid=key.id)
    return Answer(403, "revoked", kid=key.id) if object_key in ring.revoked else None


def _describe(answer: Answer, file: BinaryIO, asked: Headers, left: float) -> None:
    """Make an answer that of a file: all of it, a part (206), none (416), or that the client has it already (304)."""
    found = os.fstat(file.fileno())
    modified, etag = formatdate(found.st_mtime, usegmt=True).encode(), entity_tag(answer.object_key, found)
    about = [*_SAFE, (b"etag", etag), (b"last-modified", modified), *file_headers(answer.object_key, left)]
    held = [tag.strip() for value in _all(asked, b"if-none-match") for tag in value.split(b",")]
    part = None
    if still_the_same(_one(asked, b"if-range"), etag, modified):
        part = wanted_bytes(_one(asked, b"range"), found.st_size)
    if {etag, b"W/" + etag, b"*"} & set(held):
        file.close()
        answer.status = 304
        answer.headers = [pair for pair in about if not pair[0].startswith(b"content-")]
    elif part and not part[1]:
        file.close()
        answer.status, answer.reason = 416, "no such range"
        answer.headers = [(b"content-range", b"bytes */%d" % found.st_size)]
    else:
        answer.file = file
        answer.offset, answer.count = part or (0, found.st_size)
        if part:
            last = answer.offset + answer.count - 1
            answer.status = 206
            about.append((b"content-range", b"bytes %d-%d/%d" % (answer.offset, last, found.st_size)))
        answer.headers = [*about, (b"content-length", b"%d" % answer.count)]


async def _send_word(send: Send, answer: Answer, *, closing: bool) -> None:
    """Send an answer without a file's bytes. A body that nobody asked for is not read: the connection ends."""
    headers, body = answer.headers, b""
    if not answer.file and answer.status != 304:
        body = answer.reason.encode() + b"\n"
        headers = [
            *answer.headers,
            *_SAFE,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(body)),
        ]
    if closing:
        headers = [*headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _all(headers: Headers, name: bytes) -> list[bytes]:
    return [value for known, value in headers if known == name]


def _one(headers: Headers, name: bytes) -> bytes | None:
    """Give a header's value; of one that is given twice, none that would mean anything."""
    found = _all(headers, name)
    return found[0] if len(found) == 1 else b"" if found else None


def _texts(headers: Headers, name: bytes) -> Iterable[str]:
    return [value.decode("latin-1") for value in _all(headers, name)]


def _has_body(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)
