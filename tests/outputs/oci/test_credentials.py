"""Credentials for registries, as Docker and others keep them."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from docker.auth import INDEX_NAME, INDEX_URL

from hermetic.config import Config
from hermetic.errors import CredentialsError, HermeticError, UsageError
from hermetic.outputs.oci.credentials import Credentials, Login, advice, find_credentials
from hermetic.outputs.oci.reference import registry_address
from hermetic.secrets import redact

HOST = "r.example.org:5000"

pytestmark = pytest.mark.usefixtures("home")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def docker(home: Path, value: Any) -> Path:
    path = home / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def packed(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def helper(folder: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper that notes what it is asked."""
    folder.mkdir(exist_ok=True)
    path = folder / f"docker-credential-{name}"
    asked = folder / f"{name}.asked"
    path.write_text(
        f"#!{sys.executable}\nimport sys, json\nhost = sys.stdin.read()\n"
        f"open({str(asked)!r}, 'a').write(sys.argv[1] + ' ' + host + '\\n')\n{body}\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return asked


def find(host: str = HOST, login: Login | None = None, **registries: str) -> Credentials | None:
    return find_credentials(registry_address(Config(registries=registries), host), login)


def gives(user: str, secret: str) -> str:
    return f"print(json.dumps({{'ServerURL': host, 'Username': {user!r}, 'Secret': {secret!r}}}))"


def test_there_are_none() -> None:
    assert find() is None


class TestOrder:
    def test_each_wins_over_the_next(self, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine r.example.org login net password netpassword\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert find() == Credentials(basic("net", "netpassword"), source=str(netrc))
        path = docker(home, {"auths": {HOST: packed("dock", "dockpassword")}})
        assert find() == Credentials(basic("dock", "dockpassword"), source=str(path))
        monkeypatch.setenv("HERMETIC_AUTH_R_EXAMPLE_ORG_5000", "env:envpassword")
        assert find() == Credentials(basic("env", "envpassword"), source="HERMETIC_AUTH_R_EXAMPLE_ORG_5000")
        config = Config(registries={HOST: f"https://url:urlpassword@{HOST}"})
        found = find_credentials(registry_address(config, HOST))
        assert found == Credentials(basic("url", "urlpassword"), source="the URL")
        given = find(login=Login("me", "mypassword"))
        assert given == Credentials(basic("me", "mypassword"), source="the registry's user name and password")

    def test_what_is_given_may_be_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REGISTRY_USER", "me")
        monkeypatch.setenv("REGISTRY_PASSWORD", "hunter22")
        found = find(login=Login("${REGISTRY_USER}", "${REGISTRY_PASSWORD}"))
        assert found
        assert found.headers == basic("me", "hunter22")
        assert redact("it is hunter22") == "it is ***"
        monkeypatch.delenv("REGISTRY_PASSWORD")
        with pytest.raises(UsageError, match="REGISTRY_PASSWORD"):
            find(login=Login("${REGISTRY_USER}", "${REGISTRY_PASSWORD}"))

    def test_what_is_given_may_be_a_secret_of_the_vault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hermetic.vault_hook.lookup", {"acr": "p@ss/w:rd-22"}.get)
        found = find(login=Login("me", "${secret:acr}"))
        assert found
        assert found.headers == basic("me", "p@ss/w:rd-22")
        assert redact("it is p@ss/w:rd-22") == "it is ***"
        with pytest.raises(CredentialsError, match="no secret 'nothere'"):
            find(login=Login("me", "${secret:nothere}"))

    def test_a_bare_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_R_EXAMPLE_ORG", "t0ken-of-mine")
        found = find()
        assert found == Credentials({"Authorization": "Bearer t0ken-of-mine"}, source="HERMETIC_AUTH_R_EXAMPLE_ORG")
        assert found.is_token

    def test_a_mirror_gets_its_own(self, home: Path) -> None:
        docker(home, {"auths": {HOST: packed("a", "apassword"), "mirror.example.org": packed("b", "bpassword")}})
        config = Config(registries={HOST: "https://mirror.example.org/x"})
        found = find_credentials(registry_address(config, HOST))
        assert found
        assert found.headers == basic("b", "bpassword")

    def test_nothing_secret_is_shown(self, home: Path) -> None:
        docker(home, {"auths": {HOST: packed("a", "apassword")}})
        assert "apassword" not in repr(find())
        assert basic("a", "apassword")["Authorization"][6:] not in repr(find())
        assert "apassword" not in repr(Login("a", "apassword"))


class TestDocker:
    @pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"http://{HOST}/v2", f"{HOST}/"])
    def test_names_of_entries(self, home: Path, key: str) -> None:
        docker(home, {"auths": {"r.example.org": packed("no", "no"), key: packed("a", "b:c")}})
        found = find()
        assert found
        assert found.headers == basic("a", "b:c")

    @pytest.mark.parametrize("key", [INDEX_URL, INDEX_NAME, f"index.{INDEX_NAME}"])
    def test_the_default_registry(self, home: Path, key: str) -> None:
        docker(home, {"auths": {key: packed("a", "b")}})
        found = find(INDEX_NAME)
        assert found
        assert found.headers == basic("a", "b")

    def test_another_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "config.json").write_text(json.dumps({"auths": {HOST: {"username": "a", "password": "b"}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "d"))
        found = find()
        assert found
        assert found.headers == basic("a", "b")

    def test_tokens(self, home: Path) -> None:
        docker(home, {"auths": {HOST: {**packed("a", "b"), "identitytoken": "identity1"}}})
        assert (found := find())
        assert (found.identity, found.headers) == ("identity1", {})
        docker(home, {"auths": {HOST: {"registrytoken": "registry1"}}})
        assert (found := find())
        assert found.headers == {"Authorization": "Bearer registry1"}

    def test_an_empty_entry_is_none(self, home: Path) -> None:
        docker(home, {"auths": {HOST: {}}})
        assert find() is None

    @pytest.mark.parametrize(
        "value",
        [
            "{",
            "[]",
            '{"auths": {"r.example.org:5000": {"auth": "%%%"}}}',
            '{"auths": {"r.example.org:5000": {"auth": "YQ=="}}}',
        ],
    )
    def test_a_damaged_file(self, home: Path, value: str) -> None:
        path = docker(home, value)
        with pytest.raises(CredentialsError, match="cannot read credentials") as caught:
            find()
        assert caught.value.place
        assert caught.value.place.file == str(path)

    @pytest.mark.parametrize(
        "value", ["", "{}", '{"auths": 1, "credHelpers": [], "credsStore": 7}', '{"auths": {"a": 1}}']
    )
    def test_a_file_without_any(self, home: Path, value: str) -> None:
        docker(home, value)
        assert find() is None


class TestHelpers:
    def test_a_hosts_own_wins_over_the_common_one(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = helper(tmp_path / "bin", "own", gives("a", "own-secret"), monkeypatch)
        common = helper(tmp_path / "bin", "common", gives("b", "common-secret"), monkeypatch)
        docker(home, {"credsStore": "common", "credHelpers": {HOST: "own"}, "auths": {HOST: packed("c", "d")}})
        assert find() == Credentials(basic("a", "own-secret"), source="docker-credential-own")
        assert own.read_text() == f"get {HOST}\n"
        assert not common.exists()
        found = find("other.example.org")
        assert found
        assert found.headers == basic("b", "common-secret")

    def test_the_default_registry_is_asked_as_docker_asks(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = helper(tmp_path / "bin", "own", gives("a", "own-secret"), monkeypatch)
        docker(home, {"credsStore": "own"})
        assert find(INDEX_NAME)
        assert asked.read_text() == f"get {INDEX_URL}\n"

    def test_an_identity_token(self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        helper(tmp_path / "bin", "own", gives("<token>", "identity2"), monkeypatch)
        docker(home, {"credHelpers": {HOST: "own"}})
        assert (found := find())
        assert (found.identity, found.headers, found.is_token) == ("identity2", {}, False)

    def test_one_that_knows_nothing(self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        body = "print('credentials not found in native keychain'); sys.exit(1)"
        helper(tmp_path / "bin", "own", body, monkeypatch)
        docker(home, {"credsStore": "own", "auths": {HOST: packed("a", "b")}})
        assert (found := find())
        assert found.headers == basic("a", "b")

    def test_a_common_one_that_is_not_installed(self, home: Path) -> None:
        docker(home, {"credsStore": "not-there-at-all"})
        assert find() is None

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("print('my-secret leaks'); sys.exit(3)", "failed with status 3"),
            ("print('my-secret')", "did not answer with"),
            ("print('[]')", "did not answer with"),
        ],
    )
    def test_one_that_does_not_work(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, reason: str
    ) -> None:
        helper(tmp_path / "bin", "own", body, monkeypatch)
        docker(home, {"credHelpers": {HOST: "own"}})
        with pytest.raises(CredentialsError, match=reason) as caught:
            find()
        assert "my-secret" not in str(caught.value)
        assert "docker-credential-own get" in str(caught.value)

    @pytest.mark.parametrize(("name", "reason"), [("not-there-at-all", "not installed"), ("../evil", "program's name")])
    def test_one_that_is_needed_and_not_there(self, home: Path, name: str, reason: str) -> None:
        docker(home, {"credHelpers": {HOST: name}})
        with pytest.raises(HermeticError, match=reason):
            find()


def test_the_remedy_names_the_ways() -> None:
    text = advice(registry_address(Config(), HOST))
    assert f"docker login {HOST}" in text
    assert "HERMETIC_AUTH_R_EXAMPLE_ORG=" in text
