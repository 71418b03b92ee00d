"""What was done with secrets, as text; never their values."""

from __future__ import annotations

from collections.abc import Sequence

_PLACES = {"keyring": "the system keyring", "file": "the workspace's encrypted file"}


def kept_text(name: str, kind: str) -> str:
    """Tell that a secret is kept, and how to refer to it."""
    return f"{name} is kept in {_PLACES[kind]}; refer to it as ${{secret:{name}}}"


def names_text(names: Sequence[str]) -> str:
    """Draw the secrets' names, one a line."""
    return "\n".join(names)


def deleted_text(names: Sequence[str]) -> str:
    """Tell that secrets are gone."""
    return f"deleted {', '.join(names)}"
