from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from store_samples import Good
from support.faulty import FaultyServer, body, faulty, status
from support.faulty_server import bearer, redirect
from support.needs import require

from hermetic.errors import CredentialsError, MachineError, NetworkError, UsageError
from hermetic.secrets import auth_variable
from hermetic.store import Store
from hermetic.store.fetch import fetch
from hermetic.store.http import Client, Patience, Policy, Transient, _retry_after


def host(server: FaultyServer) -> str:
    return server.url.removeprefix("http://")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[FaultyServer]:
    """A second host with the same files."""
    with faulty(tmp_path / "served") as running:
        yield running


class TestCredentials:
    def test_from_the_environment(
        self, store: Store, good: Good, server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.credentials = "me:secret"
        monkeypatch.setenv(auth_variable(host(server)), "me:secret")
        fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 1

    def test_from_a_placeholder_in_the_url(
        self, store: Store, good: Good, server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.credentials = "me:p@ss/word"
        monkeypatch.setenv("ENCODED", "p%40ss%2Fword")
        fetch(store, [good.artifact(f"http://me:${{ENCODED}}@{host(server)}/{good.name}")], client=client)
        assert store.has_blob(good.sha256)

    def test_a_token(
        self, store: Store, good: Good, server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.fault(good.name, bearer("tok-1234"))
        monkeypatch.setenv(auth_variable("127.0.0.1"), "tok-1234")
        fetch(store, [good.artifact()], client=client)
        assert store.has_blob(good.sha256)

    def test_refused_ones_are_not_told(
        self, store: Store, good: Good, server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.credentials = "me:secret"
        monkeypatch.setenv(auth_variable("127.0.0.1"), "me:wrong-password")
        with pytest.raises(CredentialsError) as caught:
            fetch(store, [good.artifact(f"{server.url}/{good.name}?sig=signature")], client=client)
        text = str(caught.value)
        assert "refused the credentials from HERMETIC_AUTH_127_0_0_1" in text
        assert "wrong-password" not in text
        assert "signature" not in text

    def test_the_keyring_is_asked_only_after_a_401(
        self, store: Store, goods: list[Good], server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keyring = pytest.importorskip("keyring")
        from keyring.backend import KeyringBackend
        from keyring.credentials import SimpleCredential

        asked: list[str] = []

        class Ring(KeyringBackend):
            priority = 1  # type: ignore[assignment]

            def get_password(self, service: str, username: str) -> None:
                return None

            def set_password(self, service: str, username: str, password: str) -> None:
                raise NotImplementedError

            def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
                asked.append(service)
                return SimpleCredential("me", "secret") if service == host(server) else None

        before = keyring.get_keyring()
        keyring.set_keyring(Ring())
        try:
            fetch(store, [goods[0].artifact()], client=client)
            assert asked == []
            server.credentials = "me:secret"
            fetch(store, [goods[1].artifact()], client=client)
            assert host(server) in asked
        finally:
            keyring.set_keyring(before)
        assert store.has_blob(goods[1].sha256)

    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    def test_they_do_not_follow_a_redirect_to_another_host(
        self,
        store: Store,
        good: Good,
        server: FaultyServer,
        other: FaultyServer,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        code: int,
    ) -> None:
        monkeypatch.setenv(auth_variable(host(server)), "me:secret")
        server.fault(good.name, redirect(f"{other.url}/{good.name}", code))
        fetch(store, [good.artifact()], client=client)
        assert server.asked[0].authorization
        assert [asked.authorization for asked in other.asked] == [""]

    def test_nor_those_of_the_url_itself(
        self, store: Store, good: Good, server: FaultyServer, other: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, redirect(f"{other.url}/{good.name}"))
        fetch(store, [good.artifact(f"http://me:secret@{host(server)}/{good.name}")], client=client)
        assert [asked.authorization for asked in other.asked] == [""]

    def test_they_do_follow_within_a_host(
        self, store: Store, good: Good, server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.credentials = "me:secret"
        monkeypatch.setenv(auth_variable(host(server)), "me:secret")
        server.fault("/old", redirect(f"/{good.name}"))
        fetch(store, [good.artifact(f"{server.url}/old")], client=client)
        assert store.has_blob(good.sha256)

    def test_those_of_the_url_follow_within_a_host(
        self, store: Store, good: Good, server: FaultyServer, client: Client
    ) -> None:
        server.credentials = "me:secret"
        server.fault("/old", redirect(f"/{good.name}"))
        fetch(store, [good.artifact(f"http://me:secret@{host(server)}/old")], client=client)
        assert store.has_blob(good.sha256)

    def test_the_other_host_gets_its_own(
        self,
        store: Store,
        good: Good,
        server: FaultyServer,
        other: FaultyServer,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        other.credentials = "you:other"
        monkeypatch.setenv(auth_variable(host(other)), "you:other")
        server.fault(good.name, redirect(f"{other.url}/{good.name}"))
        fetch(store, [good.artifact()], client=client)
        assert store.has_blob(good.sha256)

    def test_the_signature_of_a_redirect_is_not_told(
        self, store: Store, good: Good, server: FaultyServer, other: FaultyServer, client: Client
    ) -> None:
        server.fault(good.name, redirect(f"{other.url}/{good.name}?sig=signature"))
        other.fault(good.name, status(403))
        with pytest.raises(CredentialsError) as caught:
            fetch(store, [good.artifact()], client=client)
        assert other.url in str(caught.value)
        assert "signature" not in str(caught.value)


class TestProxies:
    def test_a_proxy_of_the_environment(
        self,
        store: Store,
        good: Good,
        server: FaultyServer,
        other: FaultyServer,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://me:secret@{host(other)}")
        other.fault(good.name, body(good.data))
        fetch(store, [good.artifact(f"http://somewhere.example.org/{good.name}")], client=client)
        assert [asked.path for asked in other.asked] == [f"http://somewhere.example.org/{good.name}"]
        assert [asked.authorization for asked in other.asked] == [""]  # the proxy's own go in a header of their own

    def test_hosts_that_need_no_proxy(
        self, store: Store, good: Good, server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        fetch(store, [good.artifact()], client=client)
        assert len(server.asked) == 1

    def test_a_proxy_that_is_not_there(
        self, store: Store, good: Good, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
        with pytest.raises(NetworkError, match="proxy") as caught:
            fetch(store, [good.artifact()], client=client)
        assert "secret" not in str(caught.value)


@contextmanager
def https(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve ``hello`` over TLS, with a certificate that only its own authority vouches for."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    require(made, "openssl is not installed")

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            to = parse_qs(urlsplit(self.path).query).get("to", [""])[0]
            self.send_response(302 if to else 200)
            self.send_header("Location", to)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *args: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Hello)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/hello", certificate
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class TestCertificates:
    @pytest.fixture(autouse=True)
    def _system_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in CERTIFICATES:
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize("name", [name for name in CERTIFICATES if name != "SSL_CERT_DIR"])
    def test_an_authority_of_ones_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        with https(tmp_path) as (url, certificate):
            monkeypatch.setenv(name, str(certificate))
            assert Client(Policy(timeout=5, retries=0)).get_bytes(url)[0] == b"hello"

    def test_a_signed_address_does_not_lead_to_where_everybody_can_read(
        self, tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with https(tmp_path) as (url, certificate):
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            signed = f"{url}?sig=S3cr3tS3cr3t&to={quote(f'{server.url}/doc?sig=S3cr3tS3cr3t', safe='')}"
            client = Client(Policy(timeout=5, retries=0))
            with pytest.raises(NetworkError, match="everybody could read") as caught, client.signed_attempt(signed, {}):
                pass
        assert server.asked == []
        assert "S3cr3t" not in str(caught.value)

    def test_an_unknown_authority_is_not_trusted(self, tmp_path: Path) -> None:
        with https(tmp_path) as (url, _), pytest.raises(NetworkError, match="not trusted") as caught:
            Client(Policy(timeout=5, retries=3, backoff=60)).get_bytes(url)  # a retry would wait for minutes
        assert "SSL_CERT_FILE" in (caught.value.remedy or "")

    def test_a_file_that_is_not_there(self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
        with pytest.raises(MachineError, match="SSL_CERT_FILE"):
            Client(Policy()).get_bytes(server.url.replace("http:", "https:"))

    def test_plain_http_needs_none(self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
        server.fault("doc", body(b"x"))
        assert Client(Policy()).get_bytes(f"{server.url}/doc")[0] == b"x"


class TestDocuments:
    def test_json(self, server: FaultyServer, client: Client) -> None:
        server.fault("doc", body(b'{"a": 1}', "application/json"))
        assert client.get_json(f"{server.url}/doc") == {"a": 1}

    def test_no_json(self, server: FaultyServer, client: Client) -> None:
        server.fault("doc", body(b"<html>", "text/html"))
        with pytest.raises(NetworkError, match="not JSON"):
            client.get_json(f"{server.url}/doc?key=secret")

    def test_where_it_came_from(self, server: FaultyServer, other: FaultyServer, client: Client) -> None:
        server.fault("doc", redirect(f"{other.url}/there/"))
        other.fault("there", body(b"x", "text/plain"))
        assert client.get_bytes(f"{server.url}/doc") == (b"x", "text/plain", f"{other.url}/there/")

    def test_it_is_asked_again(self, server: FaultyServer, client: Client) -> None:
        server.fault("doc", status(503), times=2)
        server.fault("doc", body(b"x"))
        assert client.get_bytes(f"{server.url}/doc")[0] == b"x"


class TestPatience:
    def test_the_environment_says_how_much(self) -> None:
        policy = Policy.from_environment({"HERMETIC_HTTP_TIMEOUT": "2.5", "HERMETIC_HTTP_RETRIES": "0"})
        assert (policy.timeout, policy.retries) == (2.5, 0)
        assert Policy.from_environment({}) == Policy()

    @pytest.mark.parametrize("value", ["x", "-1", "nan", "inf", "1e9"])
    @pytest.mark.parametrize("name", ["HERMETIC_HTTP_TIMEOUT", "HERMETIC_HTTP_RETRIES"])
    def test_no_number(self, name: str, value: str) -> None:
        with pytest.raises(UsageError, match=name):
            Policy.from_environment({name: value})

    def test_no_time_at_all(self) -> None:
        with pytest.raises(UsageError):
            Policy.from_environment({"HERMETIC_HTTP_TIMEOUT": "0"})

    def test_progress_starts_anew(self) -> None:
        patience = Patience(Policy(retries=1, backoff=0), "it")
        for _ in range(5):
            patience.failed(Transient("broke"))
            patience.progressed()
        patience.failed(Transient("broke"))
        with pytest.raises(NetworkError, match=r"it: broke \(2 tries\)"):
            patience.failed(Transient("broke"))

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("0", 0.0), ("120", 120.0), ("", None), ("soon", None), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("-5", None)],
    )
    def test_retry_after(self, text: str, seconds: float | None) -> None:
        assert _retry_after(text) == seconds

    def test_retry_after_a_date(self) -> None:
        found = _retry_after("Fri, 31 Dec 2100 23:59:59 GMT")
        assert found is not None
        assert found > 1e6
