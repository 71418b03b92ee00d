from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from support.plain_keyring import PlainKeyring

from hermetic import secrets
from hermetic.workspace.keyvault.keyvault import Keyvault
from hermetic.workspace_config import address_in

VARIABLES = ("HERMETIC_KEYVAULT_PASSPHRASE", "HERMETIC_KEYVAULT_KEY_FILE")
MakeVault = Callable[..., Keyvault]


@pytest.fixture(autouse=True)
def _one_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user's folders, no keyring, and no memory of other tests' secrets."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_named", {})
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def plugged(tmp_path: Path) -> PlainKeyring:
    """The machine's keyring."""
    made = PlainKeyring(tmp_path / "keyring.json")
    keyring.set_keyring(made)
    return made


@pytest.fixture
def make(tmp_path: Path) -> MakeVault:
    """Give the key vault of a workspace in a folder."""

    def make(name: str = "demo", kind: str = "file", folder: str = "workspace") -> Keyvault:
        return Keyvault(address_in(tmp_path / folder, name, {"keyvault": kind} if kind else {}))

    return make


@pytest.fixture(params=["file", "keyring"])
def vault(request: pytest.FixtureRequest, make: MakeVault) -> Keyvault:
    """A key vault of each kind."""
    if request.param == "keyring":
        request.getfixturevalue("plugged")
    return make(kind=request.param)
