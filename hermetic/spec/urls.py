"""URLs in specs: what is kept of them, and what must never be.

A Spec holds neither credentials nor query strings (signatures of signed URLs live there). A ``${VAR}`` is a
promise that the environment holds the secret at the moment of use, and ``${secret:NAME}`` that the key vault does, so
they stay, unexpanded. ``$VAR`` means the same as ``${VAR}`` and is written so.
"""

from __future__ import annotations

import re

from hermetic.errors import Place, SpecError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# A second scheme, or a user and password in the path: a slip of the hand that would let a secret through.
_GARBLED = re.compile(r"://|/[^/@?#]*:[^/@?#]*@")
_BARE_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_PROMISE = r"\$\{(?:secret:[A-Za-z0-9][A-Za-z0-9_.-]{0,126}|[A-Za-z_][A-Za-z0-9_]*)\}"
_PROMISES = re.compile(rf"(?:{_PROMISE})+\Z")
# The token that conda channels carry in their path (as conda's own split_anaconda_token knows it).
_TOKEN = re.compile(r"/t/(?!\$\{)[^/]+(?=/|\Z)")


def is_url(text: str) -> bool:
    """Tell whether a text is a URL with a scheme and an authority."""
    return _SCHEME.match(text) is not None


def clean_url(url: str, place: Place | None = None, *, fragment: bool = True) -> str:
    """Give a URL without credentials, tokens and query string; ``${VAR}`` placeholders stay.

    ``fragment=False`` drops the fragment too. Raises SpecError for text that is no URL; the message does not
    repeat it, because it may hold a secret.
    """
    match = _SCHEME.match(url)
    if not match or any(c.isspace() for c in url) or _GARBLED.search(url, match.end()):
        raise SpecError("malformed URL", place=place, remedy="write it as https://host/path")
    scheme = match[0].lower()
    rest, hash_sign, anchor = url[match.end() :].partition("#")
    rest = _BARE_VARIABLE.sub(r"${\1}", rest).partition("?")[0].replace("\\", "/")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if not host and not scheme.endswith("file://"):
        raise SpecError("URL without a host", place=place, remedy="write it as https://host/path")
    path = _TOKEN.sub("", slash + path)
    kept = f"{user}@" if at and _harmless(user) else ""
    tail = f"#{anchor}" if hash_sign and fragment and anchor else ""
    return f"{scheme}{kept}{host if '${' in host else host.lower()}{path}{tail}"


def carries_secret(url: str) -> bool:
    """Tell whether a URL holds a literal credential, so that the user can be told that it is not used."""
    if not is_url(url):
        return False
    rest = _BARE_VARIABLE.sub(r"${\1}", _SCHEME.sub("", url, count=1))
    authority, _, path = rest.partition("/")
    user, at, _ = authority.rpartition("@")
    return bool(at and not _harmless(user) and user != "git") or bool(_TOKEN.search("/" + path))


def _harmless(user: str) -> bool:
    """Tell whether a user part may stay: its secret is a placeholder, or it is ssh's well-known user."""
    name, colon, password = re.sub(_PROMISE, "\0", user).partition(":")  # a reference has a colon of its own
    asked = password if colon else name
    return bool(asked and not asked.strip("\0")) or user == "git"


def is_promise(text: str) -> bool:
    """Tell whether a text is ``${VAR}`` or ``${secret:NAME}``, or several of them: it holds no secret itself."""
    return bool(_PROMISES.match(text))
