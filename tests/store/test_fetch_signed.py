"""Private wheels come by addresses that are signed, expire, and are known to nobody afterwards."""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_samples import names_in
from support.faulty import FaultyServer, cut, faulty, flipped, hang, status
from support.faulty_server import redirect

from hermetic.digest import sha256_bytes
from hermetic.errors import CredentialsError, HermeticError, IntegrityError, NetworkError, OfflineError, UsageError
from hermetic.store import Store
from hermetic.store.fetch import Artifact, fetch
from hermetic.store.http import Client, NotFoundError, Policy

FILE = "mine-1.0-py3-none-any.whl"
DATA = random.Random(FILE).randbytes(300_000)
SHA256 = sha256_bytes(DATA)
URL = f"hermetic://team/wheels/{SHA256}/{FILE}"


class Keeper:
    """Signs addresses of a server that takes one signature at a time; ``expire`` makes it take the next one only."""

    def __init__(self, server: FaultyServer) -> None:
        self.server = server
        self.signed = 0
        self.stale = 0
        self.epoch = 0
        self.expire()

    def expire(self) -> None:
        self.epoch += 1
        self.server.query = f"signature=S3cr3t{self.epoch:04}"

    def sign(self) -> str:
        self.signed += 1
        self.stale -= 1
        query = "signature=S3cr3t0ld" if self.stale >= 0 else self.server.query
        return f"{self.server.url}/{FILE}?{query}"

    def artifact(self, *more: str, **changes: Any) -> Artifact:
        return Artifact(FILE, (URL, *more), SHA256, len(DATA), **{"sign": self.sign, **changes})

    def dying(self, share: float) -> Any:
        """Send a share of what is asked for, then break off: from then on the signature has expired."""
        break_off = cut(share)

        def answer(handler: Any) -> None:
            break_off(handler)
            self.expire()

        return answer


@pytest.fixture
def keeper(server: FaultyServer, tmp_path: Path) -> Keeper:
    (tmp_path / "served" / FILE).write_bytes(DATA)
    return Keeper(server)


@pytest.fixture
def impatient() -> Client:
    """One more try after a failure, and no waiting."""
    return Client(Policy(timeout=5, retries=1, backoff=0.0))


class TestExpiry:
    def test_in_the_middle_it_is_renewed_and_resumed(self, store: Store, keeper: Keeper, impatient: Client) -> None:
        keeper.server.fault(FILE, keeper.dying(0.5), times=1)
        fetch(store, [keeper.artifact()], client=impatient)
        assert store.blob_path(SHA256).read_bytes() == DATA
        first, second = keeper.server.asked
        assert (first.range, second.range) == ("", "bytes=150000-")
        assert first.path != second.path
        assert names_in(store.root / "partial") == []

    def test_many_times_in_one_download(self, store: Store, keeper: Keeper, impatient: Client) -> None:
        keeper.server.fault(FILE, keeper.dying(0.3), times=4)
        fetch(store, [keeper.artifact()], client=impatient)
        assert store.has_blob(SHA256)
        assert len({asked.path for asked in keeper.server.asked}) == 5

    def test_before_the_first_byte_it_is_signed_again_at_once(self, store: Store, keeper: Keeper) -> None:
        """A refusal is no failure of the network: nothing is waited for, and no try is used up."""
        keeper.stale = 1
        fetch(store, [keeper.artifact()], client=Client(Policy(timeout=5, retries=0, backoff=3600)))
        assert store.has_blob(SHA256)
        assert keeper.signed == 2

    def test_another_process_goes_on_where_one_was_refused(
        self, store: Store, keeper: Keeper, impatient: Client
    ) -> None:
        keeper.server.fault(FILE, cut(0.5), times=1)
        keeper.server.fault(FILE, status(403))
        with pytest.raises(CredentialsError):
            fetch(store, [keeper.artifact()], client=impatient)
        keeper.server.mend()
        keeper.expire()
        fetch(store, [keeper.artifact()], client=impatient)
        assert [asked.range for asked in keeper.server.asked] == ["bytes=150000-"]
        assert store.has_blob(SHA256)


@pytest.mark.parametrize("code", [400, 401, 403])
def test_a_keeper_that_takes_no_signature(store: Store, keeper: Keeper, code: int) -> None:
    keeper.server.fault(FILE, status(code))
    with pytest.raises(CredentialsError) as caught:
        fetch(store, [keeper.artifact()], client=Client(Policy(retries=9, backoff=3600)))
    assert keeper.signed == 2
    assert f"the keeper of {URL} refuses" in caught.value.message
    assert f"({code})" in caught.value.message
    assert "clock" in (caught.value.remedy or "")
    assert "S3cr3t" not in str(caught.value)
    assert keeper.server.url not in str(caught.value)


def nonsense(handler: Any) -> None:
    """Answer what is no HTTP."""
    handler.wfile.write(b"220 mail.example.org\r\n\r\n")
    handler.close_connection = True


def bad_head(handler: Any) -> None:
    """Answer with a header that urllib3 warns of, address and all."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nno header at all\r\nX: y\r\n\r\nabc")
    handler.close_connection = True


FAULTS: dict[str, tuple[Any, type[HermeticError]]] = {
    "cut": (cut(0.5), NetworkError),
    "cut, length unknown": (cut(0.5, announced=False), NetworkError),
    "reset": (cut(0.5, reset=True), NetworkError),
    "gone": (status(404), NotFoundError),
    "busy": (status(503), NetworkError),
    "a wait of hours": (status(429, {"Retry-After": "9999"}), NetworkError),
    "a teapot": (status(418), NetworkError),
    "wrong bytes": (flipped, IntegrityError),
    "redirects": (redirect("?signature=S3cr3tS3cr3t"), NetworkError),
    "to a file": (redirect("file:///etc/passwd?S3cr3t"), NetworkError),
    "refused": (status(403), CredentialsError),
    "says nothing": (hang(), NetworkError),
    "falls silent": (hang(0.5), NetworkError),
    "talks nonsense": (nonsense, NetworkError),
    "nonsense in the head": (bad_head, IntegrityError),
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS.keys())
def test_no_failure_tells_the_signature(
    store: Store, keeper: Keeper, fault: Any, kind: type[HermeticError], caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Not in the error, not in what any library logs, not in the name or text of any file."""
    caplog.set_level(logging.DEBUG)
    keeper.server.fault(FILE, fault)
    with pytest.raises(kind) as caught:
        fetch(store, [keeper.artifact()], client=Client(Policy(timeout=0.5, retries=1, backoff=0.0)))
    assert FILE in str(caught.value)
    written = [f"{path}\n{path.read_bytes()!r}" for path in store.root.rglob("*") if path.is_file()]
    told = "".join(traceback.format_exception(caught.value))  # a program of the user's prints all that led to it
    for text in (told, repr(caught.value), caplog.text, *written):
        assert "S3cr3t" not in text
    assert "urllib3" in caplog.text, "else nothing was logged that could tell"


def test_an_artefact_does_not_show_how_it_is_signed(keeper: Keeper) -> None:
    assert "S3cr3t" not in repr(keeper.artifact())
    assert keeper.artifact() == keeper.artifact(sign=None)


def test_what_is_not_there_names_the_workspace(store: Store, keeper: Keeper, client: Client) -> None:
    keeper.server.fault(FILE, status(404))
    with pytest.raises(NotFoundError, match=rf"{FILE}: the workspace team does not have it \({URL}\)"):
        fetch(store, [keeper.artifact()], client=client)
    assert keeper.signed == 1


def test_credentials_of_the_host_stay_at_home(
    store: Store, keeper: Keeper, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 refuses a request with two ways to prove who asks, and nobody needs the second."""
    monkeypatch.setenv("HERMETIC_AUTH_127_0_0_1", "me:password")
    fetch(store, [keeper.artifact()], client=client)
    assert [asked.authorization for asked in keeper.server.asked] == [""]


def test_a_redirect_is_followed_with_its_own_query(
    store: Store, keeper: Keeper, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "it").write_bytes(DATA)
    with faulty(tmp_path / "elsewhere") as other:
        other.query = "theirs=1"
        keeper.server.fault(FILE, redirect(f"{other.url}/it?theirs=1"))
        fetch(store, [keeper.artifact()], client=client)
        assert [asked.path for asked in other.asked] == ["/it?theirs=1"]


def test_the_next_address_serves_where_the_workspace_has_nothing(
    store: Store, keeper: Keeper, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "copy.whl").write_bytes(DATA)
    keeper.server.fault(FILE, status(404))
    fetch(store, [keeper.artifact((tmp_path / "copy.whl").as_uri())], client=client)
    assert store.has_blob(SHA256)


def test_what_cannot_be_signed_says_why(store: Store, client: Client) -> None:
    def sign() -> str:
        raise UsageError("nothing here tells where the workspace 'team' is")

    with pytest.raises(UsageError, match="where the workspace 'team' is"):
        fetch(store, [Artifact(FILE, (URL,), SHA256, sign=sign)], client=client)


class TestOffline:
    def test_nothing_is_signed(self, store: Store, keeper: Keeper) -> None:
        with pytest.raises(OfflineError, match=FILE):
            fetch(store, [keeper.artifact()], offline=True)
        assert keeper.signed == 0

    def test_what_is_in_the_store_serves(self, store: Store, keeper: Keeper, client: Client) -> None:
        fetch(store, [keeper.artifact()], client=client)
        fetch(store, [keeper.artifact()], offline=True)
        assert keeper.signed == 1

    def test_a_workspace_on_this_machine_serves(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(DATA)
        near = Artifact(FILE, (URL,), SHA256, sign=(tmp_path / FILE).as_uri, near=True)
        fetch(store, [near], offline=True)
        assert store.blob_path(SHA256).read_bytes() == DATA


class TestNear:
    def test_a_file_that_is_not_there(self, store: Store, tmp_path: Path) -> None:
        near = Artifact(FILE, (URL,), SHA256, sign=(tmp_path / FILE).as_uri, near=True)
        with pytest.raises(NotFoundError, match="the workspace team does not have it"):
            fetch(store, [near])

    def test_a_file_with_other_bytes(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(b"other")
        near = Artifact(FILE, (URL,), SHA256, sign=(tmp_path / FILE).as_uri, near=True)
        with pytest.raises(IntegrityError, match=f"wrong bytes from {URL}"):
            fetch(store, [near])
        assert not store.has_blob(SHA256)


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Let urllib3 speak, as a program may that logs everything."""
    logger = logging.getLogger("urllib3")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)
