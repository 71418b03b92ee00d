"""Private wheels at the moment of use: their stable URL becomes a signed address that reads one file for a while.

Where a workspace is belongs to the machine's configuration (``config.workspace_named``), as with channels, so a lock
stays good when a team moves to another store.
"""

from __future__ import annotations

import os
from functools import lru_cache

from hermetic.config import Config, workspace_named
from hermetic.spec.private_urls import PrivateUrl, is_private, parse_private
from hermetic.store.objects.model import ObjectStore, check_expiry
from hermetic.store.objects.opening import open_objects
from hermetic.workspace_config import WorkspaceAddress

__all__ = ["EXPIRES", "PrivateUrl", "is_private", "parse_private", "sign_private"]

EXPIRES = 900
"""Seconds that a signed address holds unless told otherwise."""
_CLIENTS = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_", "CLOUDSDK_", "HERMETIC_")
"""What the variables begin with that an object store may depend on."""


def sign_private(config: Config, url: str, *, expires: int = EXPIRES) -> str:
    """Give an address that reads a private wheel for some seconds, and nothing else.

    Raises SpecError for a malformed URL, UsageError for a workspace that nothing here names, and what opening its
    artefacts raises.
    """
    private = parse_private(url)
    check_expiry(expires)
    address = workspace_named(config, private.workspace)
    return _opened(address, _environment(address)).signed_url(private.key, expires=expires)


@lru_cache(maxsize=8)
def _opened(address: WorkspaceAddress, environment: tuple[tuple[str, str], ...]) -> ObjectStore:  # noqa: ARG001
    """Open a store once for all wheels of a build: making a client takes longer than many signatures."""
    return open_objects(address)


def _environment(address: WorkspaceAddress) -> tuple[tuple[str, str], ...]:
    named = address.artefacts  # may hold ${VAR}
    return tuple(sorted((n, v) for n, v in os.environ.items() if n.startswith(_CLIENTS) or f"${{{n}}}" in named))
