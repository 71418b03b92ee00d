"""The encrypted file: it tells nothing without its key, and notices every change."""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hermetic.errors import CredentialsError, HermeticError, IntegrityError, MachineError, UsageError
from hermetic.workspace.keyvault.file import FileVault
from hermetic.workspace.keyvault.keys import KEY_FILE, PASSPHRASE, key_path

SECRETS = {"db-password": "hunter22-hunter22", "other": "correct horse"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def kept(tmp_path: Path, environ: dict[str, str]) -> FileVault:
    made = FileVault(tmp_path / "vault", environ)
    made.set(SECRETS)
    return made


def test_nothing_can_be_read_without_the_key(kept: FileVault, tmp_path: Path) -> None:
    for path in tmp_path.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for text in (*SECRETS, *SECRETS.values()):
            for form in (text.encode(), base64.b64encode(text.encode())[:-3], text.encode("utf-16-le")):
                assert form not in data, path


def test_its_size_tells_little(tmp_path: Path, environ: dict[str, str]) -> None:
    sizes = set()
    for name, value in {"a": "x", "b": "x" * 60, "c": "y" * 300}.items():
        vault = FileVault(tmp_path / name, environ)
        vault.set({name: value})
        sizes.add(vault.path.stat().st_size)
    assert len(sizes) == 1


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_modes_are_for_the_user_alone(kept: FileVault, environ: dict[str, str]) -> None:
    for path in (kept.path, key_path(environ)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_path(environ).parent.stat().st_mode) == 0o700


def test_two_writes_of_one_content_have_nothing_in_common(kept: FileVault) -> None:
    before = json.loads(kept.path.read_text())
    kept.set(SECRETS)
    after = json.loads(kept.path.read_text())
    assert before["nonce"] != after["nonce"]
    assert before["sealed"][:40] != after["sealed"][:40]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_change_is_noticed(kept: FileVault, data: st.DataObject) -> None:
    """A byte that is another one: an error, or (white space between the JSON's values) the same secrets."""
    whole = kept.path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255))
    (changed := kept.path.with_name("changed")).write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    found, refused = dict(SECRETS), None
    try:
        found = {name: FileVault(changed, kept.environ).get(name) for name in SECRETS}
    except HermeticError as error:
        refused = error
    assert found == SECRETS
    if refused:
        assert refused.place
        assert refused.remedy
        assert not any(value in str(refused) for value in SECRETS.values())


@pytest.mark.parametrize("length", [0, 1, 100, -30])
def test_a_file_cut_short_is_damaged(kept: FileVault, length: int) -> None:
    kept.path.write_bytes(kept.path.read_bytes()[:length])
    with pytest.raises(IntegrityError, match="damaged or changed") as caught:
        kept.get("other")
    assert caught.value.exit_status == 5
    with pytest.raises(IntegrityError):
        kept.set({"new": "value"})


@pytest.mark.parametrize("field", ["key", "check", "nonce", "sealed", "format"])
@pytest.mark.parametrize("value", [None, 7, "", "AAAA", {}, [], {"from": "file"}, {"from": "file", "salt": "AAAA"}])
def test_fields_of_the_wrong_kind_are_no_crash(kept: FileVault, field: str, value: object) -> None:
    document = json.loads(kept.path.read_text())
    kept.path.write_text(json.dumps({**document, field: value}))
    with pytest.raises((IntegrityError, CredentialsError)):
        kept.get("other")


def test_parts_of_two_vaults_do_not_fit(kept: FileVault, tmp_path: Path) -> None:
    """What was sealed in one vault of a user is not opened in another, though the key file is the same."""
    other = FileVault(tmp_path / "other", kept.environ)
    other.set({"db-password": "mine"})
    ours, theirs = (json.loads(vault.path.read_text()) for vault in (kept, other))
    kept.path.write_text(json.dumps({**ours, "sealed": theirs["sealed"], "nonce": theirs["nonce"]}))
    with pytest.raises(IntegrityError):
        kept.get("db-password")


def test_a_cost_that_would_hold_the_machine_up_is_refused(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / "vault", {PASSPHRASE: "a b c"})
    vault.set({"a": "hunter22"})
    document = json.loads(vault.path.read_text())
    document["key"]["cost"] = 1 << 40
    vault.path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError):
        vault.get("a")


class TestKeys:
    def test_a_passphrase(self, tmp_path: Path) -> None:
        environ = {PASSPHRASE: "open sesame", "XDG_CONFIG_HOME": str(tmp_path / "config")}
        vault = FileVault(tmp_path / "vault", environ)
        vault.set(SECRETS)
        assert vault.get("other") == "correct horse"
        assert not (tmp_path / "config").exists()
        with pytest.raises(CredentialsError, match="the passphrase does not open the vault") as caught:
            FileVault(vault.path, {PASSPHRASE: "open simsim"}).get("other")
        assert "simsim" not in str(caught.value)
        with pytest.raises(CredentialsError, match="locked with a passphrase"):
            FileVault(vault.path, {}).names()
        with pytest.raises(CredentialsError):
            FileVault(vault.path, {PASSPHRASE: "open simsim"}).set({"a": "b"})
        assert vault.names() == ("db-password", "other")

    def test_a_vault_keeps_its_kind_of_key(self, kept: FileVault, tmp_path: Path) -> None:
        environ = {**kept.environ, PASSPHRASE: "set later"}
        FileVault(kept.path, environ).set({"new": "value"})
        assert kept.get("new") == "value"

    def test_a_key_that_is_gone_is_said(self, kept: FileVault, environ: dict[str, str]) -> None:
        key_path(environ).unlink()
        with pytest.raises(CredentialsError, match="is not on this machine") as caught:
            kept.get("other")
        assert "HERMETIC_SECRET_<NAME>" in (caught.value.remedy or "")
        with pytest.raises(CredentialsError, match="is not on this machine"):
            kept.set({"new": "value"})
        assert not key_path(environ).exists()

    def test_another_key_is_told_from_damage(self, kept: FileVault, tmp_path: Path) -> None:
        other = FileVault(tmp_path / "other", {KEY_FILE: str(tmp_path / "other.key")})
        other.set({"a": "b"})
        with pytest.raises(CredentialsError, match="made with another key"):
            FileVault(kept.path, other.environ).get("other")

    @pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
    def test_a_key_that_others_may_read_is_refused(self, kept: FileVault, environ: dict[str, str]) -> None:
        key_path(environ).chmod(0o640)
        with pytest.raises(CredentialsError, match="others may read") as caught:
            kept.get("other")
        assert "chmod 600" in (caught.value.remedy or "")

    @pytest.mark.parametrize("content", ["", "hermetic-keyvault-key/1 AAAA\n", "something else entirely\n", "\xff"])
    def test_a_key_file_that_is_none(self, kept: FileVault, environ: dict[str, str], content: str) -> None:
        key_path(environ).write_text(content, encoding="latin-1")
        with pytest.raises(CredentialsError, match="no key of hermetic's"):
            kept.get("other")

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(MachineError, match="cannot make the key"):
            FileVault(tmp_path / "vault", {"XDG_CONFIG_HOME": str(tmp_path / "file")}).set({"a": "b"})
        with pytest.raises(MachineError, match="cannot write the vault"):
            FileVault(tmp_path / "file" / "vault", {"XDG_CONFIG_HOME": str(tmp_path / "config")}).set({"a": "b"})


def test_a_newer_vault_is_left_alone(kept: FileVault) -> None:
    kept.path.write_text(kept.path.read_text().replace("hermetic-keyvault/1", "hermetic-keyvault/2"))
    before = kept.path.read_bytes()
    for use in (lambda: kept.get("other"), lambda: kept.set({"a": "b"}), lambda: kept.delete(("other",))):
        with pytest.raises(UsageError, match="newer hermetic"):
            use()
    assert kept.path.read_bytes() == before


WRITER = """
import os, sys
from pathlib import Path
from hermetic.workspace.keyvault.file import FileVault
vault = FileVault(Path(sys.argv[1]), {"XDG_CONFIG_HOME": sys.argv[2]})
for number in range(100000):
    print(number, flush=True)
    vault.set({"a": str(number) * 1000, "b": str(number) * 1000})
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("writes", [1, 2, 5, 12])
def test_a_writer_that_is_killed_leaves_one_whole_state(kept: FileVault, environ: dict[str, str], writes: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(kept.path), environ["XDG_CONFIG_HOME"]], stdout=subprocess.PIPE
    )
    assert process.stdout
    for _ in range(writes):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert kept.get("a") == kept.get("b")
    assert kept.get("other") == "correct horse"
    kept.set({"after": "value"})
    assert kept.get("after") == "value"
    assert {path.name for path in kept.path.parent.iterdir()} == {"vault", "vault.lock", "config"}
