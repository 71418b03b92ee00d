"""Where the file server listens: its socket, its certificate, and how many files it may hold open."""

from __future__ import annotations

import contextlib
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path

from hermetic.errors import MachineError, Place, UsageError

BACKLOG = 512
"""Connections that may wait to be taken."""


def tls_context(certificate: Path, private_key: Path | None) -> ssl.SSLContext:
    """Give what speaks TLS 1.2 or newer with a certificate. Raises UsageError for files that do not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    for path in (certificate, private_key):
        if path and not path.is_file():
            raise UsageError("there is no such file", place=Place(str(path)), remedy="give a PEM file")

    def password() -> str:
        raise UsageError(
            "the private key is encrypted",
            place=Place(str(private_key or certificate)),
            remedy="give one without a password, in a file that only the server's user reads",
        )

    try:
        context.load_cert_chain(certificate, private_key, password)
    except OSError as error:  # an SSLError is one
        raise UsageError(
            f"no certificate with its private key: {getattr(error, 'reason', None) or error.strerror}",
            place=Place(str(certificate)),
            remedy="give PEM files that belong together: --certificate with the whole chain, and --key",
        ) from None
    return context


def listen(host: str, port: int) -> socket.socket:
    """Give a socket that listens; port 0 is any that is free. Raises UsageError, MachineError.

    No name server is asked what ``host`` means: it is this machine's own address.
    """
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise UsageError(
            f"{host[:80]!r} is no address to serve at", remedy="give --host 127.0.0.1, 0.0.0.0 for all, or ::"
        ) from None
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # TCP by its name: asyncio sets TCP_NODELAY only then, without which each small file waits for 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise MachineError(
            f"cannot serve at {host}, port {port}: {reason}", remedy="stop what serves there, or give another --port"
        ) from None
    return listener


def address_of(listener: socket.socket, *, secure: bool) -> str:
    """Give the URL of what listens."""
    host, port = listener.getsockname()[:2]
    return f"http{'s' * secure}://{f'[{host}]' if ':' in host else host}:{port}"


def allow_files(count: int) -> None:
    """Let this process hold that many files open, as far as the system allows it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < count:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
