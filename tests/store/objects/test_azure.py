"""Azure Blob, held to the emulator's word: real signatures, real refusals, real expiry."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from object_contract import WHEEL, Contract, written
from support.azurite import ACCOUNT, KEY, Azurite, azurite
from support.forwarding import Way, forwarding
from support.registries import make_certificates

from hermetic import secrets
from hermetic.errors import CredentialsError, NetworkError, UsageError
from hermetic.store.objects import ObjectStore, open_objects
from hermetic.store.objects import azure as azure_module
from hermetic.store.objects.azure import AzureObjects
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.reading import PART
from hermetic.workspace_config import WorkspaceAddress


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def server(running: Azurite, monkeypatch: pytest.MonkeyPatch) -> Azurite:
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def container(server: Azurite) -> str:
    name = f"team-{uuid.uuid4().hex}"
    server.make_container(name)
    return name


def opened(address: str) -> ObjectStore:
    return open_objects(WorkspaceAddress("team", Path("/nonexistent"), artefacts=address))


@pytest.fixture
def objects(container: str) -> ObjectStore:
    return opened(f"az://{ACCOUNT}/{container}/some/prefix")


def get(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class TestContract(Contract):
    @pytest.fixture
    def objects(self, container: str) -> ObjectStore:
        objects = AzureObjects(Bucket("az", container, "a/prefix", ACCOUNT))
        objects.page_size = 10
        return objects

    @pytest.fixture
    def read(self) -> Callable[[str], bytes]:
        return lambda url: get(url)[1]

    @pytest.fixture
    def large(self) -> int:
        return 2 * PART + 12345 // 32 * 32


def test_prefixes_keep_workspaces_apart(container: str) -> None:
    one, two, whole = (opened(f"az://{ACCOUNT}/{container}{prefix}") for prefix in ("/one", "/one-more/", ""))
    one.put_bytes("a", b"1")
    two.put_bytes("a", b"2")
    assert list(one.keys("")) == list(two.keys("")) == ["a"]
    assert list(whole.keys("")) == ["one-more/a", "one/a"]
    assert two.get_bytes("a") == b"2"


def test_the_signature_covers_the_blob_the_right_and_the_time(
    objects: ObjectStore, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put_bytes(WHEEL, b"0123456789")
    objects.put_bytes("other", b"another's")
    url = objects.signed_url(WHEEL, expires=60)
    query = parse_qs(urlsplit(url).query)
    assert (query["sp"], query["sr"]) == (["r"], ["b"])
    assert get(url) == (200, b"0123456789")
    assert get(url, headers={"Range": "bytes=3-5"}) == (206, b"345")
    bare, _, signed = url.partition("?")
    path = urlsplit(bare).path
    other = bare.replace(path, f"/{ACCOUNT}/{container}/some/prefix/other")
    sooner = query["se"][0].replace(":", "%3A")
    later = "2999-01-01T00%3A00%3A00Z"
    assert sooner in url
    tampered = url.replace("sig=", "sig=A")
    for replayed in (bare, f"{other}?{signed}", url.replace(sooner, later), url.replace("sp=r", "sp=rwd"), tampered):
        assert replayed != url
        assert get(replayed)[0] == 403
    for method, headers in (("PUT", {"x-ms-blob-type": "BlockBlob"}), ("DELETE", {})):
        assert get(url, method, {"x-ms-version": "2020-10-02", **headers})[0] == 403
    container_listing = f"{bare.partition('/some/')[0]}?restype=container&comp=list&{signed}"
    assert get(container_listing)[0] == 403
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr(azure_module, "_now", lambda: hour_ago)
    status, said = get(objects.signed_url(WHEEL, expires=3599 - 60))
    assert status == 403
    assert b"AuthenticationFailed" in said or b"AuthorizationFailure" in said
    assert get(objects.signed_url(WHEEL, expires=3600 + 60))[0] == 200


def test_addresses_are_for_https_alone_where_there_is_https(monkeypatch: pytest.MonkeyPatch, server: Azurite) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName={ACCOUNT};AccountKey={KEY}")
    url = opened(f"az://{ACCOUNT}/container").signed_url(WHEEL, expires=60)
    assert url.startswith(f"https://{ACCOUNT}.blob.core.windows.net/container/wheels/")
    assert parse_qs(urlsplit(url).query)["spr"] == ["https"]


def test_secrets_are_hidden_wherever_they_are_told(objects: ObjectStore) -> None:
    for seconds in range(60, 80):  # some have slashes and pluses, which are written in more than one way
        query = urlsplit(objects.signed_url(WHEEL, expires=seconds)).query
        raw, signature = query.partition("sig=")[2], parse_qs(query)["sig"][0]
        told = secrets.redact(f"asked for /x?a=b&sig={raw} and {signature} and {quote(signature, safe='')}")
        assert told == "asked for /x?a=b&sig=*** and *** and ***"
    assert KEY not in secrets.redact(f"AccountKey={KEY}")


def test_logs_tell_no_signature(objects: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        objects.put_bytes(WHEEL, b"x")
        objects.get_bytes(WHEEL)
        list(objects.keys(""))
        url = objects.signed_url(WHEEL, expires=60)
    assert caplog.records
    text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert parse_qs(urlsplit(url).query)["sig"][0] not in text
    for telling in ("SharedKey", KEY, "StringToSign"):
        assert telling not in text


def test_blocks_that_were_never_committed_are_no_blob(objects: ObjectStore, container: str, tmp_path: Path) -> None:
    path, _ = written(tmp_path, os.urandom(3 * PART))
    with pytest.raises(Exception, match="sha256"):
        objects.put(WHEEL, path, sha256="0" * 64)
    assert objects.size(WHEEL) is None
    assert list(objects.keys("")) == []


def test_a_shared_signature_uploads_but_does_not_sign(
    server: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    token = generate_container_sas(
        ACCOUNT, container, account_key=KEY, permission=ContainerSasPermissions(read=True, write=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"?{token}")
    monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", f"{server.url}/{ACCOUNT}")
    objects = opened(f"az://{ACCOUNT}/{container}")
    assert objects.put_bytes("a", b"x")
    assert objects.get_bytes("a") == b"x"
    with pytest.raises(CredentialsError, match="AZURE_STORAGE_SAS_TOKEN cannot sign") as caught:
        objects.signed_url("a", expires=60)
    assert "AZURE_STORAGE_KEY" in str(caught.value)
    assert parse_qs(token)["sig"][0] not in secrets.redact(parse_qs(token)["sig"][0])
    with pytest.raises(CredentialsError, match="refused") as caught:
        objects.delete("a")
    assert "AZURE_STORAGE_SAS_TOKEN" in str(caught.value)


def test_the_accounts_key_alone_will_do(server: Azurite, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", f"{server.url}/{ACCOUNT}")
    objects = opened(f"az://{ACCOUNT}/{container}")
    assert objects.put_bytes("a", b"x")
    assert get(objects.signed_url("a", expires=60)) == (200, b"x")


BAD = {
    "a wrong key": (
        "AZURE_STORAGE_CONNECTION_STRING",
        "AccountName=team1;AccountKey=d3Jvbmc=;BlobEndpoint={url}/team1",
    ),
    "another account": ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=d3Jvbmc="),
    "no key": ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=team1"),
    "a key that is none": ("AZURE_STORAGE_KEY", "no key at all"),
}


@pytest.mark.parametrize(("variable", "value"), BAD.values(), ids=BAD.keys())
def test_wrong_credentials_name_their_variable(
    server: Azurite, container: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv(variable, value.replace("{url}", server.url))
    objects = opened(f"az://{ACCOUNT}/{container}")
    with pytest.raises(CredentialsError, match=variable) as caught:
        objects.put_bytes("a", b"")
    assert "d3Jvbmc=" not in str(caught.value)
    assert "no key at all" not in str(caught.value)


def test_no_credentials_name_the_variables_to_set(
    server: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    objects = opened(f"az://{ACCOUNT}/{container}")
    for act in (lambda: objects.size("a"), lambda: objects.signed_url("a", expires=60)):
        with pytest.raises(CredentialsError, match="no credentials") as caught:
            act()
        assert "AZURE_STORAGE_CONNECTION_STRING" in str(caught.value)
        assert "azure-identity" in str(caught.value)


def test_a_container_that_is_not_there_is_told(server: Azurite) -> None:
    objects = opened(f"az://{ACCOUNT}/nobodys")
    for act in (
        lambda: objects.put_bytes("a", b""),
        lambda: list(objects.keys("")),
        lambda: objects.size("a"),
        lambda: objects.get_bytes("a"),
        lambda: objects.delete("a"),
    ):
        with pytest.raises(UsageError, match="no such container"):
            act()


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, server: Azurite) -> None:
    nobody = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/{ACCOUNT}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", nobody)
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    with pytest.raises(NetworkError, match="az://") as caught:
        opened(f"az://{ACCOUNT}/container").size("a")
    assert caught.value.remedy


def test_a_client_that_is_not_installed_is_named(server: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "azure"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "azure", None)
    objects = opened(f"az://{ACCOUNT}/container")
    for act in (lambda: objects.size("a"), lambda: list(objects.keys("")), lambda: objects.signed_url("a", expires=1)):
        with pytest.raises(UsageError, match="azure-storage-blob") as caught:
            act()
        assert "pip install 'hermetic[azure]'" in str(caught.value)


@pytest.mark.parametrize(
    "address", ["az://", "az://team1", "az://team1/C", "az://team1/c?sig=S3cr3t", "az://a:S3cr3t@team1/container"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(address)
    assert "S3cr3t" not in str(caught.value)


@pytest.fixture
def way(server: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """The emulator through a way that can be spoiled; the client's pauses are short."""
    with forwarding(server.url.partition("://")[2]) as way:
        text = server.connection_string.replace(server.url, way.url)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        yield way


def test_a_block_that_fails_is_sent_again(container: str, way: Way, tmp_path: Path) -> None:
    objects = opened(f"az://{ACCOUNT}/{container}")
    path, digest = written(tmp_path, os.urandom(2 * PART + 1))
    failing = iter([503, "drop"])
    way.faults.append(lambda method, path: next(failing, None) if "comp=block&" in f"{path}&" else None)
    assert objects.put(WHEEL, path, sha256=digest)
    assert objects.size(WHEEL) == 2 * PART + 1
    assert sorted(status for method, target, status in way.seen if "comp=block&" in f"{target}&") == [
        0, 201, 201, 201, 503,
    ]  # fmt: skip


def test_an_upload_that_fails_for_good_leaves_nothing(
    container: str, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    objects = opened(f"az://{ACCOUNT}/{container}")
    path, digest = written(tmp_path, os.urandom(3 * PART))
    way.faults.append(lambda method, path: 503 if "comp=block&" in f"{path}&" else None)
    with pytest.raises(NetworkError, match="503"):
        objects.put(WHEEL, path, sha256=digest)
    assert objects.size(WHEEL) is None


def test_a_commit_whose_answer_was_lost_counts(container: str, way: Way, tmp_path: Path) -> None:
    """The emulator commits, the answer is lost, and the second try finds the key taken."""
    objects = opened(f"az://{ACCOUNT}/{container}")
    path, digest = written(tmp_path, os.urandom(2 * PART))
    losing = iter(["lose"])
    way.faults.append(lambda method, target: next(losing, None) if "comp=blocklist" in target else None)
    assert objects.put(WHEEL, path, sha256=digest) is False
    assert [status for _, target, status in way.seen if "comp=blocklist" in target] == [0, 409]
    assert objects.size(WHEEL) == 2 * PART


def test_a_conflict_about_something_else_is_not_taken_for_success(container: str, way: Way) -> None:
    objects = opened(f"az://{ACCOUNT}/{container}")
    way.faults.append(lambda method, target: 409 if method == "PUT" else None)
    with pytest.raises(NetworkError, match="409"):
        objects.put_bytes("a", b"x")


class Identity:
    """What azure-identity would find, for an emulator that reads a token's claims and believes them."""

    asked = 0

    def get_token(self, *_scopes: str, **_options: object) -> SimpleNamespace:
        Identity.asked += 1
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "nbf": now - 60, "iat": now - 60, "exp": now + 3600, "oid": "11059fcc-5514-4800-b5f8-49808b9cfab6",
            "tid": "ab1f708d-50f6-404c-a006-d71b2ac7a606",
        }  # fmt: skip
        head, body = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (TYPE, claims))
        return SimpleNamespace(token=f"{head}.{body}.c2lnbmVk", expires_on=now + 3600)


TYPE = {"alg": "HS256", "typ": "JWT"}


def test_an_identity_signs_by_a_delegated_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Azurite) -> None:
    """Without the account's key, where azure-identity is installed: over https, as it must be."""
    authority = make_certificates(tmp_path / "tls")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    secure = ["--cert", str(authority.with_name("server.pem")), "--key", str(authority.with_name("server.secret"))]
    (tmp_path / "data").mkdir()
    with azurite(tmp_path / "data", "--oauth", "basic", *secure) as emulator:
        emulator.make_container("team")
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))  # as hermetic's own client reads it
        monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
        monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", f"{emulator.url}/{ACCOUNT}")
        module = ModuleType("azure.identity")
        module.DefaultAzureCredential = Identity  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "azure.identity", module)
        objects = opened(f"az://{ACCOUNT}/team")
        assert objects.put_bytes(WHEEL, b"0123456789")
        assert objects.get_bytes(WHEEL) == b"0123456789"
        urls = [objects.signed_url(WHEEL, expires=seconds) for seconds in (60, 600, 7200)]
    # The emulator does not know yet how this year's clients write what they sign, so what is sent is looked at.
    asked = [{name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} for url in urls]
    for query in asked:
        assert (query["sp"], query["sr"], query["spr"]) == ("r", "b", "https")
        assert query["skoid"] == "11059fcc-5514-4800-b5f8-49808b9cfab6"
        assert query["skt"] < query["se"] <= query["ske"]
    assert asked[0]["ske"] == asked[1]["ske"] < asked[2]["ske"]  # one key for many, as long as it lasts
    assert len({query["sig"] for query in asked}) == 3
