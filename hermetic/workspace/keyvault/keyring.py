"""Secrets in the system keyring: one entry for each, and one that lists their names, which keyrings do not tell.

Keyrings are the ``keyring`` package's business: the Keychain of macOS, the Credential Locker of Windows, the Secret
Service and KWallet of Linux, and whatever plug-in the user has chosen.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermetic.errors import MachineError, Place

INDEX = ":names"
"""The entry that lists names; no secret's name has a colon."""
RECOMMENDED = 1.0
"""The least priority of a keyring that the ``keyring`` package itself would choose for safe keeping."""


@dataclass(frozen=True)
class KeyringVault:
    """A vault in the keyring: the entries of one service. ``lock`` is a file that writers of one machine lock."""

    service: str
    lock: Path

    def get(self, name: str) -> str | None:
        """Give a secret's value, None if there is none. Raises MachineError."""
        value = self._ask("get_password", name)
        return None if value is None else str(value)

    def names(self) -> tuple[str, ...]:
        """Give the secrets' names, sorted. Raises MachineError."""
        text = self.get(INDEX)
        found = None
        with suppress(ValueError):
            found = json.loads(text or "[]")
        return tuple(sorted(name for name in found if isinstance(name, str))) if isinstance(found, list) else ()

    def set(self, values: Mapping[str, str]) -> None:
        """Keep secrets. Raises MachineError; those before the one that was refused are kept then."""
        with self._writing():
            known = set(self.names())
            try:
                for name, value in values.items():
                    self._ask("set_password", name, str(value))
                    known.add(name)
            finally:
                self._list(known)

    def delete(self, names: tuple[str, ...]) -> None:
        """Forget secrets. Raises MachineError."""
        with self._writing():
            known = set(self.names())
            for name in names:
                if self.get(name) is not None:
                    self._ask("delete_password", name)
            self._list(known - set(names))

    def _list(self, names: Collection[str]) -> None:
        wanted = tuple(sorted(names))
        if wanted != self.names():
            self._ask("set_password", INDEX, json.dumps(wanted))

    def _ask(self, method: str, *values: str) -> Any:
        backend = find_keyring(0.0)
        if backend is None:
            raise MachineError(
                "the secrets are in the system keyring, and there is none here",
                remedy="install 'hermetic[keyring]' and unlock the keyring, give secrets by HERMETIC_SECRET_<NAME>, "
                'or write keyvault = "file" into [workspace] and set them again',
            )
        try:
            return getattr(backend, method)(self.service, *values)
        except Exception as error:  # noqa: BLE001  backends raise whatever they like, perhaps with the value in it
            raise MachineError(
                f"the system keyring refuses ({type(error).__name__})",
                remedy='unlock it, or write keyvault = "file" into [workspace]',
            ) from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        from hermetic.store.flock import lock_file

        try:
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            handle = lock_file(self.lock, time.sleep)
        except OSError as error:
            raise MachineError(
                f"cannot lock the vault: {error.strerror}", place=Place(str(self.lock)), remedy="check the permissions"
            ) from None
        try:
            yield
        finally:
            os.close(handle)


def find_keyring(least: float = RECOMMENDED) -> Any:
    """Give the machine's keyring if it has one of at least a priority, else None."""
    try:
        import keyring

        found = keyring.get_keyring()
        priority = float(found.priority)
    except Exception:  # noqa: BLE001  not installed, or none that works
        return None
    return found if priority > 0 and priority >= least else None
