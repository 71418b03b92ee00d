"""Credentials at the moment of use: an address is clean everywhere, its headers go along with the requests only."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Give an address without its user part, and the headers that grant access to it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return url, {}
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    name, _, password = user.partition(":")
    token = b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {token}"}
