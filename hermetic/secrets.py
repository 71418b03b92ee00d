"""Credentials at the moment of use, and their redaction: the only place that knows where secrets live.

Looked up for a URL, first found wins:

1. the URL's own user part, once its ``${VAR}`` are put in;
2. ``HERMETIC_AUTH_<HOST>_<PORT>``, then ``HERMETIC_AUTH_<HOST>`` (upper case, everything but letters and digits as
   ``_``): ``user:password``, or a bare token, or a whole header value (``Bearer ...``, ``Basic ...``, ``Token ...``);
3. py-rattler's file: ``$RATTLER_AUTH_FILE``, else ``~/.rattler/credentials.json``;
4. netrc: ``$NETRC``, else ``~/.netrc``;
5. the keyring, if it is installed, and only after a server has asked (401): it is slow to load and may ask back.

Nothing found here is ever stored, and every secret found is hidden by ``redact`` from then on.

A text may also refer to a secret of the workspace's key vault, as ``${secret:NAME}``. The reference is what locks,
keys and files hold; its value is looked up when a process starts or a server is asked: first in
``HERMETIC_SECRET_<NAME>`` (upper case, everything but letters and digits as ``_``), then in the vault.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from hermetic import vault_hook
from hermetic.errors import CredentialsError, Place, UsageError

Lookup: TypeAlias = Callable[[str], str | None]
"""What gives the value of the secret of a name, None where there is none."""

HIDDEN = "***"
URL = "the URL"
"""The source of credentials that stand in the URL itself."""

_known: set[str] = set()
_named: dict[str, str] = {}  # values that were handed out, and their secrets' names
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}\Z")
_REFERENCE = re.compile(r"\$\{secret:([^}]*)\}")
_PROMISE = re.compile(r"\$\{(?:secret:(?P<secret>[^}]*)|(?P<variable>[A-Za-z_][A-Za-z0-9_]*))\}")
_URL = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>[^\s'\"<>`]*)")
_TOKEN = re.compile(r"(/t/)(?!\$\{)[^/\s]+(?=/|\Z)")  # the token that conda channels carry in their path
_ANY_TOKEN = re.compile(r"/t/[^/]+(?=/|\Z)")
_WHOLE = re.compile(r"(?i)(bearer|basic|token)\s+\S")
_TRAILING = ".,;:)]}"
_TELLING = 8  # characters: a shorter text may well stand somewhere by chance
_WORD = 4  # characters: a shorter value is looked for between other characters than letters and digits only
_LEAST = 2  # characters: a shorter value stands everywhere


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
    """Put environment variables into a URL's ``${VAR}``, and secrets into its ``${secret:NAME}``.

    What is put in counts as secret from now on where it lands in the user part or a token. A secret is written as
    URLs need it, so its characters may be any. Raises UsageError for a variable that is not set, and as
    ``secret_value``.
    """
    if "${" not in url:
        return url
    values = os.environ if environ is None else environ
    references(url)
    begin = url.find("://")

    def value(found: re.Match[str]) -> str:
        if found["secret"]:
            text = secret_value(found["secret"], values, needed_by=redact(url) if begin >= 0 else "")
            return quote(text, safe="") if 0 <= begin < found.start() else text
        if found["variable"] not in values:
            raise UsageError(
                f"{redact(url)} needs the environment variable {found['variable']}, which is not set",
                remedy=f"set {found['variable']} and run the command again",
            )
        return values[found["variable"]]

    expanded = _PROMISE.sub(value, url)
    user = urlsplit(expanded).netloc.rpartition("@")[0]
    for match in _VARIABLE.finditer(url):
        text = values[match[1]]
        if text and (text in user or f"/t/{text}" in expanded):
            hide(text)
    return expanded


def reference(name: str) -> str:
    """Give the text that stands for a secret: ``${secret:NAME}``."""
    return f"${{secret:{name}}}"


def references(text: str) -> tuple[str, ...]:
    """Give the names of the secrets that a text refers to, each once. Raises UsageError for what is no name."""
    if "${secret:" not in text:
        return ()
    if text.count("${secret:") != len(_REFERENCE.findall(text)):
        raise UsageError("a reference to a secret has no end", remedy="write it as ${secret:NAME}")
    return tuple(dict.fromkeys(check_secret_name(name) for name in _REFERENCE.findall(text)))


def resolve(
    text: str, environ: Mapping[str, str] | None = None, *, needed_by: str = "", lookup: Lookup | None = None
) -> str:
    """Put secrets into a text's ``${secret:NAME}``; other ``${...}`` stay. Raises as ``secret_value``."""
    if not references(text):
        return text
    return _REFERENCE.sub(lambda found: secret_value(found[1], environ, needed_by=needed_by, lookup=lookup), text)


def secret_value(
    name: str, environ: Mapping[str, str] | None = None, *, needed_by: str = "", lookup: Lookup | None = None
) -> str:
    """Give a secret's value, from ``HERMETIC_SECRET_<NAME>`` or the key vault; ``needed_by`` is for the message.

    ``lookup`` is asked in place of the vault that was told by ``use_vault``.

    Raises UsageError for what is no name, CredentialsError where there is no such secret, and whatever the vault does
    if it cannot be opened.
    """
    environ = os.environ if environ is None else environ
    variable = secret_variable(check_secret_name(name))
    value: str | None = environ.get(variable) or None
    lookup = lookup or vault_hook.lookup
    if value is None and lookup is not None:
        value = lookup(name)
    if value is None:
        raise CredentialsError(
            f"{needed_by} needs the secret {name!r}, which is not there" if needed_by else f"no secret {name!r}",
            remedy=f"keep it with 'hermetic secret set {name}' in the workspace's folder, or set {variable}",
        )
    return SecretText(value, name)


def use_vault(lookup: Lookup | None) -> None:
    """Have a function asked for secrets from now on: it gives a name's value, or None."""
    vault_hook.lookup = lookup


def secret_variable(name: str) -> str:
    """Give the name of the environment variable that holds a secret where there is no vault."""
    return "HERMETIC_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def check_secret_name(name: str) -> str:
    """Give a secret's name back if it is one. Raises UsageError."""
    if isinstance(name, str) and _SECRET_NAME.match(name):
        return name
    raise UsageError(
        f"{str(name)[:40]!r} is no name of a secret",
        remedy="use at most 127 letters, digits, '-', '_' and '.', and begin with a letter or digit",
    )


class SecretText(str):
    """A secret's value: a text like any other, which knows its name, and which is hidden where values are shown.

    Set in an Environment it is written down as its reference.
    """

    __slots__ = ("name",)

    name: str

    def __new__(cls, value: str, name: str) -> Self:
        """Make it, and count the value as secret from now on."""
        made = super().__new__(cls, value)
        made.name = name
        hide_value(value)
        for text in (str(value), value.strip()):  # a script may well take the line's end away
            if len(text) >= _LEAST:
                _named[text] = name
        return made

    @property
    def reference(self) -> str:
        """The text that stands for it: ``${secret:NAME}``."""
        return reference(self.name)

    def __repr__(self) -> str:
        return f"<secret {self.name!r}>"

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.name


def name_of_value_in(text: str, *, least: int = _LEAST) -> str:
    """Give the name of a secret whose value stands in a text; empty if none is known to.

    Only values that were handed out in this process are known, and those of less than ``least`` characters are not
    looked for.
    """
    return next((name for value, name in _named.items() if len(value) >= least and _stands_in(value, text)), "")


def with_references(text: str) -> str:
    """Give a text with the reference of each secret whose value stands in it."""
    for value, name in sorted(_named.items(), key=lambda item: -len(item[0])):
        if _stands_in(value, text):
            text = _wanted(value).sub(reference(name), text)  # no name has a backslash
    return text


def _stands_in(value: str, text: str) -> bool:
    return value in text and bool(_wanted(value).search(text))


def _wanted(value: str) -> re.Pattern[str]:
    exact = re.escape(value)
    return re.compile(exact if len(value) >= _WORD else rf"(?<![^\W_]){exact}(?![^\W_])")


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
    return conceal(_URL.sub(_clean, text))


def conceal(text: str) -> str:
    """Give a text in which known secrets are ``***``, and nothing else is changed."""
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
    promised = _PROMISE.sub("\0", user)  # a reference has a colon of its own
    kept = f"{user}@" if at and "\0" in promised and not promised.partition(":")[2].replace("\0", "") else ""
    if found["scheme"].lower().startswith("git+ssh") or user == "git":
        kept = f"{user}@" if at and ":" not in user else kept
    return found["scheme"] + kept + host + _TOKEN.sub(rf"\1{HIDDEN}", slash + path) + fragment + tail


def hide(secret: str) -> None:
    """Count a text as secret: ``redact`` hides it from now on."""
    if len(secret) >= 4:  # shorter ones would blot out innocent text and hide nothing
        _known.update({secret, quote(secret, safe="")})


def hide_value(value: str) -> None:
    """Count a secret's value as secret in all forms that it may be printed in: by lines, and quoted as JSON."""
    hide(value)
    hide(json.dumps(value)[1:-1])
    hide(json.dumps(value, ensure_ascii=False)[1:-1])
    for line in value.splitlines():
        if len(line) >= _TELLING:
            hide(line.strip())


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
