"""Private wheels at the moment of use: their stable URL becomes a signed address that reads one file for a while.

Where a workspace is belongs to the machine's configuration (``config.workspace_named``), as with channels, so a lock
stays good when a team moves to another store.
"""

from __future__ import annotations

from hermetic.config import Config, workspace_named
from hermetic.spec.private_urls import PrivateUrl, is_private, parse_private
from hermetic.store.objects.model import check_expiry
from hermetic.store.objects.opening import open_objects

__all__ = ["EXPIRES", "PrivateUrl", "is_private", "parse_private", "sign_private"]

EXPIRES = 900
"""Seconds that a signed address holds unless told otherwise."""


def sign_private(config: Config, url: str, *, expires: int = EXPIRES) -> str:
    """Give an address that reads a private wheel for some seconds, and nothing else.

    Raises SpecError for a malformed URL, UsageError for a workspace that nothing here names, and what opening its
    artefacts raises.
    """
    private = parse_private(url)
    check_expiry(expires)
    return open_objects(workspace_named(config, private.workspace)).signed_url(private.key, expires=expires)
