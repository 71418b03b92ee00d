"""What every key vault does, whatever keeps its secrets."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import keyring
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyring.backends.fail import Keyring as NoKeyring
from support.plain_keyring import LockedKeyring, PlainKeyring

from hermetic import secrets
from hermetic.errors import MachineError, MissingError, UsageError
from hermetic.workspace.keyvault import find_keyvault, look_up
from hermetic.workspace.keyvault.keyvault import FILE, MARK, Keyvault
from hermetic.workspace.keyvault.model import MAX_BYTES
from hermetic.workspace_config import address_in

from .conftest import MakeVault

VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=300)
NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,40}\Z")


class TestSecrets:
    def test_what_is_kept_is_found(self, vault: Keyvault) -> None:
        vault.set_secret("db-password", "hunter22")
        vault.set_secrets({"Token.1": "a\nb", "t_2": "ü" * 200})
        assert vault.get_secret("db-password") == "hunter22"
        assert vault.get_secrets(["Token.1", "nothere", "t_2"]) == {
            "Token.1": "a\nb",
            "nothere": None,
            "t_2": "ü" * 200,
        }
        assert vault.list_secrets() == vault.list() == [{"name": name} for name in ("Token.1", "db-password", "t_2")]

    def test_a_new_value_takes_the_place_of_the_old(self, vault: Keyvault) -> None:
        for value in ("first-value", "second-value"):
            vault.set_secret("a", value)
        assert vault.get_secret("a") == "second-value"
        assert vault.names() == ("a",)

    def test_what_is_deleted_is_gone(self, vault: Keyvault) -> None:
        vault.set_secrets({"a": "one", "b": "two", "c": "three"})
        vault.delete_secret("a")
        vault.delete("b")
        assert vault.names() == ("c",)
        with pytest.raises(MissingError):
            vault.get_secret("a")

    def test_an_empty_vault_has_nothing_and_makes_nothing(self, vault: Keyvault) -> None:
        assert (vault.names(), vault.list_secrets(), vault.find("a")) == ((), [], None)
        assert not vault.address.folder.exists()

    def test_what_is_missing_is_said_with_what_may_be_meant(self, vault: Keyvault) -> None:
        vault.set_secret("db-password", "hunter22")
        with pytest.raises(MissingError, match="no secret 'db-pasword'") as caught:
            vault.get_secret("db-pasword")
        assert caught.value.remedy == "did you mean 'db-password'?"
        with pytest.raises(MissingError):
            vault.delete_secrets(["db-password", "nothere"])
        assert vault.names() == ("db-password",)

    def test_workspaces_do_not_see_each_others(self, make: MakeVault, plugged: PlainKeyring) -> None:
        for kind in ("file", "keyring"):
            make(kind=kind, folder="one").set_secret("a", f"{kind}-of-one")
            assert make(kind=kind, folder="two").names() == ()
        assert make(kind="keyring", folder="one").get_secret("a") == "keyring-of-one"
        assert make(kind="file", folder="one").get_secret("a") == "file-of-one"

    def test_a_shared_workspaces_keyring_is_the_same_in_every_checkout(
        self, tmp_path: Path, plugged: PlainKeyring
    ) -> None:
        values = {"database": "postgresql://u:${PW}@db.example.org/x", "keyvault": "keyring"}
        one, two = (Keyvault(address_in(tmp_path / name, "team", values)) for name in ("one", "two"))
        one.set_secret("a", "hunter22")
        assert two.get_secret("a") == "hunter22"
        assert "PW" not in two.service


class TestValues:
    @pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "a:b", "ä", "a" * 128, "a\n", "${secret:a}"])
    def test_names_are_checked(self, vault: Keyvault, name: str) -> None:
        for use in (vault.get_secret, vault.delete_secret, lambda name: vault.set_secret(name, "value")):
            with pytest.raises(UsageError, match="no name of a secret"):
                use(name)

    @pytest.mark.parametrize(
        "value", ["", "a\0b", "x" * (MAX_BYTES + 1), "ü" * (MAX_BYTES // 2 + 1), "\ud800", 7, None]
    )
    def test_what_cannot_be_kept_is_refused_and_nothing_is_kept(self, vault: Keyvault, value: object) -> None:
        with pytest.raises(UsageError, match="the secret 'bad'") as caught:
            vault.set_secrets({"good": "value", "bad": value})  # type: ignore[dict-item]
        assert "xxx" not in str(caught.value)
        assert vault.names() == ()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values=st.dictionaries(NAMES, VALUES, max_size=5))
    def test_any_text_comes_back(self, make: MakeVault, values: dict[str, str]) -> None:
        vault = make(folder=f"w{abs(hash(frozenset(values.items())))}")
        vault.set_secrets(values)
        assert vault.get_secrets(list(values)) == values
        assert vault.names() == tuple(sorted(values))

    def test_values_hide_themselves(self, vault: Keyvault) -> None:
        vault.set_secret("db", "hunter22")
        value = vault.get_secret("db")
        assert "hunter22" not in repr([value, {"a": value}, vault])
        assert repr(value) == "<secret 'db'>"
        assert value.reference == "${secret:db}"
        assert f"{value}" == str(value) == "hunter22"
        for copied in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert (copied, copied.name) == ("hunter22", "db")
        assert secrets.redact("it was hunter22!") == "it was ***!"

    def test_all_forms_of_a_value_are_hidden(self, vault: Keyvault) -> None:
        vault.set_secret("key", 'begin-of-it\nline with "quotes"/end')
        for shown in ('begin-of-it\nline with "quotes"/end', json.dumps('begin-of-it\nline with "quotes"/end'),
                      'error in line with "quotes"/end', "begin-of-it%0Aline%20with%20%22quotes%22%2Fend"):  # fmt: skip
            assert "quotes" not in secrets.redact(shown)

    def test_a_vault_can_go_to_another_process(self, vault: Keyvault) -> None:
        vault.set_secret("a", "hunter22")
        text = pickle.dumps(vault)
        assert b"hunter22" not in text
        assert pickle.loads(text).get_secret("a") == "hunter22"


class TestChoice:
    def test_the_keyring_is_preferred(self, make: MakeVault, plugged: PlainKeyring) -> None:
        vault = make(kind="")
        vault.set_secret("a", "hunter22")
        assert vault.kind == "keyring"
        assert "hunter22" in plugged.path.read_text()
        assert not (vault.address.folder / FILE).exists()

    def test_a_file_takes_its_place(self, make: MakeVault) -> None:
        vault = make(kind="")
        vault.set_secret("a", "hunter22")
        assert vault.kind == "file"
        assert (vault.address.folder / FILE).exists()

    def test_what_was_chosen_stays_chosen(self, make: MakeVault, tmp_path: Path) -> None:
        made = PlainKeyring(tmp_path / "keyring.json")
        keyring.set_keyring(made)
        make(kind="", folder="ring").set_secret("a", "hunter22")
        keyring.set_keyring(NoKeyring())
        make(kind="", folder="filed").set_secret("a", "hunter33")
        with pytest.raises(MachineError, match="in the system keyring, and there is none here"):
            make(kind="", folder="ring").get_secret("a")
        keyring.set_keyring(made)
        assert make(kind="", folder="ring").get_secret("a") == "hunter22"
        assert make(kind="", folder="filed").get_secret("a") == "hunter33"
        assert "hunter" not in (tmp_path / "ring" / MARK).read_text()

    def test_a_keyring_that_refuses_is_told_without_the_value(self, make: MakeVault, tmp_path: Path) -> None:
        keyring.set_keyring(LockedKeyring(tmp_path / "keyring.json"))
        for use in (lambda v: v.set_secret("a", "hunter22"), lambda v: v.get_secret("a"), lambda v: v.names()):
            with pytest.raises(MachineError, match="the system keyring refuses") as caught:
                use(make(kind="keyring"))
            assert "hunter22" not in str(caught.value)
            assert caught.value.__context__ is None or caught.value.__suppress_context__

    def test_an_entry_that_another_program_removed_can_be_deleted(self, make: MakeVault, plugged: PlainKeyring) -> None:
        vault = make(kind="keyring")
        vault.set_secrets({"a": "one-value", "b": "two-value"})
        plugged.delete_password(vault.service, "a")
        vault.delete_secret("a")
        assert vault.names() == ("b",)


class TestFinding:
    def test_the_vault_of_a_folder(self, tmp_path: Path) -> None:
        assert find_keyvault(tmp_path) is None
        assert look_up("a", tmp_path) is None
        (tmp_path / "hermetic.toml").write_text('[workspace]\nname = "demo"\nkeyvault = "file"\n')
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        found = find_keyvault(inner)
        assert found
        found.set_secret("a", "hunter22")
        assert look_up("a", inner) == "hunter22"
        assert (tmp_path / ".hermetic" / "workspace" / ".gitignore").read_text() == "*\n"

    def test_a_vault_does_not_stand_in_a_workspaces_way(self, tmp_path: Path) -> None:
        from hermetic.workspace.opening import opened

        address = address_in(tmp_path / "w", "demo", {"keyvault": "file"})
        Keyvault(address).set_secret("a", "hunter22")
        assert opened(address).environments.list() == []


SETTER = """
import sys
from pathlib import Path
from hermetic.workspace.keyvault.keyvault import Keyvault
from hermetic.workspace_config import address_in
vault = Keyvault(address_in(Path(sys.argv[1]), "demo", {"keyvault": "file"}))
for number in range(5):
    vault.set_secret(f"{sys.argv[2]}-{number}", f"value of {sys.argv[2]} {number}")
"""


def test_many_processes_lose_nothing(tmp_path: Path, make: MakeVault) -> None:
    """Six processes make the user's key, the workspace and the vault at once, and each keeps five secrets."""
    running = [
        subprocess.Popen([sys.executable, "-c", SETTER, str(tmp_path / "workspace"), f"p{number}"])
        for number in range(6)
    ]
    assert [process.wait() for process in running] == [0] * 6
    vault = make()
    assert vault.names() == tuple(f"p{process}-{number}" for process in range(6) for number in range(5))
    assert vault.get_secret("p5-4") == "value of p5 4"
