"""Google Cloud Storage: its own client against a server that verifies tokens and signatures by the public key."""

from __future__ import annotations

import json
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from object_contract import WHEEL, Contract, written
from support.gcs import EMAIL, GcsServer, gcs_server

from hermetic import secrets
from hermetic.errors import CredentialsError, IntegrityError, NetworkError, UsageError
from hermetic.store.objects import ObjectStore, open_objects
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.gcs import GcsObjects
from hermetic.store.objects.reading import PART
from hermetic.workspace_config import WorkspaceAddress


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture
def server(running: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "STORAGE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.faults.clear()
    running.seen.clear()
    running.later(0)
    return running


@pytest.fixture
def bucket(server: GcsServer) -> str:
    name = f"team-{uuid.uuid4().hex}"
    server.buckets[name] = {}
    return name


def opened(address: str) -> ObjectStore:
    return open_objects(WorkspaceAddress("team", Path("/nonexistent"), artefacts=address))


@pytest.fixture
def objects(bucket: str) -> ObjectStore:
    return opened(f"gs://{bucket}/some/prefix")


def get(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class TestContract(Contract):
    @pytest.fixture
    def objects(self, bucket: str) -> ObjectStore:
        objects = GcsObjects(Bucket("gs", bucket, "a/prefix"))
        objects.page_size = 10
        return objects

    @pytest.fixture
    def read(self) -> Callable[[str], bytes]:
        return lambda url: get(url)[1]

    @pytest.fixture
    def large(self) -> int:
        return 2 * PART + 12345 // 32 * 32


def test_the_signature_covers_method_path_and_time(objects: ObjectStore, server: GcsServer) -> None:
    objects.put_bytes(WHEEL, b"0123456789")
    objects.put_bytes("other", b"")
    url = objects.signed_url(WHEEL, expires=60)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Goog-Expires"] == ["60"]
    assert query["X-Goog-Credential"][0].startswith(EMAIL)
    assert get(url) == (200, b"0123456789")
    assert get(url, headers={"Range": "bytes=3-5"}) == (206, b"345")
    name = WHEEL.rpartition("/")[2].replace("+", "%2B")
    path = f"wheels/{'ab' * 32}/{name}"
    assert path in url
    last = "0" if url[-1] != "0" else "1"
    for replayed in (
        url.replace(path, "other"), url.replace("Expires=60", "Expires=600"), url.split("?")[0], url[:-1] + last
    ):  # fmt: skip
        assert replayed != url
        assert get(replayed)[0] == 403
    for method in ("HEAD", "PUT", "DELETE", "POST"):
        assert get(url, method)[0] == 403
    server.later(58)
    assert get(url)[0] == 200
    server.later(62)
    assert get(url)[0] == 403


def test_secrets_are_hidden_wherever_they_are_told(objects: ObjectStore) -> None:
    signature = parse_qs(urlsplit(objects.signed_url(WHEEL, expires=60)).query)["X-Goog-Signature"][0]
    assert signature not in secrets.redact(f"asked for /x?a=b&X-Goog-Signature={signature}")


def test_logs_tell_no_signature_and_no_token(
    objects: ObjectStore, server: GcsServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        objects.put_bytes(WHEEL, b"x")
        objects.get_bytes(WHEEL)
        list(objects.keys(""))
        url = objects.signed_url(WHEEL, expires=60)
    assert caplog.records
    text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert parse_qs(urlsplit(url).query)["X-Goog-Signature"][0] not in text
    assert not [token for token in server.tokens if token in text]


def test_a_piece_that_fails_is_sent_again(objects: ObjectStore, server: GcsServer, tmp_path: Path) -> None:
    path, digest = written(tmp_path, os.urandom(2 * PART + 1))
    failing = iter([503, "drop"])
    server.faults.append(lambda method, path: next(failing, None) if "upload_id" in path else None)
    assert objects.put(WHEEL, path, sha256=digest)
    assert objects.size(WHEEL) == 2 * PART + 1
    assert [status for method, _, status in server.seen if method == "PUT"] == [503, 308, 308, 200]


def test_an_upload_that_fails_for_good_leaves_nothing(
    objects: ObjectStore, server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "1")
    path, digest = written(tmp_path, os.urandom(3 * PART))
    server.faults.append(lambda method, path: 503 if "upload_id" in path else None)
    with pytest.raises(NetworkError, match="503"):
        objects.put(WHEEL, path, sha256=digest)
    assert objects.size(WHEEL) is None
    assert [status for method, _, status in server.seen if method == "PUT"] == [503, 503]


def test_the_last_piece_of_a_wrong_file_is_never_sent(objects: ObjectStore, server: GcsServer, tmp_path: Path) -> None:
    path, _ = written(tmp_path, os.urandom(3 * PART))
    with pytest.raises(IntegrityError):
        objects.put(WHEEL, path, sha256="0" * 64)
    assert [status for method, _, status in server.seen if method == "PUT"] == [308, 308]


def test_a_server_that_is_busy_is_asked_again(objects: ObjectStore, server: GcsServer) -> None:
    failing = iter([503, "drop"])
    server.faults.append(lambda method, path: next(failing, None) if "/storage/" in path else None)
    assert objects.put_bytes("a", b"x")
    assert objects.get_bytes("a") == b"x"


def test_no_credentials_name_the_variable_to_set(
    server: GcsServer, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    objects = opened(f"gs://{bucket}")
    for act in (lambda: objects.size("a"), lambda: objects.signed_url("a", expires=60)):
        with pytest.raises(CredentialsError, match="no credentials") as caught:
            act()
        assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value)


def test_a_key_file_that_is_not_there_is_told(
    server: GcsServer, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(CredentialsError, match=r"none\.json"):
        opened(f"gs://{bucket}").size("a")


def test_a_key_that_google_does_not_know_is_told(
    server: GcsServer, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with gcs_server(tmp_path) as another:
        account = {**json.loads(another.key_file.read_text()), "token_uri": f"{server.url}/token"}
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(forged))
    with pytest.raises(CredentialsError, match="refused") as caught:
        opened(f"gs://{bucket}").put_bytes("a", b"x")
    assert "PRIVATE KEY" not in str(caught.value)


def test_an_emulator_without_credentials_does_not_sign(
    server: GcsServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    objects = opened(f"gs://{bucket}")
    with pytest.raises(CredentialsError, match="cannot sign") as caught:
        objects.signed_url("a", expires=60)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value)
    with pytest.raises(CredentialsError, match="nonymous"):
        objects.put_bytes("a", b"x")


def test_a_bucket_that_is_not_there_is_told(server: GcsServer) -> None:
    objects = opened("gs://nobodys")
    for act in (
        lambda: objects.put_bytes("a", b""),
        lambda: list(objects.keys("")),
        lambda: objects.get_bytes("a"),
        lambda: objects.delete("a"),
    ):
        with pytest.raises(UsageError, match="no such bucket"):
            act()


def test_a_server_that_is_not_there_is_told(server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    with pytest.raises(NetworkError, match="gs://bucket") as caught:
        opened("gs://bucket").size("a")
    assert caught.value.remedy


def test_a_client_that_is_not_installed_is_named(server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google", None)
    objects = opened("gs://bucket")
    for act in (lambda: objects.size("a"), lambda: list(objects.keys("")), lambda: objects.signed_url("a", expires=1)):
        with pytest.raises(UsageError, match="google-cloud-storage") as caught:
            act()
        assert "pip install 'hermetic[gcs]'" in str(caught.value)
