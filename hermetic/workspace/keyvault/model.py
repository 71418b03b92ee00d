"""What every place for secrets can do, and what may be kept in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hermetic.errors import UsageError
from hermetic.secrets import check_secret_name

MAX_BYTES = 25_000
"""Of a secret's value in UTF-8; larger things are files, of which a vault may hold the key."""


class Vault(Protocol):
    """A place for secrets, by name. All methods raise HermeticErrors that hold no value."""

    def get(self, name: str) -> str | None:
        """Give a secret's value, None if there is none of that name."""

    def names(self) -> tuple[str, ...]:
        """Give the secrets' names, sorted."""

    def set(self, values: Mapping[str, str]) -> None:
        """Keep secrets, all of them or none, in place of those of the same names."""

    def delete(self, names: tuple[str, ...]) -> None:
        """Forget secrets; those that are not there are passed over."""


def check_value(name: str, value: object) -> str:
    """Give a secret's value back if it can be kept. Raises UsageError, which does not repeat it."""
    check_secret_name(name)
    if not isinstance(value, str):
        raise UsageError(
            f"the secret {name!r} is a text, not {type(value).__name__}", remedy="give it as a text in quotation marks"
        )
    if not value:
        raise UsageError(f"the secret {name!r} is empty", remedy="give it a value, or delete it")
    if "\0" in value:
        raise UsageError(
            f"the secret {name!r} holds a NUL, which no environment variable can", remedy="encode it, as base64 does"
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UsageError(f"the secret {name!r} is no Unicode text", remedy="encode it, as base64 does") from None
    if size > MAX_BYTES:
        raise UsageError(
            f"the secret {name!r} is larger than {MAX_BYTES:,} bytes",
            remedy="encrypt the file with a key, and keep that key here",
        )
    return value
