"""Secrets in one encrypted file, for machines without a keyring: names and values sealed together with AES-256-GCM.

::

    {"format": "hermetic-keyvault/1", "key": {"from": "file", "salt": "..."}, "check": "...", "nonce": "...",
     "sealed": "..."}

What stands beside ``sealed`` is sealed with it, so any change of the file is noticed. It is replaced in one step, under
a lock of all writers; a reader needs none.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermetic.errors import CredentialsError, IntegrityError, MachineError, Place, UsageError
from hermetic.workspace.keyvault.keys import COST, COSTS, PASSPHRASE, SALT, Key, file_key, key_path, passphrase_key

FORMAT = "hermetic-keyvault/1"
_LARGEST = 64 << 20  # bytes of the file
_ROOM = 1024  # what is sealed is filled up to a multiple of this: its length tells little


@dataclass(frozen=True)
class FileVault:
    """A vault in the file at ``path``, which need not be there: then it has no secrets.

    ``environ`` tells where its key is (None: the process's).
    """

    path: Path
    environ: Mapping[str, str] | None = field(default=None, repr=False)

    def get(self, name: str) -> str | None:
        """Give a secret's value, None if there is none. Raises CredentialsError, IntegrityError, MachineError."""
        return self._open()[0].get(name)

    def names(self) -> tuple[str, ...]:
        """Give the secrets' names, sorted. Raises as ``get``."""
        return tuple(sorted(self._open()[0]))

    def set(self, values: Mapping[str, str]) -> None:
        """Keep secrets, all or none. Raises as ``get``."""
        with self._writing():
            found, header = self._open()
            self._write({**found, **{name: str(value) for name, value in values.items()}}, header)

    def delete(self, names: tuple[str, ...]) -> None:
        """Forget secrets. Raises as ``get``."""
        with self._writing():
            found, header = self._open()
            if found.keys() & set(names):
                self._write({name: value for name, value in found.items() if name not in names}, header)

    def _open(self) -> tuple[dict[str, str], Mapping[str, Any]]:
        """Give the secrets and the header's part that tells of the key; both empty where there is no file."""
        document = read_document(self.path)
        if document is None:
            return {}, {}
        try:
            sealed, nonce = b64decode(document["sealed"], validate=True), b64decode(document["nonce"], validate=True)
            header = {name: value for name, value in document.items() if name != "sealed"}
            key = self._key(document["key"])
            known = key.check == document["check"]
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CredentialsError):
                raise
            raise self._damaged() from None
        if not known:
            by_passphrase = document["key"]["from"] == "passphrase"
            raise CredentialsError(
                "the passphrase does not open the vault" if by_passphrase else "the vault was made with another key",
                place=self._place,
                remedy=f"set {PASSPHRASE} to the one that it was made with"
                if by_passphrase
                else f"bring that key to {key_path(self._environ)}, or remove the vault and set its secrets again",
            )
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            found = json.loads(AESGCM(key.seal).decrypt(nonce, sealed, _canonical(header)))
        except (InvalidTag, ValueError):
            raise self._damaged() from None
        return found, document["key"]

    def _key(self, header: Mapping[str, Any], *, make: bool = False) -> Key:
        salt = b64decode(header["salt"], validate=True)
        if len(salt) != SALT:
            raise ValueError("salt")
        if header["from"] == "file":
            return file_key(salt, self._environ, self._place, make=make)
        if header["from"] == "passphrase" and header["cost"] in COSTS:
            return passphrase_key(salt, header["cost"], self._environ, self._place)
        raise ValueError("key")

    def _write(self, values: Mapping[str, str], header: Mapping[str, Any]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        from hermetic.files import writing_whole

        if not header:
            by = {"from": "passphrase", "cost": COST} if self._environ.get(PASSPHRASE) else {"from": "file"}
            header = {**by, "salt": _text(os.urandom(SALT))}
        key = self._key(header, make=True)
        nonce = os.urandom(12)
        document = {"format": FORMAT, "key": dict(header), "check": key.check, "nonce": _text(nonce)}
        content = json.dumps(dict(values), sort_keys=True).encode()
        content += b" " * (-len(content) % _ROOM)
        if len(content) * 2 > _LARGEST:
            raise UsageError("the vault is full", place=self._place, remedy="delete secrets that nothing needs")
        document["sealed"] = _text(AESGCM(key.seal).encrypt(nonce, content, _canonical(document)))
        with _told(self.path), writing_whole(self.path, mode=0o600) as file:
            file.write((json.dumps(document, indent=2) + "\n").encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        from hermetic.store.flock import lock_file

        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = lock_file(self.path.with_name(f"{self.path.name}.lock"), time.sleep)
        try:
            yield
        finally:
            os.close(handle)

    @property
    def _environ(self) -> Mapping[str, str]:
        return os.environ if self.environ is None else self.environ

    @property
    def _place(self) -> Place:
        return Place(str(self.path))

    def _damaged(self) -> IntegrityError:
        return damaged(self.path)


def read_document(path: Path) -> dict[str, Any] | None:
    """Read the JSON of a vault's file, None if there is none. Raises IntegrityError, UsageError, MachineError."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MachineError(
            f"cannot read the vault: {error.strerror}", place=Place(str(path)), remedy="check its permissions"
        ) from None
    try:
        document = json.loads(data)
        name = str(document["format"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged(path) from None
    if name != FORMAT and name.startswith("hermetic-keyvault/"):
        raise UsageError("a newer hermetic wrote the vault", place=Place(str(path)), remedy="update hermetic")
    if name != FORMAT or len(data) > _LARGEST:
        raise damaged(path)
    return dict(document)


def damaged(path: Path) -> IntegrityError:
    """Give the error of a vault that is not as it was written."""
    return IntegrityError(
        "the vault was damaged or changed by another hand",
        place=Place(str(path)),
        remedy="bring it back from a backup, or remove it and set its secrets again",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except MachineError:
        raise
    except OSError as error:
        raise MachineError(
            f"cannot write the vault: {error.strerror}",
            place=Place(str(path)),
            remedy="make room, or check the permissions",
        ) from None


def _canonical(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _text(data: bytes) -> str:
    return b64encode(data).decode()
