"""Asking servers: the one place for retries, time limits, redirects, proxies, certificates and sent credentials.

From the environment, as the field's clients read it: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``
(either case); ``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``PIP_CERT`` and ``SSL_CERT_DIR``.
Ours: ``HERMETIC_HTTP_TIMEOUT`` (seconds without a byte, default 30) and ``HERMETIC_HTTP_RETRIES`` (default 3).
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from hermetic import secrets
from hermetic.errors import CredentialsError, MachineError, NetworkError
from hermetic.secrets import redact
from hermetic.store.patience import Patience, Policy, Refused, Stopped, Transient

if TYPE_CHECKING:
    import urllib3

__all__ = [
    "Client", "NotFoundError", "Patience", "Policy", "Refused", "Response", "Stopped", "Transient", "follow", "origin",
    "tls_context",
]  # fmt: skip

_PIECE = 1 << 18
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}
_MOST_REDIRECTS = 10
_SIGNATURE_REFUSED = {400, 401, 403}
"""What S3 and Azure (403), Google (400 once expired) and others answer to a signature that they do not take."""
_QUERY = re.compile(r"\?[^\s'\"]+")
_CONNECT = 10.0
_SLOWEST = 1024
"""Bytes that must come within one time limit; a server that drips slower counts as hanging."""
_LITTLE = 1 << 16
_LARGEST = 512 << 20
"""Bytes of an answer that is read into memory at once."""


class NotFoundError(NetworkError):
    """The server has no such file (404, 410)."""


class Response:
    """A server's answer whose body has not been read yet."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str, timeout: float) -> None:
        self._raw = raw
        self._timeout = timeout
        self.url = url
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers

    def pieces(self) -> Iterator[bytes]:
        """Give the body as it comes. Raises Transient if it stops before its announced end, or nearly stops."""
        since, arrived = time.monotonic(), 0
        with _transport_failures(self.url):
            while piece := self._raw.read1(_PIECE, decode_content=False):
                yield piece
                arrived += len(piece)
                if arrived >= _SLOWEST:
                    since, arrived = time.monotonic(), 0
                elif time.monotonic() - since > self._timeout:
                    raise Transient(f"only {arrived} bytes came in {self._timeout:g} seconds")

    def starts_at(self, offset: int) -> bool:
        """Tell whether a part of a file (206) starts where it was asked to."""
        return self.headers.get("Content-Range", "").replace(" ", "").startswith(f"bytes{offset}-")

    def busy(self) -> Transient | None:
        """Give what is wrong if the server says that it may go better later."""
        return _busy(self.status, self.headers)

    def length(self) -> int | None:
        """Give how many bytes the body has, if the server says so."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else None


class Client:
    """Connections to servers, kept open and shared by threads."""

    def __init__(self, policy: Policy | None = None, *, connections: int = 16) -> None:
        self.policy = policy or Policy.from_environment()
        self._connections = connections
        self._pools: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._guard = threading.Lock()

    @contextmanager
    def signed_attempt(self, url: str, headers: Mapping[str, str]) -> Iterator[Response]:
        """Ask a signed address once, with no credentials beside its own; redirects are followed likewise.

        Raises Refused if the signature is not taken, else what ``attempt`` raises.
        """
        hops = 0
        while True:
            raw = self._send("GET", url, headers)
            try:
                if raw.status in _REDIRECTS and raw.headers.get("Location"):
                    hops += 1
                    target = follow(url, raw.headers["Location"], hops)
                    if (urlsplit(url).scheme, urlsplit(target).scheme) == ("https", "http"):
                        raise NetworkError(
                            f"{redact(url)} redirects to where everybody could read the signature",
                            remedy="check the address of the workspace's artefacts",
                        )
                    url = target
                    continue
                if raw.status in _SIGNATURE_REFUSED:
                    raise Refused(f"the signature is not taken ({raw.status})")
                _refuse(raw.status, raw.headers, secrets.Access(url))
                yield Response(raw, url, self.policy.timeout)
                return
            finally:
                _let_go(raw)

    @contextmanager
    def attempt(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Iterator[Response]:
        """Ask once, and follow redirects; credentials go to each host for which there are some, never further.

        Raises Transient for what may go better, NotFoundError, CredentialsError or NetworkError for what will not.
        """
        asked = False
        hops = 0
        first = secrets.access(url)
        while True:
            access = secrets.access(url, asked=asked)
            if not access.headers and first.source == secrets.URL and origin(access.url) == origin(first.url):
                access = secrets.Access(access.url, first.headers, first.source)
            raw = self._send(method, access.url, {**(headers or {}), **access.headers})
            try:
                if raw.status in _REDIRECTS and raw.headers.get("Location"):
                    hops += 1
                    url = follow(access.url, raw.headers["Location"], hops)
                    asked = False
                    continue
                if raw.status == 401 and not asked:
                    asked = True
                    if secrets.access(url, asked=True).headers not in ({}, access.headers):
                        continue
                _refuse(raw.status, raw.headers, access)
                yield Response(raw, access.url, self.policy.timeout)
                return
            finally:
                _let_go(raw)

    @contextmanager
    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> Iterator[Response]:
        """Ask once, just so: no redirect is followed, no credential added, no status judged.

        A ``body`` that comes piece by piece needs its ``Content-Length``. Raises Transient, or NetworkError.
        """
        raw = self._send(method, url, headers, body)
        try:
            yield Response(raw, url, self.policy.timeout)
        finally:
            _let_go(raw)

    def get_bytes(self, url: str, *, accept: str = "*/*") -> tuple[bytes, str, str]:
        """Get a small document: its bytes, its media type, and the address that it finally came from."""
        patience = Patience(self.policy, redact(url))
        while True:
            try:
                with self.attempt(url, {"Accept": accept, "Accept-Encoding": "identity"}) as response:
                    data = bytearray()
                    for piece in response.pieces():
                        data += piece
                        if len(data) > _LARGEST:
                            raise NetworkError(f"{redact(url)}: the answer is larger than {_LARGEST >> 20} MiB")
                    return bytes(data), response.headers.get("Content-Type", ""), response.url
            except Transient as failure:
                patience.failed(failure)

    def get_json(self, url: str, *, accept: str = "application/json") -> Any:
        """Get a JSON document. Raises NetworkError if the answer is none."""
        import json

        data, _, _ = self.get_bytes(url, accept=accept)
        try:
            return json.loads(data)
        except ValueError:
            raise NetworkError(f"{redact(url)}: the answer is not JSON", remedy="check the address") from None

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        with _transport_failures(url):
            return self._pool(url).request(
                method,
                url,
                body=body,
                headers={"User-Agent": "hermetic", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT, self.policy.timeout), read=self.policy.timeout),
            )

    def _pool(self, url: str) -> urllib3.PoolManager:
        from urllib.request import getproxies, proxy_bypass

        _keep_queries_out_of_logs()
        parts = urlsplit(url)
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
        if proxy and proxy_bypass(parts.netloc.rpartition("@")[2]):
            proxy = ""
        secure = "https" in {parts.scheme, urlsplit(proxy).scheme}
        with self._guard:
            if (proxy, secure) not in self._pools:
                self._pools[proxy, secure] = _make_pool(proxy, self._connections, tls_context() if secure else None)
            return self._pools[proxy, secure]


@cache
def _keep_queries_out_of_logs() -> None:
    """Let urllib3 log no query strings: signatures stand in them, and programs may log at the level of debugging."""
    import logging

    def clean(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_QUERY.sub("?***", item) if isinstance(item, str) else item for item in record.args)
        return True

    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(clean)


def _make_pool(proxy: str, connections: int, context: Any) -> urllib3.PoolManager:
    import urllib3

    if not proxy:
        return urllib3.PoolManager(maxsize=connections, ssl_context=context)
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy.startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise MachineError(
                "the proxy of this machine is a SOCKS one, which needs PySocks", remedy="pip install PySocks"
            ) from None
        return SOCKSProxyManager(proxy, maxsize=connections, ssl_context=context)
    access = secrets.access(proxy)
    sent = {"Proxy-Authorization": access.headers["Authorization"]} if access.source == secrets.URL else None
    return urllib3.ProxyManager(access.url, maxsize=connections, ssl_context=context, proxy_headers=sent)


def tls_context() -> Any:
    """Give what checks servers' certificates, as this machine has it. Raises MachineError for a file that is none."""
    import ssl

    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if not path:
            continue
        try:
            folder = os.path.isdir(path)  # noqa: PTH112
            return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
        except (OSError, ssl.SSLError):
            raise MachineError(
                f"{name} names no readable file of certificates: {path}", remedy=f"mend or unset {name}"
            ) from None
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not os.path.isdir(ssl.get_default_verify_paths().capath or ""):  # noqa: PTH112
        try:
            import certifi  # a Python without the system's certificates: many on macOS
        except ImportError:
            return context
        context.load_verify_locations(certifi.where())
    return context


def origin(url: str) -> tuple[str, str]:
    """Give a URL's scheme and host with port: what credentials belong to."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def follow(url: str, location: str, hops: int) -> str:
    """Give the address that a redirect leads to. Raises NetworkError for one too many, or to no web address."""
    if hops > _MOST_REDIRECTS:
        raise NetworkError(f"{redact(url)}: more than {_MOST_REDIRECTS} redirects", remedy="check the address")
    target = urljoin(url, location)
    scheme = urlsplit(target).scheme
    if scheme not in {"http", "https"}:
        raise NetworkError(
            f"{redact(url)} redirects to a {scheme} address, which is not followed", remedy="check the address"
        )
    return target


def _refuse(status: int, headers: Mapping[str, str], access: secrets.Access) -> None:
    """Raise what the status means, unless the body is what was asked for."""
    if status in {200, 206, 416}:
        return
    where = redact(access.url)
    if status in {404, 410}:
        raise NotFoundError(f"{where}: not found ({status})", remedy="check the address of the channel or index")
    if status in {401, 403, 407}:
        given = f" the credentials from {access.source}" if access.source else ""
        verb = "refused" if given or status == 403 else "asks for credentials"
        who = "the proxy" if status == 407 else "the server"
        raise CredentialsError(f"{where}: {who} {verb}{given} ({status})", remedy=secrets.advice(access.url))
    if later := _busy(status, headers):
        raise later
    raise NetworkError(f"{where}: the server answers {status}", remedy="check the address")


def _busy(status: int, headers: Mapping[str, str]) -> Transient | None:
    if status not in _LATER:
        return None
    return Transient(f"the server answers {status}", _retry_after(headers.get("Retry-After", "")))


def _retry_after(text: str) -> float | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def _transport_failures(url: str) -> Iterator[None]:
    """Turn what the transport raises into Transient, or NetworkError where another try cannot help."""
    import ssl
    from http.client import HTTPException

    import urllib3
    from urllib3 import exceptions as failures

    where = redact(url)
    try:
        yield
    except ValueError:  # LocationValueError, URLSchemeUnknown, what urlsplit and IDNA raise
        raise NetworkError(f"{where} is no address that can be asked", remedy="check the address") from None
    except (urllib3.exceptions.SSLError, ssl.SSLError) as error:
        reason = getattr(error.args[0] if error.args else None, "verify_message", "") or str(error)
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "certificate" in str(error).lower():
            raise NetworkError(
                f"{where}: the server's certificate is not trusted: {redact(reason)}",
                remedy="if your organisation has its own authority, set SSL_CERT_FILE to its certificates",
            ) from None
        raise Transient(f"the secure connection failed ({redact(reason)})") from error
    except failures.NameResolutionError as error:
        raise Transient("the host's name cannot be resolved") from error
    except failures.NewConnectionError as error:  # a kind of time-out, says urllib3
        raise Transient(f"no connection ({_cause(error)})") from error
    except (failures.ConnectTimeoutError, failures.ReadTimeoutError, TimeoutError) as error:
        raise Transient("the server did not answer in time") from error
    except failures.ProxyError as error:
        raise Transient(f"the proxy failed ({redact(str(error.original_error))})") from error
    except (failures.HTTPError, HTTPException, ConnectionError, OSError) as error:
        if isinstance(error, (NetworkError, MachineError)):
            raise
        short = error if isinstance(error, failures.IncompleteRead) else error.__cause__ or error.__context__
        if isinstance(short, failures.IncompleteRead):
            raise Transient(f"the connection was dropped {short.expected} bytes before the end") from error
        raise Transient(f"the connection failed ({_cause(error)})") from error


def _cause(error: BaseException) -> str:
    """Give the innermost reason of a chain of exceptions, which is the one that says something."""
    while (inner := error.__cause__ or (error.__context__ if not error.__suppress_context__ else None)) is not None:
        error = inner
    return redact(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _let_go(raw: urllib3.BaseHTTPResponse) -> None:
    """Give a connection back if little of its answer is unread, else close it."""
    try:
        if raw.length_remaining is not None and raw.length_remaining <= _LITTLE:
            raw.drain_conn()
    except Exception:  # noqa: BLE001, S110  an answer that nobody wants
        pass
    raw.close()
    raw.release_conn()
