"""Which key vault is asked for the secrets that an Environment refers to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hermetic import vault_hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from hermetic.workspace_config import WorkspaceAddress


def use_vault_of(address: WorkspaceAddress | None) -> None:
    """Have a workspace's vault asked from now on; with None whichever is, at first that of the working folder."""
    if address is not None or vault_hook.lookup is None:
        vault_hook.lookup = lookup_in(address)


def lookup_in(address: WorkspaceAddress | None) -> Callable[[str], str | None]:
    """Give what looks secrets up in a workspace's vault, or in that of the folder that is the working one then."""
    return _in_the_working_folder if address is None else partial(_in, address)


def _in_the_working_folder(name: str) -> str | None:
    from hermetic.workspace.keyvault import look_up

    return look_up(name)


def _in(address: WorkspaceAddress, name: str) -> str | None:
    from hermetic.workspace.keyvault.keyvault import Keyvault

    return Keyvault(address).find(name)
