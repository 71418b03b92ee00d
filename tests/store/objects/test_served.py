"""A workspace's artefacts from another machine's point of view: read by signed URLs, written by none."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.serving import Desk, desk

from hermetic.errors import CredentialsError, IntegrityError, NetworkError, UsageError
from hermetic.store.http import Client
from hermetic.store.objects import MissingObjectError, ObjectStore, open_objects
from hermetic.store.objects.served import VARIABLE, check_health
from hermetic.workspace.serving.run import Settings
from hermetic.workspace_config import WorkspaceAddress

DATA = b"the wheel"
KEY = f"wheels/{hashlib.sha256(DATA).hexdigest()}/mine-1.0-py3-none-any.whl"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A server whose clock is the machine's, and a key of it in the environment."""
    with desk(tmp_path / "w") as found:
        found.clock.now = time.time()
        found.keep(KEY, DATA)
        monkeypatch.setenv(VARIABLE, found.keys.add("this machine").text())
        yield found


def objects(found: Desk, tmp_path: Path) -> ObjectStore:
    return open_objects(WorkspaceAddress("team", tmp_path / "here", artefacts=found.url + "/"))


def test_what_is_there_can_be_read(served: Desk, tmp_path: Path) -> None:
    store = objects(served, tmp_path)
    assert store.where == served.url
    assert store.get_bytes(KEY) == DATA
    assert store.size(KEY) == len(DATA)
    url = store.signed_url(KEY, expires=60)
    assert Client().get_bytes(url)[0] == DATA


def test_what_is_not_there_is_told(served: Desk, tmp_path: Path) -> None:
    store = objects(served, tmp_path)
    assert store.size("wheels/no") is None
    with pytest.raises(MissingObjectError, match="wheels/no"):
        store.get_bytes("wheels/no")


def test_nothing_can_be_written_listed_or_deleted(served: Desk, tmp_path: Path) -> None:
    store = objects(served, tmp_path)
    file = tmp_path / "file"
    file.write_bytes(DATA)
    assert store.put(KEY, file, sha256=hashlib.sha256(DATA).hexdigest()) is False  # it is there
    assert store.put_bytes(KEY, DATA) is False
    with pytest.raises(IntegrityError):
        store.put_bytes(KEY, DATA + b"x")
    for act in (
        lambda: store.put("wheels/new", file, sha256=hashlib.sha256(DATA).hexdigest()),
        lambda: store.put_bytes("wheels/new", b"x"),
        lambda: store.keys("wheels/"),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(UsageError, match="file server"):
            act()


def test_without_a_key_or_with_a_bad_one_it_says_what_to_do(
    served: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = objects(served, tmp_path)
    stranger = replace(served.keys.signing_key(), secret=b"x" * 32).text()
    monkeypatch.setenv(VARIABLE, stranger)
    with pytest.raises(CredentialsError, match="refuses this machine's key") as raised:
        store.get_bytes(KEY)
    assert "sig=" not in str(raised.value)
    assert stranger.partition(":")[2] not in str(raised.value)
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(UsageError, match="no key"):
        store.size(KEY)
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(CredentialsError, match=VARIABLE):
        store.signed_url(KEY, expires=1)


def test_the_key_may_be_a_secret(served: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMETIC_SECRET_WORKSPACE_KEY", os.environ[VARIABLE])
    monkeypatch.delenv(VARIABLE)
    assert objects(served, tmp_path).get_bytes(KEY) == DATA


@pytest.mark.parametrize("expires", [0, -1, 7 * 86400 + 1])
def test_a_url_holds_for_a_week_at_most(expires: int, served: Desk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seconds"):
        objects(served, tmp_path).signed_url(KEY, expires=expires)
    url = objects(served, tmp_path).signed_url(KEY, expires=7 * 86400)
    assert Client().get_bytes(url)[0] == DATA


@pytest.mark.parametrize(
    "address",
    ["https://user:password@example.org", "https://example.org/?sig=x", "https:///x", "https://example.org/#x"],
)
def test_what_is_no_address_of_a_server_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="file server"):
        open_objects(WorkspaceAddress("team", tmp_path, artefacts=address))


def test_a_server_that_asks_for_patience_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk(tmp_path / "w", Settings(rate=5, burst=1)) as found:
        found.clock.now = time.time()
        found.keep(KEY, DATA)
        monkeypatch.setenv(VARIABLE, found.keys.add().text())
        store = objects(found, tmp_path)
        assert [store.get_bytes(KEY) for _ in range(3)] == [DATA] * 3
        assert [store.size(KEY) for _ in range(2)] == [len(DATA)] * 2


def test_health_is_that_of_a_file_server(served: Desk, tmp_path: Path) -> None:
    from support.servers import serve

    check_health(served.url)
    (tmp_path / "-").mkdir()
    (tmp_path / "-" / "health").write_text("fine")
    with serve(tmp_path) as other, pytest.raises(NetworkError, match="no file server"):
        check_health(other.url)


def test_no_program_sees_the_key(served: Desk, tmp_path: Path) -> None:
    """A key in the environment is hidden where it is used, and stands in no message."""
    code = (
        "from pathlib import Path; from hermetic.store.objects import open_objects; import os\n"
        "from hermetic.secrets import redact; from hermetic.workspace_config import WorkspaceAddress\n"
        f"store = open_objects(WorkspaceAddress('team', Path('x'), artefacts={served.url!r}))\n"
        f"url = store.signed_url({KEY!r}, expires=9)\n"
        f"print(*map(redact, [os.environ[{VARIABLE!r}], url, url.rpartition('=')[2]]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    secret = os.environ[VARIABLE].partition(":")[2]
    assert secret not in ran.stdout
    assert ran.stdout.strip().endswith(f"/{KEY} ***")
