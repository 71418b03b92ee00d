"""Ways into a registry: passwords, tokens that the real registry checks, TLS, redirects; and what is kept from whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_samples import Told, made, send
from support.registries import registry, skopeo
from support.registry_proxy import Proxy, proxy, status
from support.registry_tokens import TokenServer, token_server

from hermetic.config import Config
from hermetic.errors import CredentialsError, NetworkError
from hermetic.lock.model import Base
from hermetic.outputs.oci import registry_tokens
from hermetic.outputs.oci.credentials import Login
from hermetic.outputs.oci.pull import image_exists, pull_base, resolve
from hermetic.outputs.oci.registry import Registry
from hermetic.outputs.oci.registry_tokens import Challenge, challenges, choose, merge_scopes
from hermetic.store import Store

pytestmark = pytest.mark.usefixtures("home")

SECRET = "pass:word/with=signs"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    with token_server(tmp_path, user="ada", password=SECRET, identity="identity-of-ada") as found:
        yield found


@pytest.fixture
def bearer(tmp_path: Path, tokens: TokenServer) -> Iterator[Proxy]:
    """A proxy before a registry that takes only the token server's tokens."""
    with registry(tmp_path, tokens=tokens) as found, proxy(found.host) as middle:
        yield middle


def docker_login(home: Path, host: str, **entry: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: entry}}))


def round_trip(store: Store, host: str, tmp_path: Path, config: Config | None = None) -> None:
    """Push an image, ask for it, and get all of it back into another store."""
    config = config or Config()
    picture = made(store, 150_000, 1000)
    result = send(store, host, picture, config=config)
    assert result.uploaded == 3
    name = f"{host}/team/app:1"
    assert image_exists(name, config=config) == result.digest
    found = resolve(name, config=config)
    other = Store.open(tmp_path / "other")
    base = Base(name, found.digest, found.manifest("linux-64").digest)
    pulled = pull_base(base, "linux-64", store=other, config=config)
    assert pulled.origin
    for layer in pulled.layers:
        assert pulled.origin.obtain(layer.descriptor, other).digest == layer.descriptor.digest
        assert other.check_blob(layer.descriptor.sha256)


class TestPasswords:
    def test_with_the_right_one(self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        with registry(tmp_path, user="ada", password=SECRET) as real:
            monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
            round_trip(store, real.host, tmp_path)
            assert real.inspect("team/app:1")["Name"] == f"{real.host}/team/app"

    def test_what_the_caller_gives(self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_PASSWORD", SECRET)
        with registry(tmp_path, user="ada", password=SECRET) as real:
            login = Login("ada", "${MY_PASSWORD}")
            assert send(store, real.host, made(store, 100), login=login).uploaded == 2
            assert image_exists(f"{real.host}/team/app:1", config=Config(), login=login)
            assert resolve(f"{real.host}/team/app:1", config=Config(), login=login).manifests

    def test_what_another_client_has_filed(self, home: Path, tmp_path: Path, store: Store) -> None:
        with registry(tmp_path, user="ada", password=SECRET) as real:
            (home / ".docker").mkdir()
            file = home / ".docker" / "config.json"
            skopeo("login", f"--authfile={file}", "--tls-verify=false", "-u", "ada", "-p", SECRET, real.host)
            round_trip(store, real.host, tmp_path)

    def test_with_none(self, tmp_path: Path, store: Store) -> None:
        with registry(tmp_path, user="ada", password=SECRET) as real:
            with pytest.raises(CredentialsError, match=r"asks for credentials \(401\)") as caught:
                send(store, real.host, made(store, 100))
            assert f"docker login {real.host}" in str(caught.value)
            with pytest.raises(CredentialsError):
                image_exists(f"{real.host}/team/app:1", config=Config())

    def test_with_a_wrong_one(self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", "ada:not-the-password")
        with registry(tmp_path, user="ada", password=SECRET) as real:
            with pytest.raises(CredentialsError, match="the credentials from HERMETIC_AUTH_127_0_0_1") as caught:
                send(store, real.host, made(store, 100))
            assert "not-the-password" not in str(caught.value)

    def test_nothing_is_sent_before_it_is_asked_for(
        self, store: Store, middle: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        send(store, middle.host, made(store, 100))
        assert not [asked for asked in middle.asked if "authorization" in asked.headers]


class TestTokens:
    def test_a_password_is_changed_for_tokens(
        self, tmp_path: Path, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        round_trip(store, bearer.host, tmp_path)
        sent = {asked.headers["authorization"][:7] for asked in bearer.asked if "authorization" in asked.headers}
        assert sent == {"Bearer "}  # the password went to the token server alone
        assert {(method, who) for method, _, who in tokens.asked} == {("GET", "ada")}

    def test_one_token_serves_a_whole_push(
        self, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        send(store, bearer.host, made(store, *range(1000, 1010)))
        assert tokens.asked == [("GET", ("repository:team/app:pull,push",), "ada")]
        assert len([asked for asked in bearer.asked if asked.status == 401]) == 2  # the glance, and the client

    def test_an_identity_token(
        self, tmp_path: Path, home: Path, store: Store, bearer: Proxy, tokens: TokenServer
    ) -> None:
        docker_login(home, bearer.host, identitytoken="identity-of-ada")
        round_trip(store, bearer.host, tmp_path)
        assert {(method, who) for method, _, who in tokens.asked} == {("POST", "identity")}

    def test_a_mount_asks_for_both_repositories(
        self, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        picture = made(store, 1000)
        send(store, bearer.host, picture)
        assert send(store, bearer.host, picture, name="team/more:1").mounted == 2
        assert tokens.asked[-1][1] == ("repository:team/app:pull", "repository:team/more:pull,push")

    def test_anybody_may_pull_what_is_public(
        self, tmp_path: Path, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        picture = made(store, 1000)
        send(store, bearer.host, picture, name="public/app:1")
        monkeypatch.delenv("HERMETIC_AUTH_127_0_0_1")
        assert image_exists(f"{bearer.host}/public/app:1", config=Config()) == picture.manifest.digest
        assert tokens.asked[-1] == ("GET", ("repository:public/app:pull",), "")
        with pytest.raises(CredentialsError, match=r"asks for credentials \(401\)"):
            image_exists(f"{bearer.host}/team/app:1", config=Config())
        with pytest.raises(CredentialsError):
            send(store, bearer.host, made(store, 10), name="public/app:2")

    @pytest.mark.parametrize(
        "entry", [{"username": "ada", "password": "wrong-password"}, {"identitytoken": "wrong-token"}]
    )
    def test_a_token_server_that_refuses(self, home: Path, store: Store, bearer: Proxy, entry: dict[str, str]) -> None:
        docker_login(home, bearer.host, **entry)
        with pytest.raises(CredentialsError, match=r"token server .* refuses the credentials") as caught:
            send(store, bearer.host, made(store, 10))
        assert "wrong-" not in str(caught.value)
        assert "config.json" in str(caught.value)

    def test_a_token_that_is_taken_back(
        self, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        challenge = f'Bearer realm="{tokens.realm}",service="registry for tests",error="invalid_token"'
        bearer.fault("PATCH", "/uploads/", status(401, {"WWW-Authenticate": challenge}), times=1)
        assert send(store, bearer.host, made(store, 150_000)).uploaded == 2
        assert len(tokens.asked) == 2

    def test_a_token_that_ends_during_the_push(
        self, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        monkeypatch.setattr(registry_tokens.Token, "fresh", False)
        assert send(store, bearer.host, made(store, 150_000)).uploaded == 2
        assert len(tokens.asked) > 5

    def test_a_refusal_for_good_ends(
        self, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        challenge = f'Bearer realm="{tokens.realm}",service="registry for tests"'
        bearer.fault("*", "/v2/", status(401, {"WWW-Authenticate": challenge}))
        with pytest.raises(CredentialsError):
            send(store, bearer.host, made(store, 10))
        assert len(bearer.asked) == 4

    @pytest.mark.parametrize("realm", ["ftp://x/token", "/token", "http://[", "http://"])
    def test_a_realm_that_is_none(self, store: Store, middle: Proxy, realm: str) -> None:
        middle.fault("*", "/v2/", status(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}))
        with pytest.raises(NetworkError, match="no token server"):
            send(store, middle.host, made(store, 10))

    def test_a_realm_in_the_clear(self, tmp_path: Path) -> None:
        challenge = Challenge("bearer", {"realm": "http://tokens.example.org/t"})
        client = Registry("r.example.org", Config())
        with pytest.raises(NetworkError, match="in the clear"):
            registry_tokens.get_token(client, challenge, (), None, "https://r.example.org")

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": ""}', b"[" * 100_000])
    def test_answers_that_hold_no_token(self, store: Store, middle: Proxy, body: bytes) -> None:
        middle.fault("GET", "/token", status(200, {"Content-Length": str(len(body))}, body))
        middle.fault("*", "/v2/", status(401, {"WWW-Authenticate": f'Bearer realm="{middle.url}/token"'}))
        with pytest.raises(NetworkError, match="gave no token"):
            send(store, middle.host, made(store, 10))

    def test_a_token_server_that_is_busy(
        self, store: Store, bearer: Proxy, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        with proxy(tokens.realm.split("/")[2]) as before:
            before.fault("*", "/token", status(503), times=2)
            challenge = f'Bearer realm="{before.url}/token",service="registry for tests"'
            bearer.fault("HEAD", "/manifests/", status(401, {"WWW-Authenticate": challenge}), times=1)
            assert send(store, bearer.host, made(store, 10)).uploaded == 2


class TestTls:
    def test_an_authority_of_ones_own(self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        with registry(tmp_path, tls=True, user="ada", password=SECRET) as real:
            monkeypatch.setenv("SSL_CERT_FILE", str(real.ca))
            monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
            config = Config(registries={real.host: real.url})
            round_trip(store, real.host, tmp_path, config)
            assert real.inspect("team/app:1")["Name"] == f"{real.host}/team/app"

    def test_a_certificate_of_nobody(self, tmp_path: Path, store: Store) -> None:
        with registry(tmp_path, tls=True) as real:
            config = Config(registries={real.host: real.url})
            with pytest.raises(NetworkError, match="certificate is not trusted") as caught:
                send(store, real.host, made(store, 10), config=config)
            assert "SSL_CERT_FILE" in str(caught.value)

    def test_plain_http_to_one_that_speaks_tls(self, tmp_path: Path, store: Store) -> None:
        with registry(tmp_path, tls=True) as real:
            with pytest.raises(NetworkError, match="to plain http") as caught:
                image_exists(f"{real.host}/team/app:1", config=Config())
            assert f'"{real.host}" = "https://{real.host}"' in str(caught.value)


class TestRedirects:
    def test_credentials_do_not_follow(
        self, tmp_path: Path, store: Store, middle: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As registries do that keep their blobs elsewhere."""
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        with registry(tmp_path, user="ada", password=SECRET) as real, proxy(real.host) as front:
            picture = made(store, 1000)
            send(store, front.host, picture)
            send(store, middle.host, picture)
            digest = picture.layers[0].descriptor.digest
            front.mend()
            middle.mend()
            front.fault("GET", "/blobs/", status(307, {"Location": f"{middle.url}/v2/team/app/blobs/{digest}"}))
            other = Store.open(tmp_path / "other")
            other.put_bytes(picture.config.data)
            base = Base(f"{front.host}/team/app:1", "", picture.manifest.digest)
            pulled = pull_base(base, "linux-64", store=other, config=Config())
            assert pulled.origin
            assert pulled.origin.obtain(picture.layers[0].descriptor, other).digest == digest
        assert [asked.headers.get("authorization") for asked in middle.asked] == [None]
        assert "authorization" in front.asked_for("GET", "/blobs/")[-1].headers

    def test_an_upload_that_goes_elsewhere(
        self, tmp_path: Path, store: Store, middle: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", f"ada:{SECRET}")
        with registry(tmp_path, user="ada", password=SECRET) as real, proxy(real.host) as front:
            place = f"{middle.url}/somewhere/else?sig=abc"
            front.fault("POST", "/uploads/", status(202, {"Location": place}))
            middle.fault("PUT", "/somewhere/", status(201))
            with pytest.raises(NetworkError, match="did not keep it"):
                send(store, front.host, made(store, 1000))
        assert middle.asked
        assert not [asked for asked in middle.asked if "authorization" in asked.headers]

    def test_plain_http_from_https(self) -> None:
        client = Registry("r.example.org", Config())
        with pytest.raises(NetworkError, match="redirects to plain http"):
            client._follow("https://r.example.org/v2/a/blobs/x", "http://cdn.example.org/x", 1)
        assert client._follow("https://r.example.org/a", "/b", 1) == "https://r.example.org/b"

    def test_a_loop(self, store: Store, middle: Proxy) -> None:
        middle.fault("HEAD", "/v2/", status(302, {"Location": f"{middle.url}/v2/again"}))
        with pytest.raises(NetworkError, match="more than 10 redirects"):
            send(store, middle.host, made(store, 10))


class TestChallenges:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ()),
            ("Basic", (Challenge("basic"),)),
            ('Basic realm="a, b=c"', (Challenge("basic", {"realm": "a, b=c"}),)),
            (
                'Bearer realm="https://t.example.org/token",service="s",scope="repository:a/b:pull,push"',
                (
                    Challenge(
                        "bearer",
                        {"realm": "https://t.example.org/token", "service": "s", "scope": "repository:a/b:pull,push"},
                    ),
                ),
            ),
            (
                'Basic realm=x, Bearer realm="y" , error=z',
                (Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y", "error": "z"})),
            ),
            (r'Bearer realm="a\"b"', (Challenge("bearer", {"realm": 'a"b'}),)),
            ('realm="nobody\'s", Negotiate', (Challenge("negotiate"),)),
        ],
    )
    def test_what_they_say(self, text: str, expected: tuple[Challenge, ...]) -> None:
        assert challenges(text) == expected

    @given(st.text(max_size=60))
    def test_any_text_is_read(self, text: str) -> None:
        challenges(text)

    def test_a_token_server_is_preferred(self) -> None:
        basic, bearer = Challenge("basic"), Challenge("bearer", {"realm": "x"})
        assert choose([basic, bearer]) == choose([bearer, basic]) == bearer
        assert choose([basic, Challenge("bearer")]) == basic
        assert choose([Challenge("negotiate")]) is None

    def test_scopes_are_put_together(self) -> None:
        merged = merge_scopes(["repository:a:push", "repository:a:pull repository:b:pull", "registry:catalog:*", "odd"])
        assert merged == ("registry:catalog:*", "repository:a:pull,push", "repository:b:pull", "odd")
        assert merge_scopes(merged) == merged


def test_progress_is_told_in_bytes(store: Store, middle: Proxy) -> None:
    told = Told()
    picture = made(store, 150_000)
    middle.fault("PATCH", "/uploads/", status(503), times=1)
    send(store, middle.host, picture, reporter=told)
    assert told.done == told.total
