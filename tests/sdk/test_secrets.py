"""Secrets from Python, as v1 scripts use them: kept in the workspace's vault, referred to, given to processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from hermetic import ContainerRegistry, Environment, Keyvault, Workspace, declare, secrets
from hermetic.errors import CredentialsError, SpecError, UsageError
from hermetic.workspace_config import address_in

VALUE = "hunter22-s3cr3t-v4lue"


@pytest.fixture(autouse=True)
def _one_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_named", {})
    monkeypatch.setattr("hermetic.vault_hook.lookup", None)
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def work(tmp_path: Path, tiny_channel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"conda-forge={tiny_channel}")
    return folder


@pytest.fixture
def vault(work: Path) -> Keyvault:
    return Workspace.create("team").get_default_keyvault()


def environment(**variables: str) -> Environment:
    made = Environment("train")
    made.python.conda_dependencies.remove_conda_package("python")
    made.python.conda_dependencies.add_conda_package("app<2")
    made.environment_variables = variables
    return made


class TestVault:
    def test_is_used_as_in_v1(self, vault: Keyvault) -> None:
        vault.set_secret(name="db-password", value=VALUE)
        assert vault.get_secret(name="db-password") == VALUE
        assert vault.list_secrets() == [{"name": "db-password"}]
        vault.delete_secret("db-password")
        assert vault.list_secrets() == []

    def test_two_objects_of_a_workspace_have_one_vault(self, vault: Keyvault) -> None:
        vault.set_secret("a", VALUE)
        again = Workspace.create("team", exist_ok=True).get_default_keyvault()
        assert again.get_secret("a") == VALUE
        assert again == vault

    def test_a_workspaces_file_takes_no_password(self, work: Path) -> None:
        ws = Workspace._at(address_in(work / "w", "team", {"database": f"postgresql://me:{VALUE}@db.example.org/x"}))
        with pytest.raises(UsageError, match="'database' holds a typed password") as caught:
            ws.write_config()
        assert VALUE not in str(caught.value)
        assert not (work / ".azureml").exists()


class TestVariables:
    def test_what_the_vault_gave_is_kept_as_its_reference(self, vault: Keyvault, work: Path) -> None:
        vault.set_secret("db", VALUE)
        made = environment(FIRST=vault.get_secret("db"))
        made.environment_variables["SECOND"] = vault.get_secret("db")
        made.environment_variables.update(THIRD=vault.get_secret("db"))
        made.environment_variables |= {"FOURTH": vault.get_secret("db")}
        made.environment_variables.setdefault("FIFTH", vault.get_secret("db"))
        assert set(made.environment_variables.values()) == {"${secret:db}"}
        made.save_to_directory("saved")
        assert VALUE not in "".join(path.read_text() for path in (work / "saved").iterdir())
        loaded = Environment.load_from_directory("saved")
        assert loaded.environment_variables == made.environment_variables

    def test_its_text_within_another_is_refused_with_the_reference(self, vault: Keyvault) -> None:
        vault.set_secret("db", VALUE)
        value = vault.get_secret("db")
        with pytest.raises(SpecError, match="holds the secret 'db'") as caught:
            environment(URL=f"me:{value}")
        assert VALUE not in str(caught.value)
        assert 'write "me:${secret:db}"' in str(caught.value)

    @pytest.mark.parametrize("value", [VALUE, "ab12", "n1"])
    def test_one_that_was_there_before_the_vault_gave_it_is_not_written(
        self, vault: Keyvault, work: Path, value: str
    ) -> None:
        made = environment(DSN=f"x:{value}")
        vault.set_secret("nl", value)
        given = vault.get_secret("nl")
        with pytest.raises(SpecError, match="DSN holds the secret 'nl'"):
            made.environment_variables["DSN"] = "x:" + given
        for use in (
            lambda: made.register(Workspace.create("team", exist_ok=True)),
            lambda: made.save_to_directory("saved"),
        ):
            with pytest.raises(SpecError, match="DSN holds the secret 'nl'") as caught:
                use()
            assert 'write "x:${secret:nl}"' in str(caught.value)
            assert value not in str(caught.value)
        assert not (work / "saved").exists()

    def test_its_value_elsewhere_in_a_definition_is_not_written(self, vault: Keyvault, work: Path) -> None:
        vault.set_secret("db", VALUE)
        made = environment()
        made.docker.arguments = ["--env", f"A={vault.get_secret('db')}"]
        with pytest.raises(SpecError, match="the value of the secret 'db'") as caught:
            made.save_to_directory("saved")
        assert VALUE not in str(caught.value)
        assert not (work / "saved").exists()

    def test_a_typed_password_is_refused(self, work: Path) -> None:
        with pytest.raises(SpecError, match="DB_PASSWORD holds a typed password") as caught:
            environment(DB_PASSWORD=VALUE)
        assert "'hermetic secret set db-password'" in (caught.value.remedy or "")
        made = environment()
        with pytest.raises(UsageError):
            made.environment_variables.update(GOOD="1", API_KEY=VALUE)
        assert made.environment_variables == {}
        with pytest.raises(SpecError):
            declare(["app"], variables={"HF_TOKEN": VALUE})

    def test_a_requirement_with_a_password_is_refused(self, work: Path) -> None:
        dependencies = environment().python.conda_dependencies
        for use in (
            lambda: dependencies.set_pip_option(f"--extra-index-url https://me:{VALUE}@example.org/simple"),
            lambda: dependencies.add_pip_package(f"a @ https://me:{VALUE}@example.org/a-1-py3-none-any.whl"),
            lambda: dependencies.add_channel(f"https://me:{VALUE}@example.org/channel"),
        ):
            with pytest.raises(SpecError, match="typed password") as caught:
                use()
            assert VALUE not in str(caught.value)
        dependencies.set_pip_option("--extra-index-url https://me:${secret:index}@example.org/simple")
        assert "${secret:index}" in dependencies.serialize_to_string()


class TestRegistry:
    def test_a_password_of_the_vault_is_kept_as_its_reference(self, vault: Keyvault, work: Path) -> None:
        vault.set_secret("acr", VALUE)
        made = environment()
        made.docker.base_image = "base:1"
        registry = ContainerRegistry()
        registry.address, registry.username, registry.password = "r.example.org", "me", vault.get_secret("acr")
        made.docker.base_image_registry = registry
        assert registry.password == "${secret:acr}"
        assert VALUE not in repr(registry)
        made.save_to_directory("saved")
        saved = json.loads((work / "saved" / "azureml_environment.json").read_text())
        assert saved["docker"]["baseImageRegistry"]["password"] == "${secret:acr}"
        assert Environment.load_from_directory("saved").docker.base_image_registry.password == "${secret:acr}"

    def test_a_dockerfile_with_a_password_is_refused(self, work: Path) -> None:
        made = environment()
        with pytest.raises(SpecError, match="DB_PASSWORD holds a typed password"):
            made.docker.base_dockerfile = f"FROM a\nENV DB_PASSWORD={VALUE}\n"
        assert made.docker.base_dockerfile is None


@pytest.mark.skipif(sys.platform != "linux", reason="the sample channel is for Linux")
class TestProcesses:
    def test_get_the_value(self, vault: Keyvault, work: Path) -> None:
        vault.set_secret("db", VALUE)
        built = environment(DB_PASSWORD="${secret:db}", URL="x://me:${secret:db}@h").build_local(useDocker=False)
        got = built.environment_variables({"PATH": "/usr/bin:/bin"})
        assert (got["DB_PASSWORD"], got["URL"]) == (VALUE, f"x://me:{VALUE}@h")
        said = subprocess.run(["sh", "-c", "echo $DB_PASSWORD"], env=got, capture_output=True, text=True, check=True)
        assert said.stdout == f"{VALUE}\n"
        assert VALUE not in built.lock_path.read_text() if built.lock_path else True
        assert VALUE not in repr(built)

    def test_get_it_from_the_workspace_that_it_was_built_for(self, vault: Keyvault, work: Path) -> None:
        """Another workspace of the process has another secret of that name, and was used last."""
        vault.set_secret("db", VALUE)
        made = environment(DB_PASSWORD="${secret:db}").register(Workspace.create("team", exist_ok=True))
        built = made.build_local(Workspace.create("team", exist_ok=True), useDocker=False)
        other = Workspace.create("other", "elsewhere").get_default_keyvault()
        other.set_secret("db", "of-the-other-one")
        assert built.environment_variables()["DB_PASSWORD"] == VALUE

    def test_a_registered_version_and_its_lock_hold_the_reference(self, vault: Keyvault, work: Path) -> None:
        vault.set_secret("db", VALUE)
        ws = Workspace.create("team", exist_ok=True)
        environment(DB_PASSWORD=vault.get_secret("db")).register(ws)
        found = Environment.get(ws, "train")
        assert found.environment_variables == {"DB_PASSWORD": "${secret:db}"}
        found.build_local(ws, useDocker=False)
        for path in work.rglob("*"):
            assert not path.is_file() or VALUE.encode() not in path.read_bytes(), path

    def test_are_not_started_without_it(self, vault: Keyvault, work: Path) -> None:
        built = environment(DB_PASSWORD="${secret:db}").build_local(useDocker=False)
        with pytest.raises(CredentialsError, match="DB_PASSWORD needs the secret 'db'") as caught:
            built.environment_variables()
        assert "HERMETIC_SECRET_DB" in (caught.value.remedy or "")

    def test_a_value_changes_no_key(self, vault: Keyvault, work: Path) -> None:
        keys = set()
        for value in ("one-value-of-it", "another-value-of-it"):
            vault.set_secret("db", value)
            built = environment(DB_PASSWORD=vault.get_secret("db")).build_local(useDocker=False)
            keys.add(built.key)
        assert len(keys) == 1
        assert not built.changed
