"""Passwords and tokens that were typed into a spec: found by what holds them and how they look, and refused.

A spec is committed, copied and locked, so what is typed into it is known to everybody. In its place stands
``${secret:NAME}``, which is looked up when a process starts or a server is asked. That always works, so a text
that only looks like a password costs its owner one command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hermetic.errors import Place, SpecError, UsageError
from hermetic.secrets import name_of_value_in, references, with_references
from hermetic.spec.urls import carries_secret, clean_url, is_url

_PASSWORDS = {"PASSWORD", "PASSWD", "PASSPHRASE", "PASSCODE", "PASS", "PWD"}
_TOKENS = {"TOKEN", "SECRET", "SECRETS", "CREDENTIAL", "CREDENTIALS", "APIKEY"}
_GLUED = ("PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "ACCESSKEY", "SECRETKEY", "PRIVATEKEY", "AUTHTOKEN")
_KEYS = {
    "API", "ACCESS", "SECRET", "PRIVATE", "ACCOUNT", "STORAGE", "SHARED", "ENCRYPTION", "SIGNING", "AUTH", "MASTER",
    "SUBSCRIPTION",
}  # fmt: skip
_NO_CREDENTIAL = {
    # what stands before TOKEN or PASS in the words of models and builds
    "PAD", "BOS", "EOS", "MASK", "UNK", "SEP", "CLS", "STOP", "START", "END", "SPECIAL", "NUM", "MAX", "MIN", "PER",
    "OLD", "FIRST", "SECOND", "TWO", "MULTI", "SINGLE", "ALLOW", "EMPTY",
}  # fmt: skip
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+")

_ANSWER = re.compile(r"(?i)(?:|0|1|true|false|yes|no|on|off|y|n|none|null|nil|auto|required|optional|prompt|unset)\Z")
_NUMBER = re.compile(r"[+-]?\d{1,6}(?:\.\d+)?\Z")
_STANDS_FOR = re.compile(
    r"(?i)\$\{?[A-Z_]\w*\}?\Z|\$\(.*\)\Z|%\w+%\Z|<.*>\Z|\[.*\]\Z|\{\{.*\}\}\Z"
    r"|[*.\-_]+\Z|x{3,}\Z|(?:your|my)[-_ ]|\*\*\*"
)
_PATH = re.compile(
    r"(?:~|\.{0,2})(?:/[\w.@-]{1,24})+/?\Z|[A-Za-z]:\\|[\w./-]+\.(?:json|txt|pem|key|crt|cer|p12|env|ya?ml)\Z"
)
_REFERENCE = "${secret:"
_TELLING = 8  # characters: a shorter value may well stand in a whole file by chance
_SHOWN = 100  # characters of a text that a remedy repeats

_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#'\"]*:(?P<value>[^\s/@?#'\"]+)@")
_IN_LIST = re.compile(
    r"(?i)(?:^|[;&?\s])(?:password|passwd|pwd|accountkey|sharedaccesskey|sharedaccesssignature|clientsecret|"
    r"client_secret|access_token|api_key|sig|signature)\s*=\s*(?P<value>[^;&\s]+)"
)
_SHAPES = re.compile(
    r"(?:gh[pousr]_|github_pat_|glpat-|hf_|sk_live_|sk-|xox[abprs]-|npm_|dapi)[A-Za-z0-9_-]{20,}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_INSTRUCTION = re.compile(r"(?i)\s*(?P<kind>ENV|ARG)\s+(?P<rest>.+)")
_PAIR = re.compile(r"(?P<name>\w+)=(?P<value>\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)")


def check_variable(name: str, value: str, place: Place | None = None) -> None:
    """Refuse an environment variable with a typed password, or a reference that is none.

    Raises SpecError, which does not repeat the value.
    """
    try:
        references(value)
    except UsageError as error:
        raise SpecError(f"the variable {name}: {error.message}", place=place, remedy=error.remedy) from None
    if not _has_password(name, value):
        return
    known = _known(value)
    wanted = known or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "password"
    reference = f"{_REFERENCE}{wanted}}}"
    whole = f"keep it with 'hermetic secret set {wanted}', and write {reference} in its place"
    raise SpecError(
        f"the variable {name} holds {f'the secret {known!r}' if known else 'a typed password'}, which everybody would "
        "know who has this spec",
        place=place,
        remedy=_written(name, value, reference) if known else f"{whole}; renew it if the spec was shared",
    )


def _written(name: str, value: str, reference: str) -> str:
    """Say how a text with a known secret's value is written; the text is shown if nothing else in it is secret."""
    text = with_references(value)
    if len(text) > _SHOWN or '"' in text or not text.isprintable() or _has_password(name, text):
        return f"write {reference} where its value stands"
    return f'write "{text}"'


def check_text(file: str, text: str) -> None:
    """Refuse a text, to be written as ``file``, with the value of a secret of this process. Raises SpecError."""
    if known := name_of_value_in(text, least=_TELLING):
        raise SpecError(
            f"{file} would hold the value of the secret {known!r}, which everybody would know who has this spec",
            remedy=f"write {_REFERENCE}{known}}} where its value stands",
        )


def spec_url(url: str, place: Place | None = None, *, fragment: bool = True) -> str:
    """Give a URL as a spec holds it (``clean_url``). Raises SpecError for one with a typed password or token."""
    if url_holds_password(url):
        raise SpecError(
            "the URL holds a typed password, which everybody would know who has this spec",
            place=place,
            remedy="keep it with 'hermetic secret set NAME' and write ${secret:NAME} in its place, or ${VARIABLE} for "
            "one of the environment; renew it if this file was shared",
        )
    return clean_url(url, place, fragment=fragment)


def url_holds_password(url: str) -> bool:
    """Tell whether a URL holds a password or token; a user's name alone is none."""
    if not is_url(url) or not carries_secret(url):
        return is_url(url) and any(match["value"] for match in _literals(_IN_LIST, "?" + url.partition("?")[2]))
    user, at, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
    if not at or _is_name(user):
        return bool(re.search(r"/t/(?![<$*])[^/]+", url.partition("://")[2]))
    return True


def check_dockerfile(text: str, place: Place | None = None) -> None:
    """Refuse a Dockerfile whose variables or addresses hold typed passwords. Raises SpecError with the line."""
    for number, line in _instructions(text):
        here = Place(place.file, number) if place else None
        found = _INSTRUCTION.match(line)
        pairs = (
            [(match["name"], match["value"].strip("\"'")) for match in _PAIR.finditer(found["rest"])] if found else []
        )
        if found and not pairs and found["kind"].upper() == "ENV" and " " in found["rest"].strip():
            name, _, value = found["rest"].strip().partition(" ")
            pairs = [(name, value.strip())]
        for name, value in pairs:
            if _has_password(name, value):
                raise _in_dockerfile(f"{name} holds a typed password", here)
        if any(_literals(_IN_URL, line)) or _SHAPES.search(line):
            raise _in_dockerfile("a typed password stands here", here)


def _in_dockerfile(what: str, place: Place | None) -> SpecError:
    return SpecError(
        f"{what}, which everybody would know who has this Dockerfile or its image",
        place=place,
        remedy="take it out; a secret that the environment's processes need is declared as one of its variables: "
        "${secret:NAME}",
    )


def _has_password(name: str, value: str) -> bool:
    """Tell whether a variable holds a password: its name says so and the value may be one, or the value looks so."""
    if _known(value) or _SHAPES.search(value):
        return True
    if any(_literals(_IN_URL, value)) or any(_literals(_IN_LIST, value)):
        return True
    kind = _kind(name)
    if not kind or _is_harmless(value):
        return False
    return kind == "password" or not _NUMBER.match(value)


def _kind(name: str) -> str:
    """Give what the name of a variable says that it holds: ``password``, ``token``, or nothing of the kind."""
    words = [word.upper() for word in _WORDS.findall(re.sub(r"\d+\Z", "", name))]
    last, before = (words or [""])[-1], words[-2] if len(words) > 1 else ""
    if before in _NO_CREDENTIAL or (last in {"PWD", "PASS"} and not before):
        return ""
    if last in _PASSWORDS or last.endswith(_GLUED[:3]):
        return "password"
    if last in _TOKENS or last.endswith(_GLUED) or (last == "KEY" and before in _KEYS):
        return "token"
    return ""


def _is_harmless(value: str) -> bool:
    """Tell whether a value is no password, whatever its variable is called: an answer, a path, a stand-in."""
    text = value.strip()
    return bool(_REFERENCE in text or _ANSWER.match(text) or _STANDS_FOR.match(text) or _PATH.match(text))


def _literals(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Find what a pattern takes for passwords and is none of a stand-in, a reference or an answer."""
    hidden = re.sub(r"\$\{[^}]*\}|\$[A-Za-z_]\w*", "\0", text)
    for found in pattern.finditer(hidden):
        value = found["value"].replace("\0", "")
        if value and not _ANSWER.match(value) and not _STANDS_FOR.match(value):
            yield found


def _is_name(user: str) -> bool:
    """Tell whether a URL's user part is a name alone, and no token."""
    return ":" not in user and not _SHAPES.search(user) and not (len(user) >= 20 and re.search(r"\d", user))


def _known(value: str) -> str:
    """Give the name of a secret whose value stands in a text, if it was handed out in this process."""
    return name_of_value_in(value)


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """Give a Dockerfile's lines, those that are continued joined, with their 1-based numbers; comments left out."""
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        first = first if pending else number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        yield first, pending + line
        pending = ""
    if pending:
        yield first, pending
