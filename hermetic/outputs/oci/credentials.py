"""Credentials for registries, at the moment of use.

Looked up once a registry has asked (401), first found wins:

1. what the caller gives (``Login``), each part maybe a ``${VAR}``;
2. the user part of a configured address, then ``HERMETIC_AUTH_<HOST>_<PORT>`` and ``HERMETIC_AUTH_<HOST>``;
3. Docker's configuration, ``$DOCKER_CONFIG/config.json``, else ``~/.docker/config.json``: the host's own helper
   (``credHelpers``), the common one (``credsStore``), then ``auths``;
4. py-rattler's file, netrc, and the keyring (see ``hermetic.secrets``).

Helpers speak the protocol of docker-credential-helpers: the program ``docker-credential-NAME get`` reads the host
and writes JSON. The user ``<token>`` means that the secret is an identity token, which is changed for short ones.
"""

from __future__ import annotations

import binascii
import json
import os
import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hermetic import secrets
from hermetic.config import patience
from hermetic.errors import CredentialsError, Place
from hermetic.outputs.oci.reference import default_key, default_names

if TYPE_CHECKING:
    from hermetic.outputs.oci.reference import Address

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_IDENTITY = "<token>"
_SLOWEST = 60.0
"""Seconds that a helper gets at least: it may ask a person."""


@dataclass(frozen=True)
class Login:
    """A user and a password as a caller gives them; each may hold ``${VAR}``."""

    user: str = ""
    password: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.user or self.password)


@dataclass(frozen=True)
class Credentials:
    """What opens a registry: the header for Basic or Bearer, or an identity token; and where it is from."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    identity: str = field(default="", repr=False)
    source: str = ""

    @property
    def is_token(self) -> bool:
        """Whether the header is a token already, for the registry itself."""
        return bool(self.headers) and not self.headers.get("Authorization", "").startswith("Basic ")


def find_credentials(
    address: Address, login: Login | None = None, environ: Mapping[str, str] | None = None
) -> Credentials | None:
    """Give the credentials for a registry, or None.

    Raises UsageError for a ``${VAR}`` that is not set, CredentialsError for a file or helper that does not work.
    """
    environ = os.environ if environ is None else environ
    if login:
        user, password = (secrets.expand(text, environ) for text in (login.user, login.password))
        return Credentials(secrets.basic(user, password), source="the registry's user name and password")
    url = f"{address.asked or address.url}/v2/"
    found = secrets.access(url, environ)
    if found.headers and (found.source == secrets.URL or found.source.startswith(secrets.auth_variable(""))):
        return Credentials(found.headers, source=found.source)
    if docker := _from_docker(address.host, environ):
        return docker
    if not found.headers:
        found = secrets.access(url, environ, asked=True)
    return Credentials(found.headers, source=found.source) if found.headers else None


def advice(address: Address) -> str:
    """Give the remedy for a registry that refuses: where credentials for it are looked for."""
    host = urlsplit(address.url).hostname or ""
    login = "docker login" if address.host in default_names() else f"docker login {address.host}"
    return (
        f"give credentials for {address.host}: `{login}`, or set "
        f"{secrets.auth_variable(host)}=user:password, or put them into ~/.netrc or a keyring"
    )


def _from_docker(host: str, environ: Mapping[str, str]) -> Credentials | None:
    folder = environ.get("DOCKER_CONFIG")
    path = (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "the system refuses") from None
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        raise _unreadable(path, "it is not JSON") from None
    if not isinstance(found, dict):
        raise _unreadable(path, "it holds no object")
    names = list(_filed_under(host))
    for name in names:
        helper = _table(found, "credHelpers").get(name)
        if isinstance(helper, str) and helper:
            return _ask_helper(helper, name, path, needed=True)
    store = found.get("credsStore")
    if isinstance(store, str) and store:
        for name in names[:2]:
            if known := _ask_helper(store, name, path, needed=False):
                return known
    for key, entry in _table(found, "auths").items():
        named = isinstance(entry, dict) and (key in names or _host_of(key) in names)
        if named and (known := _from_entry(entry, path)):
            return known
    return None


def _filed_under(host: str) -> Iterator[str]:
    """Give the names that Docker's configuration may have for a registry, the usual one first."""
    if host in default_names():
        yield default_key()
        yield from default_names()
    else:
        yield host
        yield f"https://{host}"


def _host_of(key: str) -> str:
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _from_entry(entry: Mapping[str, Any], path: Path) -> Credentials | None:
    """Read one of ``auths``; an empty one only tells that a helper has it."""
    if token := entry.get("identitytoken"):
        return _identity(str(token), str(path))
    if token := entry.get("registrytoken"):
        secrets.hide(str(token))
        return Credentials({"Authorization": f"Bearer {token}"}, source=str(path))
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if packed := entry.get("auth"):
        try:
            user, colon, password = b64decode(str(packed), validate=True).decode().rstrip("\0").partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise _unreadable(path, "an entry of its auths is not user:password in base64")
    return Credentials(secrets.basic(user, password), source=str(path)) if user or password else None


def _identity(token: str, source: str) -> Credentials:
    secrets.hide(token)
    return Credentials(identity=token, source=source)


def _ask_helper(name: str, host: str, path: Path, *, needed: bool) -> Credentials | None:
    """Ask a helper; None if it knows nothing, or if it is not installed and not ``needed``."""
    program = f"docker-credential-{name}"

    def fault(reason: str) -> CredentialsError:
        # What a helper writes may be a secret, so it is not told.
        return CredentialsError(
            f"{program} {reason}",
            place=Place(str(path)),
            remedy=f"try it: echo {host} | {program} get; or take it out of the file",
        )

    if not _HELPER.match(name):
        raise fault("cannot be a program's name")
    try:
        ran = subprocess.run(
            [program, "get"],
            input=host.encode(),
            capture_output=True,
            timeout=max(_SLOWEST, patience().timeout),
            check=False,
        )
    except FileNotFoundError:
        if needed:
            raise fault("is not installed") from None
        return None
    except subprocess.TimeoutExpired:
        raise fault("did not answer in time") from None
    except OSError as error:
        raise fault(f"cannot be run: {error.strerror}") from None
    if ran.returncode:
        if b"not found" in ran.stdout + ran.stderr:
            return None
        raise fault(f"failed with status {ran.returncode}")
    try:
        answer = json.loads(ran.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise fault("did not answer with Username and Secret") from None
    if not secret:
        return None
    return _identity(secret, program) if user == _IDENTITY else Credentials(secrets.basic(user, secret), source=program)


def _unreadable(path: Path, reason: str) -> CredentialsError:
    return CredentialsError(
        f"cannot read credentials: {reason}", place=Place(str(path)), remedy="mend the file or remove it"
    )
