"""A registry as a server: addresses of manifests and blobs, ways in, redirects, refusals (OCI distribution 1.1).

Nothing secret is sent before the registry asks for it, nor to any other host than the registry and the token server
that it names: redirects, and uploads that go elsewhere, carry no credentials.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from hermetic import secrets
from hermetic.digest import sha256_bytes
from hermetic.errors import CredentialsError, IntegrityError, NetworkError
from hermetic.outputs.oci import credentials as logins
from hermetic.outputs.oci import registry_tokens as tokens
from hermetic.outputs.oci.presence import ACCEPT
from hermetic.outputs.oci.reference import registry_address
from hermetic.store.http import Client, NotFoundError, Patience, Policy, Response, Transient, follow, origin

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.outputs.oci.reference import Reference

T = TypeVar("T")

LARGEST_MANIFEST = 4 << 20
"""Bytes of a manifest that registries must take (distribution-spec, "Pushing Manifests"), and that we take."""
_REDIRECTS = {301, 302, 303, 307, 308}
_SAME_METHOD = {307, 308}
_TOLD = 200
_ERROR = 1 << 14

Body = Callable[[], Iterable[bytes]]
"""Gives a request's body from its start, as often as the request is tried."""


@dataclass(frozen=True)
class Found:
    """What a registry says of a manifest or blob: its digest (maybe empty), size in bytes (maybe -1), media type."""

    digest: str
    size: int
    media_type: str


class Registry(Client):
    """Connections to one registry, and what it has asked for so far; threads may share it.

    ``kept`` is what errors say of work that was done already.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        *,
        login: logins.Login | None = None,
        policy: Policy | None = None,
        kept: str = "what was downloaded is kept",
    ) -> None:
        super().__init__(policy, connections=8)
        self.name = name
        self.address = registry_address(config, name)
        self._login = login
        self._kept = kept
        self._entering = threading.Lock()
        self._challenge: tokens.Challenge | None = None
        self._credentials: logins.Credentials | None = None
        self._tokens: dict[tuple[str, ...], tokens.Token] = {}
        self._wanted: set[str] = set()

    def url(self, repository: str, *parts: str) -> str:
        """Give the address of something in a repository (``"manifests", "1.0"``)."""
        return "/".join((f"{self.address.url}/v2", self.address.repository(repository), *parts))

    def scope(self, repository: str, *, push: bool = False) -> str:
        """Give what a token must allow."""
        return f"repository:{self.address.repository(repository)}:{'pull,push' if push else 'pull'}"

    def persist(self, what: str, act: Callable[[], T], stop: threading.Event | None = None) -> T:
        """Do something again until it works or patience ends. Raises NetworkError then."""
        patience = self.patience(what, stop)
        while True:
            try:
                return act()
            except Transient as failure:
                patience.failed(failure)

    def patience(self, what: str, stop: threading.Event | None = None) -> Patience:
        """Give the patience for an undertaking."""
        return Patience(self.policy, what, stop, kept=self._kept)

    @contextmanager
    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        scopes: Iterable[str] = (),
        body: Body | None = None,
    ) -> Iterator[Response]:
        """Ask once, entering as the registry wants it, and following redirects; any other status is the caller's.

        Raises Transient for what may go better, CredentialsError, NetworkError.
        """
        hops, tried = 0, 0
        asked = tuple(scopes)
        while True:
            own = origin(url) == origin(self.address.url)
            entry = self._entry(asked) if own else {}
            pieces = iter(body()) if body else None
            with self.exchange(method, url, {**(headers or {}), **entry}, pieces) as response:
                location = response.headers.get("Location", "")
                goes_on = method in {"GET", "HEAD"} or response.status in _SAME_METHOD
                if response.status in _REDIRECTS and location and goes_on:
                    hops += 1
                    url = self._follow(url, location, hops)
                    continue
                if response.status == 401 and own and tried < 2 and self._learn(response, asked, entry):
                    tried += 1
                    continue
                if response.status in {401, 403, 407} and not (method == "HEAD" and hops and not own):
                    raise self._refused(response)
                if later := response.busy():
                    raise Transient(later.reason + said(response), later.wait)
                yield response
                return

    @contextmanager
    def attempt(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Iterator[Response]:
        """Ask once for a file, as ``fetch`` does. Raises NotFoundError too."""
        with self.ask(method, url, headers, scopes=self._scopes_of(url)) as response:
            if response.status not in {200, 206, 416}:
                raise self.unexpected(response)
            yield response

    def head(self, url: str, *, accept: str = "*/*", scopes: Iterable[str] = ()) -> Found | None:
        """Ask whether something is there; only 404 means that it is not."""
        with self.ask("HEAD", url, {"Accept": accept, "Accept-Encoding": "identity"}, scopes=scopes) as response:
            if response.status == 404:
                return None
            if response.status in {401, 403, 405} and origin(response.url) != origin(self.address.url):
                return Found("", -1, "")  # sent on to a place that answers only GET: then it is there
            if response.status != 200:
                raise self.unexpected(response)
            size = response.length()
            return Found(
                response.headers.get("Docker-Content-Digest", ""),
                -1 if size is None else size,
                response.headers.get("Content-Type", "").partition(";")[0].strip(),
            )

    def document(
        self, url: str, what: str, *, accept: str = "*/*", scopes: Iterable[str] = (), most: int = LARGEST_MANIFEST
    ) -> tuple[bytes, str]:
        """Get something small, with retries: its bytes and media type. Raises IntegrityError if it is too large."""
        asked = tuple(scopes)

        def once() -> tuple[bytes, str]:
            with self.ask("GET", url, {"Accept": accept, "Accept-Encoding": "identity"}, scopes=asked) as response:
                if response.status != 200:
                    raise self.unexpected(response, what)
                data = bytearray()
                for piece in response.pieces():
                    data += piece
                    if len(data) > most:
                        raise IntegrityError(
                            f"{what}: it is larger than {most >> 20} MiB", remedy="that is no image: tell its keeper"
                        )
                return bytes(data), response.headers.get("Content-Type", "").partition(";")[0].strip()

        return self.persist(what, once)

    def find_manifest(self, reference: Reference, *, push: bool = False) -> Found | None:
        """Ask for a reference's manifest; the digest is always given, computed where the registry does not say it."""
        url = self.url(reference.repository, "manifests", reference.target)
        scopes = (self.scope(reference.repository, push=push),)
        found = self.persist(str(reference), lambda: self.head(url, accept=ACCEPT, scopes=scopes))
        if found is None or found.digest.startswith("sha256:"):
            return found
        data, media_type = self.document(url, str(reference), accept=ACCEPT, scopes=scopes)
        return Found(f"sha256:{sha256_bytes(data)}", len(data), media_type)

    def unexpected(self, response: Response, what: str = "") -> NetworkError:
        """Give the error for a status that nobody asked for."""
        where = what or secrets.redact(response.url)
        if response.status in {404, 410}:
            return NotFoundError(
                f"{where}: not found ({response.status}){said(response)}",
                remedy="check the name and the tag; some registries answer so, too, where credentials are missing",
            )
        told = said(response)
        if response.status == 400 and response.url.startswith("http:") and (not told or "HTTPS" in told):
            remedy = f'if it speaks https, write "{self.name}" = "https://{self.address.host}" in [registries]'
            return NetworkError(f"{where}: the registry answers 400 to plain http{told}", remedy=remedy)
        return NetworkError(
            f"{where}: the registry answers {response.status}{told}", remedy="check the address, or ask its keeper"
        )

    def _follow(self, url: str, location: str, hops: int) -> str:
        target = follow(url, location, hops)
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
            raise NetworkError(
                f"{secrets.redact(url)} redirects to plain http, which is not followed", remedy="tell its keeper"
            )
        return target

    def _scopes_of(self, url: str) -> tuple[str, ...]:
        repository = url.removeprefix(f"{self.address.url}/v2/").rpartition("/blobs/")[0]
        return (f"repository:{repository}:pull",) if repository else ()

    def _entry(self, scopes: tuple[str, ...]) -> dict[str, str]:
        """Give the header that lets in, as far as the registry has said what it wants."""
        with self._entering:
            if self._challenge is None:
                return {}
            known = self._credentials
            if self._challenge.scheme == "basic" or (known and known.is_token):
                return dict(known.headers) if known else {}
            wanted = tokens.merge_scopes((*scopes, *self._wanted))
            token = self._tokens.get(wanted)
            if token is None or not token.fresh:
                try:
                    token = tokens.get_token(self, self._challenge, wanted, known, self.address.url)
                except CredentialsError as error:
                    raise CredentialsError(error.message, remedy=logins.advice(self.address)) from None
                self._tokens[wanted] = token
            return {"Authorization": f"Bearer {token.text}"}

    def _learn(self, response: Response, scopes: tuple[str, ...], sent: Mapping[str, str]) -> bool:
        """Read what the registry wants; tell whether asking again may help."""
        challenge = tokens.choose(tokens.challenges(response.headers.get("WWW-Authenticate", "")))
        if challenge is None:
            return False
        with self._entering:
            if self._challenge is None:
                self._credentials = logins.find_credentials(self.address, self._login)
            self._challenge = challenge
            if not sent:
                return challenge.scheme == "bearer" or self._credentials is not None
            if challenge.scheme != "bearer":
                return False
            before = tokens.merge_scopes((*scopes, *self._wanted))
            self._wanted.update(challenge.parameters.get("scope", "").split())
            if tokens.merge_scopes((*scopes, *self._wanted)) != before:
                return True
            token = self._tokens.get(before)  # maybe it ended early, or was taken back
            if token is None or sent.get("Authorization") != f"Bearer {token.text}":
                return token is not None
            del self._tokens[before]
            return challenge.parameters.get("error") != "insufficient_scope"

    def _refused(self, response: Response) -> CredentialsError:
        source = self._credentials.source if self._credentials else ""
        where = secrets.redact(response.url)
        who = "the proxy" if response.status == 407 else "the registry"
        if source:
            verb = f"refuses the credentials from {source}"
        else:
            verb = "asks for credentials" if response.status == 401 else "refuses"
        return CredentialsError(
            f"{where}: {who} {verb} ({response.status}){said(response)}", remedy=logins.advice(self.address)
        )


def said(response: Response) -> str:
    """Give what a registry says of an error, for a person: `` (CODE: message)``, or nothing."""
    data = bytearray()
    try:
        for piece in response.pieces():
            data += piece
            if len(data) > _ERROR:
                break
    except (Transient, NetworkError):
        return ""
    try:
        errors = json.loads(data)["errors"]
        told = "; ".join(f"{e['code']}: {e['message']}" if e.get("message") else str(e["code"]) for e in errors[:3])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        text = data.decode(errors="replace").strip()
        told = text.splitlines()[0] if text and not text.startswith(("<", "{")) else ""
    told = "".join(c if c.isprintable() else " " for c in secrets.redact(told))[:_TOLD].strip()
    return f" ({told})" if told else ""


def absolute(url: str, location: str) -> str:
    """Give the address that a ``Location`` means, which may be relative."""
    return urljoin(url, location)
