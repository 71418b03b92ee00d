"""Credentials at the moment of use, and their redaction: the only place that knows where secrets live.

Looked up for a URL, first found wins:

1. the URL's own user part, once its ``${VAR}`` are put in;
2. ``HERMETIC_AUTH_<HOST>_<PORT>``, then ``HERMETIC_AUTH_<HOST>`` (upper case, everything but letters and digits as
   ``_``): ``user:password``, or a bare token, or a whole header value (``Bearer ...``, ``Basic ...``, ``Token ...``);
3. py-rattler's file: ``$RATTLER_AUTH_FILE``, else ``~/.rattler/credentials.json``;
4. netrc: ``$NETRC``, else ``~/.netrc``;
5. the keyring, if it is installed, and only after a server has asked (401): it is slow to load and may ask back.

Nothing found here is ever stored, and every secret found is hidden by ``redact`` from then on.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from hermetic.errors import CredentialsError, Place, UsageError

HIDDEN = "***"
URL = "the URL"
"""The source of credentials that stand in the URL itself."""

_known: set[str] = set()
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>[^\s'\"<>`]*)")
_TOKEN = re.compile(r"(/t/)(?!\$\{)[^/\s]+(?=/|\Z)")  # the token that conda channels carry in their path
_ANY_TOKEN = re.compile(r"/t/[^/]+(?=/|\Z)")
_WHOLE = re.compile(r"(?i)(bearer|basic|token)\s+\S")
_TRAILING = ".,;:)]}"


@dataclass(frozen=True)
class Access:
    """How to ask for a URL: the address without its user part, and the headers that go to that host only.

    ``source`` names where the credentials are from (empty: there are none).
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: str = ""


def access(url: str, environ: Mapping[str, str] | None = None, *, asked: bool = False) -> Access:
    """Give the access to a URL; ``asked`` says that the server has asked for credentials, so the keyring counts too.

    Raises UsageError for a ``${VAR}`` that is not set, CredentialsError for a credentials file that is damaged.
    """
    environ = os.environ if environ is None else environ
    url = expand(url, environ)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # no URL: whoever asks for it will say so
        return Access(url)
    if parts.scheme not in {"http", "https"}:
        return Access(url)
    user, at, netloc = parts.netloc.rpartition("@")
    clean = urlunsplit(parts._replace(netloc=netloc))
    if at and user:
        name, _, password = user.partition(":")
        return Access(clean, basic(unquote(name), unquote(password)), URL)
    return (
        _from_environment(clean, host, port, environ)
        or _from_rattler(clean, host, port, environ)
        or _from_netrc(clean, host, environ)
        or (_from_keyring(clean, host, parts.netloc) if asked else None)
        or Access(clean)
    )


def expand(url: str, environ: Mapping[str, str] | None = None) -> str:
    """Put environment variables into a URL's ``${VAR}``. Raises UsageError for one that is not set.

    What is put in counts as secret from now on where it lands in the user part or a token.
    """
    if "${" not in url:
        return url
    values = os.environ if environ is None else environ

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise UsageError(
                f"{redact(url)} needs the environment variable {found[1]}, which is not set",
                remedy=f"set {found[1]} and run the command again",
            )
        return values[found[1]]

    expanded = _VARIABLE.sub(value, url)
    user = urlsplit(expanded).netloc.rpartition("@")[0]
    for match in _VARIABLE.finditer(url):
        text = values[match[1]]
        if text and (text in user or f"/t/{text}" in expanded):
            hide(text)
    return expanded


def public_url(url: str) -> str:
    """Give a URL as it may be written into a file for others: without user part, token and query string.

    Those go whether they hold secrets or ``${VAR}``, which no other tool need know; ssh's user ``git`` is no secret.
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes or scheme.lower() == "file":
        return url
    body, _, after = rest.partition("?")
    fragment = f"#{after.partition('#')[2]}" if "#" in after else ""
    authority, slash, path = body.partition("/")
    user, _, host = authority.rpartition("@")
    kept = "git@" if user == "git" else ""
    return f"{scheme}://{kept}{host}{_ANY_TOKEN.sub('', slash + path)}{fragment}"


def auth_variable(host: str) -> str:
    """Give the name of the environment variable that holds a host's credentials."""
    return "HERMETIC_AUTH_" + re.sub(r"[^A-Za-z0-9]", "_", host).upper()


def advice(url: str) -> str:
    """Give the remedy for a server that refuses: where credentials for its host are looked for."""
    host = urlsplit(url).hostname or ""
    return (
        f"give credentials for {host}: set {auth_variable(host)}=user:password (or a token), "
        "or put them into ~/.netrc, a keyring, or py-rattler's RATTLER_AUTH_FILE"
    )


def redact(text: str) -> str:
    """Give a text without secrets: URLs lose user part, query string and tokens; known secrets become ``***``.

    A ``${VAR}`` stays, because it is only the promise of a secret.
    """
    text = _URL.sub(_clean, text)
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _clean(found: re.Match[str]) -> str:
    rest = found["rest"]
    body = rest.rstrip(_TRAILING)
    tail = rest[len(body) :]
    body, question, after = body.partition("?")
    fragment = "#" + after.partition("#")[2] if question and "#" in after else ""
    authority, slash, path = body.partition("/")
    user, at, host = authority.rpartition("@")
    kept = f"{user}@" if at and _VARIABLE.search(user) and not _VARIABLE.sub("", user.partition(":")[2]) else ""
    if found["scheme"].lower().startswith("git+ssh") or user == "git":
        kept = f"{user}@" if at and ":" not in user else kept
    return found["scheme"] + kept + host + _TOKEN.sub(rf"\1{HIDDEN}", slash + path) + fragment + tail


def hide(secret: str) -> None:
    """Count a text as secret: ``redact`` hides it from now on."""
    if len(secret) >= 4:  # shorter ones would blot out innocent text and hide nothing
        _known.update({secret, quote(secret, safe="")})


def basic(user: str, password: str) -> dict[str, str]:
    """Give the header of a user and a password (RFC 7617), both counted as secret."""
    token = b64encode(f"{user}:{password}".encode()).decode()
    for secret in (password or user, token):
        hide(secret)
    return {"Authorization": f"Basic {token}"}


def _bearer(token: str) -> dict[str, str]:
    hide(token)
    return {"Authorization": f"Bearer {token}"}


def _from_environment(url: str, host: str, port: int | None, environ: Mapping[str, str]) -> Access | None:
    for name in [auth_variable(f"{host}_{port}")] * (port is not None) + [auth_variable(host)]:
        text = environ.get(name, "").strip()
        if not text:
            continue
        if _WHOLE.match(text):
            hide(text.split(None, 1)[1])
            return Access(url, {"Authorization": text}, name)
        user, colon, password = text.partition(":")
        return Access(url, basic(user, password) if colon else _bearer(text), name)
    return None


def _from_rattler(url: str, host: str, port: int | None, environ: Mapping[str, str]) -> Access | None:
    named = environ.get("RATTLER_AUTH_FILE")
    path = Path(named) if named else Path.home() / ".rattler" / "credentials.json"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise CredentialsError(
            f"cannot read credentials: {reason}", place=Place(str(path)), remedy="mend the file or remove it"
        ) from None
    entry = _entry(found if isinstance(found, dict) else {}, host, port)
    if "BearerToken" in entry:
        return Access(url, _bearer(str(entry["BearerToken"])), str(path))
    pair = entry.get("BasicHTTP")
    if isinstance(pair, dict):
        return Access(url, basic(str(pair.get("username", "")), str(pair.get("password", ""))), str(path))
    if "CondaToken" in entry:
        token = str(entry["CondaToken"])
        hide(token)
        parts = urlsplit(url)
        clean = parts.path if parts.path.startswith("/t/") else f"/t/{quote(token, safe='')}{parts.path}"
        return Access(urlunsplit(parts._replace(path=clean)), {}, str(path))
    return None


def _entry(found: Mapping[str, Any], host: str, port: int | None) -> Mapping[str, Any]:
    """Find a host's entry: its exact name, else the longest wildcard (``*.example.org``) that covers it."""
    names = [f"{host}:{port}", host] if port else [host]
    labels = host.split(".")
    names += [f"*.{'.'.join(labels[start:])}" for start in range(len(labels))]
    return next((found[name] for name in names if isinstance(found.get(name), dict)), {})


def _from_netrc(url: str, host: str, environ: Mapping[str, str]) -> Access | None:
    path = Path(environ.get("NETRC") or Path.home() / ("_netrc" if os.name == "nt" else ".netrc"))
    if not path.is_file():
        return None
    from netrc import NetrcParseError, netrc

    try:
        entry = netrc(str(path)).authenticators(host)
    except (NetrcParseError, OSError, UnicodeError) as error:
        line = getattr(error, "lineno", None)
        reason = getattr(error, "msg", None) or getattr(error, "strerror", None) or "it is not text"
        raise CredentialsError(
            f"cannot read credentials: {reason}", place=Place(str(path), line), remedy="mend the file or remove it"
        ) from None
    if entry is None:
        return None
    user, _, password = entry
    return Access(url, basic(user or "", password or ""), str(path))


def _from_keyring(url: str, host: str, netloc: str) -> Access | None:
    try:
        import keyring
    except ImportError:
        return None
    try:
        for service in (url, netloc, host):
            found = keyring.get_credential(service, None)
            if found:
                return Access(url, basic(found.username or "", found.password), "the keyring")
    except Exception:  # noqa: BLE001  backends raise whatever they like; then there is no keyring here
        return None
    return None
