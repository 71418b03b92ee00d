"""The key of an encrypted vault: from a passphrase by scrypt (RFC 7914), else from a file that only its user reads.

A vault has its own salt, so vaults of one passphrase or one key file have different keys.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hermetic.errors import CredentialsError, MachineError, Place

PASSPHRASE = "HERMETIC_KEYVAULT_PASSPHRASE"  # noqa: S105  the variable's name
KEY_FILE = "HERMETIC_KEYVAULT_KEY_FILE"
COST = 1 << 17
"""scrypt's N, with r = 8 and p = 1: 128 MiB and some tenths of a second for each guess."""
COSTS = tuple(1 << power for power in range(14, 21))
SALT = 16
_MARK = "hermetic-keyvault-key/1 "


@dataclass(frozen=True, repr=False)
class Key:
    """What seals a vault; ``check`` tells, by comparing, whether it is that vault's, and nothing of the key."""

    seal: bytes
    check: str


def passphrase_key(salt: bytes, cost: int, environ: Mapping[str, str], place: Place) -> Key:
    """Give the key that the passphrase in the environment makes. Raises CredentialsError if there is none."""
    passphrase = environ.get(PASSPHRASE, "")
    if not passphrase:
        raise CredentialsError(
            "the vault is locked with a passphrase", place=place, remedy=f"set {PASSPHRASE} and run it again"
        )
    return _stretched(passphrase, salt, cost)


def file_key(salt: bytes, environ: Mapping[str, str], place: Place, *, make: bool = False) -> Key:
    """Give the key that the user's key file makes; it may be made first. Raises CredentialsError if there is none."""
    path = key_path(environ)
    if make:
        _make(path)
    return _derived(_read(path, place), salt)


def key_path(environ: Mapping[str, str]) -> Path:
    """Give the path of the user's key file, whether it exists or not."""
    if named := environ.get(KEY_FILE):
        return Path(named).expanduser()
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "hermetic" / "keyvault.key"


@lru_cache(maxsize=4)
def _stretched(passphrase: str, salt: bytes, cost: int) -> Key:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    stretched = Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode("utf-8", "surrogateescape"))
    return _derived(stretched, salt)


def _derived(secret: bytes, salt: bytes) -> Key:
    """Part a secret into the key that seals and the text that tells which key it is (HKDF, RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derive(what: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, salt, b"hermetic keyvault/1 " + what).derive(secret)

    return Key(derive(b"seal", 32), derive(b"check", 8).hex())


def _read(path: Path, vault: Place) -> bytes:
    place = Place(str(path))
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000).decode("ascii", "replace")
    except FileNotFoundError:
        raise CredentialsError(
            f"the key that opens {vault} is not on this machine",
            place=place,
            remedy=f"bring it from where the secrets were set, or give secrets by HERMETIC_SECRET_<NAME>, or remove "
            f"{vault} and set them again",
        ) from None
    except OSError as error:
        raise MachineError(f"cannot read it: {error.strerror}", place=place, remedy="check its permissions") from None
    if os.name == "posix" and mode & 0o077:
        raise CredentialsError(
            "others may read the key of your secrets",
            place=place,
            remedy=f"run 'chmod 600 {path}'; if they could for long, renew the secrets",
        )
    try:
        key = b64decode(text.removeprefix(_MARK), validate=False)
    except ValueError:
        key = b""
    if not text.startswith(_MARK) or len(key) != 32:
        raise CredentialsError("it is no key of hermetic's", place=place, remedy="bring it again from a copy")
    return key


def _make(path: Path) -> None:
    """Make a key file unless there is one; of two processes that make it, one wins and both use it."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(f"{_MARK}{b64encode(os.urandom(32)).decode()}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass
            except OSError:  # a file system without hard links: the name is taken in one step, if perhaps twice
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(
            f"cannot make the key of your secrets: {error.strerror}",
            place=Place(str(path)),
            remedy=f"check the permissions, or set {PASSPHRASE}, which needs no file",
        ) from None
