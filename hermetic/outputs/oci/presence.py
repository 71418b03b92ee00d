"""Whether an image is there: the question that every build asks first, and often the only one.

It is asked in one breath where nothing stands between: one HEAD over one socket, because the client that can do more
takes longer to load than the answer. Whatever is not a plain yes or no (refusals, redirects, proxies, a registry that
is busy or gone) is left to that client, which asks again with all its patience.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hermetic.errors import OfflineError
from hermetic.outputs.oci.model import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST
from hermetic.outputs.oci.reference import Reference, parse_reference, registry_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hermetic.config import Config
    from hermetic.outputs.oci.credentials import Login

ACCEPT = f"{INDEX}, {MANIFEST}, {DOCKER_INDEX}, {DOCKER_MANIFEST}"
"""What manifests are asked for as. Without it registries convert to what nobody wants any more."""
_ALWAYS = f"User-Agent: hermetic\r\nAccept: {ACCEPT}\r\nConnection: close"
_LARGEST = 1 << 16
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def image_exists(reference: str, *, config: Config, login: Login | None = None) -> str | None:
    """Give the digest that a reference leads to, or None if the registry says that it is not there (404).

    Raises OfflineError, CredentialsError, NetworkError: an answer that is none tells nothing.
    """
    target = parse_reference(reference, config.registries)
    if config.offline:
        raise OfflineError(f"offline, and {target} is in a registry", remedy="run it again without --offline")
    return find_digest(target, config, login) or None


def find_digest(target: Reference, config: Config, login: Login | None = None) -> str:
    """Give the digest that a reference leads to, empty if it is not there. Raises CredentialsError, NetworkError."""
    seen = glance(target, config)
    if seen is not None:
        return seen
    from hermetic.outputs.oci.registry import Registry

    found = Registry(target.registry, config, login=login).find_manifest(target)
    return found.digest if found else ""


def glance(target: Reference, config: Config, environ: Mapping[str, str] | None = None) -> str | None:
    """Ask once, without patience: a digest, empty for what is not there, None for what needs more than a glance."""
    from urllib.parse import urlsplit

    environ = os.environ if environ is None else environ
    if any(environ.get(name) or environ.get(name.upper()) for name in ("http_proxy", "https_proxy", "all_proxy")):
        return None
    address = registry_address(config, target.registry)
    parts = urlsplit(address.url)
    path = f"/v2/{address.repository(target.repository)}/manifests/{target.target}"
    try:
        head = _ask(parts.scheme, parts.hostname or "", parts.port, f"HEAD {path} HTTP/1.1\r\nHost: {parts.netloc}")
    except (OSError, ValueError):
        return None
    status = _STATUS.match(head)
    if not status:
        return None
    if status[1] == b"404":
        return ""
    found = re.search(rb"\r\ndocker-content-digest:[ \t]*([^\r\n]*?)[ \t]*\r\n", head, re.IGNORECASE)
    digest = found[1].decode("ascii", "replace") if found else ""
    return digest if status[1] == b"200" and _DIGEST.match(digest) else None


def _ask(scheme: str, host: str, port: int | None, request: str) -> bytes:
    """Send a request's head and give the answer's."""
    import socket

    from hermetic.config import patience

    timeout = min(patience().timeout, 10.0)
    data = b""
    place = host.encode("ascii")  # as bytes: for a text, the system's names are encoded by tables that take their time
    with socket.create_connection((place, port or (443 if scheme == "https" else 80)), timeout) as plain:  # type: ignore[arg-type]
        plain.settimeout(timeout)
        connection = plain
        if scheme == "https":
            from hermetic.store.http import tls_context

            connection = tls_context().wrap_socket(plain, server_hostname=host)
        with connection:
            connection.sendall(
                f"{request}\r\nUser-Agent: hermetic\r\nAccept: {ACCEPT}\r\nConnection: close\r\n\r\n".encode()
            )
            while b"\r\n\r\n" not in data and len(data) < _LARGEST and (piece := connection.recv(8192)):
                data += piece
    return data if b"\r\n\r\n" in data else b""
