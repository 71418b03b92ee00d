"""How the clouds' own clients are to behave: as patient, and trusting as much, as hermetic is with every server."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hermetic.config import patience

_CONNECT = 10.0
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@dataclass(frozen=True)
class Manners:
    """Seconds to wait for a connection and for an answer, tries after the first, and the file of authorities.

    ``certificates`` is empty where the client's own ones will do.
    """

    connect: float
    timeout: float
    retries: int
    certificates: str


def manners() -> Manners:
    """Read them from the environment (store/http.py names the variables). Raises UsageError for unsound ones."""
    asked = patience()
    named = next((path for name in _CERTIFICATES if (path := os.environ.get(name))), "")
    return Manners(min(_CONNECT, asked.timeout), asked.timeout, asked.retries, named)
