"""What a registry asks for (RFC 9110, 11.6.1), and short tokens from its token server.

The token server's protocol is that of Distribution ("Token Authentication Specification"): GET with ``service`` and
``scope``, anonymous or with Basic; or POST with an identity token, as OAuth 2 refreshes (RFC 6749, section 6).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from hermetic import secrets
from hermetic.errors import CredentialsError, NetworkError
from hermetic.outputs.oci.reference import is_loopback

if TYPE_CHECKING:
    from hermetic.outputs.oci.credentials import Credentials
    from hermetic.store.http import Client

_PIECE = re.compile(
    r'\s*,*\s*(?:(?P<name>[A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]*))'
    r"|(?P<scheme>[A-Za-z][A-Za-z0-9_-]*)(?!\s*=)|(?P<other>[^\s,]+))"
)
_SCOPE = re.compile(r"([a-z]+(?:\([^)]*\))?):(.*):([^:]*)\Z")
_CLIENT = "hermetic"
_SHORT = 60.0
"""Seconds that a token lives if the server does not say (the specification's default)."""
_EARLY = 5.0
"""Seconds before its end at which a token is renewed."""
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Challenge:
    """One way in that a registry offers: ``basic`` or ``bearer``, and its parameters."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """A token for the registry, and when it ends (``time.monotonic``)."""

    text: str = field(repr=False)
    ends: float = 0.0

    @property
    def fresh(self) -> bool:
        """Whether it can still be used."""
        return time.monotonic() < self.ends - _EARLY


def challenges(text: str) -> tuple[Challenge, ...]:
    """Read a ``WWW-Authenticate`` header; what makes no sense in it is passed over."""
    found: list[tuple[str, dict[str, str]]] = []
    for piece in _PIECE.finditer(text):
        if piece["scheme"]:
            found.append((piece["scheme"].lower(), {}))
        elif piece["name"] and found:
            quoted = piece["quoted"]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else piece["plain"]
            found[-1][1].setdefault(piece["name"].lower(), value)
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def choose(offered: Iterable[Challenge]) -> Challenge | None:
    """Choose a way in: a token server if there is one, else Basic."""
    known = {offer.scheme: offer for offer in reversed(tuple(offered))}
    bearer = known.get("bearer")
    return bearer if bearer and bearer.parameters.get("realm") else known.get("basic") or bearer


def merge_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Put scopes together: one per resource with all actions, in a stable order; what is no scope stays as it is."""
    actions: dict[tuple[str, str], set[str]] = {}
    others = set()
    for scope in (part for text in scopes for part in text.split()):
        if match := _SCOPE.match(scope):
            actions.setdefault((match[1], match[2]), set()).update(match[3].split(","))
        else:
            others.add(scope)
    found = [f"{kind}:{name}:{','.join(sorted(allowed - {''}))}" for (kind, name), allowed in actions.items()]
    return tuple(sorted(found) + sorted(others))


def get_token(
    client: Client, challenge: Challenge, scopes: Iterable[str], credentials: Credentials | None, registry: str
) -> Token:
    """Get a token from the token server that a registry named; ``registry`` is the registry's URL.

    Raises CredentialsError if the server refuses, Transient for what may go better, NetworkError.
    """
    realm = challenge.parameters.get("realm", "")
    where = secrets.redact(realm)
    try:
        parts = urlsplit(realm)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NetworkError(f"{registry} names no token server that can be asked: {where}", remedy="tell its keeper")
    if parts.scheme == "http" and registry.startswith("https:") and not is_loopback(parts.netloc):
        raise NetworkError(
            f"{registry} wants tokens from {where}, which would send secrets in the clear", remedy="tell its keeper"
        )
    asked = {"service": challenge.parameters["service"]} if challenge.parameters.get("service") else {}
    if credentials and credentials.identity:
        fields = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": credentials.identity}
        body = urlencode({**fields, **asked, "scope": " ".join(scopes)}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        return _ask(client, realm, headers, credentials, body)
    query = urlencode([*asked.items(), *[("scope", scope) for scope in scopes]])
    url = f"{realm}{'&' if parts.query else '?'}{query}"
    return _ask(client, url, dict(credentials.headers) if credentials else {}, credentials)


def _ask(
    client: Client, url: str, headers: dict[str, str], credentials: Credentials | None, body: bytes | None = None
) -> Token:
    where = secrets.redact(url)
    with client.exchange("POST" if body else "GET", url, {"Accept": "application/json", **headers}, body) as response:
        if later := response.busy():
            raise later
        if response.status in {400, 401, 403}:
            whose = f"the credentials from {credentials.source}" if credentials else "to give one without credentials"
            raise CredentialsError(f"the token server {where} refuses {whose} ({response.status})")
        if response.status != 200:
            raise NetworkError(f"the token server {where} answers {response.status}", remedy="try again later")
        data = bytearray()
        for piece in response.pieces():
            data += piece
            if len(data) > _LARGEST:
                break
    try:
        found = json.loads(data)
        text = str(found.get("token") or found["access_token"])
        lifetime = float(found.get("expires_in") or _SHORT)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NetworkError(f"the token server {where} gave no token", remedy="tell its keeper") from None
    secrets.hide(text)
    return Token(text, time.monotonic() + max(lifetime, _EARLY + 1))
