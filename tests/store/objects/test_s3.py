"""S3: what is really sent, verified as AWS would; and what its refusals become."""

from __future__ import annotations

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
from support.s3 import S3Server, s3_server

from hermetic import secrets
from hermetic.errors import CredentialsError, NetworkError, UsageError
from hermetic.store.objects import ObjectStore, open_objects
from hermetic.store.objects.bucket import Bucket
from hermetic.store.objects.reading import PART
from hermetic.store.objects.s3 import S3Objects
from hermetic.workspace_config import WorkspaceAddress


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.faults.clear()
    running.seen.clear()
    running.later(0)
    return running


@pytest.fixture
def bucket(server: S3Server) -> str:
    name = f"team-{uuid.uuid4().hex}"
    server.make_bucket(name)
    return name


def opened(address: str) -> ObjectStore:
    return open_objects(WorkspaceAddress("team", Path("/nonexistent"), artefacts=address))


@pytest.fixture
def objects(bucket: str) -> ObjectStore:
    return opened(f"s3://{bucket}/some/prefix")


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
        objects = S3Objects(Bucket("s3", bucket, "a/prefix"))
        objects.page_size = 10
        return objects

    @pytest.fixture
    def read(self) -> Callable[[str], bytes]:
        return lambda url: get(url)[1]

    @pytest.fixture
    def large(self) -> int:
        return 2 * PART + 12345 // 32 * 32


def test_prefixes_keep_workspaces_apart(bucket: str) -> None:
    one, two, whole = (opened(f"s3://{bucket}{prefix}") for prefix in ("/one", "/one-more/", ""))
    one.put_bytes("a", b"1")
    two.put_bytes("a", b"2")
    assert list(one.keys("")) == list(two.keys("")) == ["a"]
    assert list(whole.keys("")) == ["one-more/a", "one/a"]
    assert two.get_bytes("a") == b"2"


def test_the_signature_covers_method_path_and_time(objects: ObjectStore, server: S3Server) -> None:
    objects.put_bytes(WHEEL, b"0123456789")
    objects.put_bytes("other", b"")
    url = objects.signed_url(WHEEL, expires=60)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert get(url) == (200, b"0123456789")
    assert get(url, headers={"Range": "bytes=3-5"}) == (206, b"345")
    name = WHEEL.rpartition("/")[2].replace("+", "%2B")
    path = f"wheels/{'ab' * 32}/{name}"
    assert path in url
    for replayed in (url.replace(path, "other"), url.replace("Expires=60", "Expires=600"), url.split("?")[0]):
        assert replayed != url
        assert get(replayed)[0] == 403
    last = "0" if url[-1] != "0" else "1"
    assert get(url[:-1] + last)[0] == 403
    for method in ("HEAD", "PUT", "DELETE", "POST"):
        assert get(url, method)[0] == 403
    server.later(59)
    assert get(url)[0] == 200
    server.later(62)
    assert get(url)[0] == 403


def test_a_signature_is_hidden_wherever_it_is_told(objects: ObjectStore) -> None:
    url = objects.signed_url(WHEEL, expires=60)
    signature = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
    assert signature not in secrets.redact(f"asked for /x?a=b&X-Amz-Signature={signature}")


def test_logs_tell_no_signature(objects: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    """The client logs canonical requests and signatures to whoever listens."""
    with caplog.at_level(logging.DEBUG):
        objects.put_bytes(WHEEL, b"x")
        objects.get_bytes(WHEEL)
        list(objects.keys(""))
        url = objects.signed_url(WHEEL, expires=60)
    assert caplog.records  # it does listen
    text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert parse_qs(urlsplit(url).query)["X-Amz-Signature"][0] not in text
    for telling in ("Signature=", "AWS4-HMAC-SHA256", "AKIDEXAMPLE", "a/secret+key"):
        assert telling not in text


def test_a_large_file_goes_in_parts_and_is_seen_when_it_is_whole(
    objects: ObjectStore, server: S3Server, tmp_path: Path
) -> None:
    path, digest = written(tmp_path, os.urandom(2 * PART + 1))
    during: list[int | None] = []
    server.faults.append(lambda method, path: during.append(objects.size(WHEEL)) if "partNumber" in path else None)
    assert objects.put(WHEEL, path, sha256=digest)
    assert during == [None] * 3


def test_a_part_that_fails_is_sent_again(objects: ObjectStore, server: S3Server, tmp_path: Path) -> None:
    path, digest = written(tmp_path, os.urandom(2 * PART + 1))
    failing = iter([503, "drop", 500])
    server.faults.append(lambda method, path: next(failing, None) if "partNumber" in path else None)
    assert objects.put(WHEEL, path, sha256=digest)
    assert objects.size(WHEEL) == 2 * PART + 1


def test_an_upload_that_fails_for_good_is_taken_back(
    objects: ObjectStore, server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "1")
    path, digest = written(tmp_path, os.urandom(3 * PART))
    server.faults.append(lambda method, path: 503 if "partNumber=2" in path else None)
    with pytest.raises(NetworkError, match="503"):
        objects.put(WHEEL, path, sha256=digest)
    assert objects.size(WHEEL) is None
    assert b"<Upload>" not in server.ask("GET", f"/{bucket}?uploads")[1]


@pytest.mark.parametrize("then", [0, 404, 412])
def test_a_completion_whose_answer_was_lost_counts(
    objects: ObjectStore, server: S3Server, tmp_path: Path, then: int
) -> None:
    """The second try is told so: that it is done, that the upload is unknown, or that the key is taken."""
    path, digest = written(tmp_path, os.urandom(PART + 1))
    answers = iter(["lose", then])
    server.faults.append(lambda method, path: next(answers, 0) if method == "POST" and "uploadId" in path else None)
    assert objects.put(WHEEL, path, sha256=digest) is (then == 0)
    assert len([path for method, path, _ in server.seen if method == "POST" and "uploadId" in path]) == 2
    assert objects.size(WHEEL) == PART + 1


def test_a_conflict_about_something_else_is_not_taken_for_success(objects: ObjectStore, server: S3Server) -> None:
    server.faults.append(lambda method, target: 409 if method == "PUT" else None)
    with pytest.raises(NetworkError, match="409"):
        objects.put_bytes("a", b"x")


def test_a_server_without_conditional_writes_is_told(objects: ObjectStore, server: S3Server) -> None:
    server.faults.append(lambda method, target: 501 if method == "PUT" else None)
    with pytest.raises(UsageError, match="If-None-Match"):
        objects.put_bytes("a", b"x")


def test_a_server_that_is_busy_is_asked_again(objects: ObjectStore, server: S3Server) -> None:
    failing = iter([503, "drop"])
    server.faults.append(lambda method, path: next(failing, None))
    assert objects.put_bytes("a", b"x")
    assert objects.get_bytes("a") == b"x"


def test_a_server_that_stays_busy_is_given_up(
    objects: ObjectStore, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "1")
    server.faults.append(lambda method, path: 503)
    with pytest.raises(NetworkError, match="503"):
        objects.put_bytes("a", b"x")
    assert [status for method, _, status in server.seen if method == "PUT"] == [503, 503]


def test_wrong_keys_are_told_with_the_variables_to_set(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "n0t-the-key")
    objects = opened(f"s3://{bucket}")
    for act in (lambda: objects.put_bytes("a", b""), lambda: objects.get_bytes("a"), lambda: objects.size("a")):
        with pytest.raises(CredentialsError, match="refused") as caught:
            act()
        assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)
        assert "n0t-the-key" not in str(caught.value)


def test_no_keys_are_told_with_the_variables_to_set(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    objects = opened(f"s3://{bucket}")
    for act in (lambda: objects.size("a"), lambda: objects.signed_url("a", expires=60)):
        with pytest.raises(CredentialsError, match="no credentials") as caught:
            act()
        assert "AWS_ACCESS_KEY_ID" in str(caught.value)


def test_an_unknown_profile_is_told(server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsError, match="AWS_PROFILE"):
        opened(f"s3://{bucket}").size("a")


def test_a_bucket_that_is_not_there_is_told(server: S3Server) -> None:
    with pytest.raises(UsageError, match="no such bucket"):
        opened("s3://nobodys-bucket").put_bytes("a", b"")
    with pytest.raises(UsageError, match="no such bucket"):
        list(opened("s3://nobodys-bucket").keys(""))
    with pytest.raises(UsageError, match="no such bucket"):
        opened("s3://nobodys-bucket").get_bytes("a")


@pytest.mark.parametrize("said", ["", "us-west-2"])
def test_the_bucket_tells_its_region(server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """A URL that names another region is refused, and many machines are configured for another one."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if said:
            monkeypatch.setenv(name, said)
        else:
            monkeypatch.delenv(name)
    objects = opened(f"s3://{bucket}")
    assert objects.put_bytes("a", b"x")
    assert get(objects.signed_url("a", expires=60)) == (200, b"x")


def test_a_server_that_is_not_there_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:1"):
        opened(f"s3://{bucket}").size("a")


@pytest.mark.parametrize(
    "address", ["s3://", "s3://A", "s3://bucket?x=y", "s3://key:secret@bucket", "s3://bucket/a//b", "s3://bucket/../b"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(address)
    assert "secret" not in str(caught.value).replace("secrets", "")


def test_a_client_that_is_not_installed_is_named(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)
    objects = opened("s3://bucket")
    for act in (lambda: objects.size("a"), lambda: list(objects.keys("")), lambda: objects.signed_url("a", expires=1)):
        with pytest.raises(UsageError, match="package botocore") as caught:
            act()
        assert "pip install 'hermetic[s3]'" in str(caught.value)


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_without_a_reason_says_what_it_may_be(objects: ObjectStore, server: S3Server, status: int) -> None:
    """S3 answers HEAD without a body: 400 to an expired session, 403 to a clock that is wrong."""
    objects.put_bytes("a", b"x")
    server.faults.append(lambda method, path: status if method == "HEAD" else None)
    with pytest.raises(CredentialsError, match="expired credentials"):
        objects.size("a")
