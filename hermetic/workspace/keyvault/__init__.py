"""The workspace's key vault: secrets in the system keyring, or in an encrypted file where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.workspace.keyvault.keyvault import Keyvault


def find_keyvault(start: Path | None = None) -> Keyvault | None:
    """Give the key vault of the workspace that a folder is in (default: the working one); None if it is in none.

    Raises UsageError for a workspace's file that cannot be understood. Nothing is opened yet.
    """
    from hermetic.workspace.keyvault.keyvault import Keyvault
    from hermetic.workspace_config import find_workspace

    address = find_workspace(start)
    return None if address is None else Keyvault(address)


def look_up(name: str, start: Path | None = None) -> str | None:
    """Give a secret's value from the vault of the workspace that a folder is in; None if there is neither."""
    vault = find_keyvault(start)
    return None if vault is None else vault.find(name)
