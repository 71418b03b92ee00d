"""Sizes of wheels that the index does not tell: asked for once per file, side by side, and remembered.

A size only plans downloads and progress; the digest is what is trusted. So a server that does not tell is no error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from hermetic.lock.model import Wheel

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from ssl import SSLContext

MEMORY = "wheel-sizes.json"
"""The file, in the cache folder, that keeps the sizes that had to be asked for."""

_AT_ONCE = 8
_REDIRECTS = 5
_TIMEOUT = 15.0


def find_sizes(
    addresses: Mapping[str, str], known: Iterable[tuple[str, int]], memory: Path, *, offline: bool = False
) -> dict[str, int]:
    """Give the sizes, in bytes, of files (sha256 -> URL or path), as far as they can be found.

    ``known`` are sizes that are known already; ``memory`` is the file that keeps those that had to be asked for.
    """
    sizes = {digest: size for digest, size in known if size}
    for digest, address in addresses.items():
        if digest not in sizes and not address.startswith(("http://", "https://")):
            path = unquote(urlsplit(address).path) if "://" in address else address
            with suppress(OSError):
                sizes[digest] = Path(path).stat().st_size
    missing = addresses.keys() - sizes.keys()
    if missing:
        remembered = _read(memory)
        sizes.update((digest, remembered[digest]) for digest in missing if digest in remembered)
        missing -= sizes.keys()
    if missing and not offline:
        asked = _ask({digest: addresses[digest] for digest in missing})
        sizes.update(asked)
        if asked:
            _write(memory, {**_read(memory), **asked})
    return {digest: sizes[digest] for digest in addresses if digest in sizes}


def with_sizes(wheels: Iterable[Wheel], sizes: Mapping[str, int]) -> tuple[Wheel, ...]:
    """Give wheels with the sizes that were found; what an index told stays."""
    return tuple(replace(wheel, size=wheel.size or sizes.get(wheel.sha256, 0)) for wheel in wheels)


def _ask(addresses: Mapping[str, str]) -> dict[str, int]:
    """Ask the servers, over few connections that stay open: a handshake costs more than a question."""
    from concurrent.futures import ThreadPoolExecutor

    todo = list(addresses.items())
    threads = min(_AT_ONCE, len(todo))
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(_ask_in_turn, (todo[start::threads] for start in range(threads)))
        return {digest: size for part in parts for digest, size in part if size}


def _ask_in_turn(todo: Sequence[tuple[str, str]]) -> list[tuple[str, int]]:
    servers = _Servers()
    try:
        return [(digest, servers.size(address)) for digest, address in todo]
    finally:
        servers.close()


class _Servers:
    """One thread's open connections. The standard library's client serves: a question has no body and no secret."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], HTTPConnection] = {}

    def size(self, address: str) -> int:
        """Give the size that a server states, following redirects; 0 where it states none."""
        from http.client import HTTPException

        for _ in range(_REDIRECTS):
            parts = urlsplit(address)
            for _attempt in range(2):  # a server may have closed the connection since the last question
                try:
                    status, length, location = self._head(parts)
                    break
                except (OSError, HTTPException):
                    self._open.pop((parts.scheme, parts.netloc), None)
            else:
                return 0
            if status in {301, 302, 303, 307, 308} and location:
                address = urljoin(address, location)
                continue
            return int(length) if status == 200 and length.isdigit() else 0
        return 0

    def close(self) -> None:
        """Close all connections."""
        for connection in self._open.values():
            connection.close()

    def _head(self, parts: SplitResult) -> tuple[int, str, str]:
        connection = self._open.get((parts.scheme, parts.netloc))
        if connection is None:
            connection = self._open[parts.scheme, parts.netloc] = _connect(parts)
        path = urlunsplit(parts._replace(scheme="", netloc="", fragment="")) or "/"
        connection.request("HEAD", path, headers={"Accept-Encoding": "identity"})
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("Content-Length", ""), response.headers.get("Location", "")


def _connect(parts: SplitResult) -> HTTPConnection:
    """Open a connection, by the proxy that the environment names (HTTPS_PROXY, NO_PROXY), if it names one."""
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.request import getproxies, proxy_bypass

    host, port = parts.hostname or "", parts.port
    proxy = "" if proxy_bypass(host) else getproxies().get(parts.scheme, "")
    via = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
    target = (via.hostname or "", via.port) if via else (host, port)
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(*target, timeout=_TIMEOUT, context=_tls())
    else:
        connection = HTTPConnection(*target, timeout=_TIMEOUT)
    if via:
        connection.set_tunnel(host, port)
    return connection


@cache
def _tls() -> SSLContext:
    import ssl

    return ssl.create_default_context()


def _read(memory: Path) -> dict[str, int]:
    with suppress(OSError, ValueError):
        found = json.loads(memory.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {digest: size for digest, size in found.items() if isinstance(size, int)}
    return {}


def _write(memory: Path, sizes: Mapping[str, int]) -> None:
    temporary = memory.with_name(f".{memory.name}.{os.getpid()}.{token_hex(4)}")
    with suppress(OSError):  # a memory that cannot be kept costs a question next time
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(sizes, sort_keys=True), encoding="utf-8")
        temporary.replace(memory)
