"""Keys: made, changed and revoked while the server runs; nobody else reads them; damage makes all of them worthless."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from http.client import IncompleteRead
from pathlib import Path

import pytest
from support.serving import Desk

from hermetic.errors import IntegrityError, MachineError, MissingError, UsageError
from hermetic.store.objects.signing import SigningKey
from hermetic.workspace.serving.keys import KeyFile, WatchedKeys

DATA = b"0123456789" * 10
KEY = f"wheels/{hashlib.sha256(DATA).hexdigest()}/a-1-py3-none-any.whl"


def test_a_rotated_key_verifies_until_it_is_revoked(front: Desk) -> None:
    front.keep(KEY, DATA)
    first = front.keys.signing_key()
    old = front.sign(KEY)
    second = front.keys.rotate()
    assert front.keys.signing_key() == second != first
    assert [front.ask(url).status for url in (old, front.sign(KEY))] == [200, 200]
    front.keys.revoke_key(first.id)
    assert [front.ask(url).status for url in (old, front.sign(KEY))] == [403, 200]


def test_a_revoked_key_is_gone_for_good(front: Desk) -> None:
    front.keep(KEY, DATA)
    given = front.keys.add("ci")
    url = front.sign(KEY, by=given)
    assert front.ask(url).status == 200
    front.keys.revoke_key(given.id)
    assert front.ask(url).status == 403
    assert given.text().partition(":")[2] not in front.keys.path.read_text()
    front.keys.revoke_key(given.id)  # a second time changes nothing
    assert front.ask(url).status == 403


def test_the_last_key_that_is_revoked_is_replaced(plain: Desk) -> None:
    plain.keep(KEY, DATA)
    first = plain.keys.signing_key()
    plain.keys.revoke_key(first.id)
    assert plain.keys.signing_key() != first
    assert plain.ask(plain.sign(KEY)).status == 200


def test_a_revoked_artefact_is_told_so_to_whoever_had_it_and_can_come_back(front: Desk) -> None:
    front.keep(KEY, DATA)
    other = front.keep("wheels/other", b"x")
    url = front.sign(KEY)
    front.keys.revoke_object(KEY)
    reply = front.ask(url)
    assert (reply.status, reply.body) == (403, b"revoked\n")
    assert front.ask(url.replace("+", "%2B")).status == 403
    assert front.ask(front.sign(KEY)).status == 403
    assert front.ask(f"/{KEY}").body == b"forbidden\n"
    assert front.ask(front.sign(other)).status == 200
    front.keys.restore_object(KEY)
    assert front.ask(url).status == 200


def test_what_is_on_its_way_stops_when_it_is_revoked(plain: Desk) -> None:
    size = 200 << 20
    (plain.artefacts / "big").touch()
    os.truncate(plain.artefacts / "big", size)
    connection = plain.connect()
    connection.request("GET", plain.sign("big"))
    answer = connection.getresponse()
    assert answer.read(1000)
    plain.keys.revoke_object("big")
    got = 1000
    with suppress(OSError):  # reset, or an end before the announced one
        while piece := answer.read1(1 << 20):
            got += len(piece)
    assert got < size
    assert "(broken off)" in plain.log.wait_for("/big")


def test_nobody_else_can_read_the_keys(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = KeyFile(tmp_path)
        file.signing_key()
        file.rotate()
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606])
def test_keys_that_others_may_read_or_write_are_refused(mode: int, plain: Desk) -> None:
    plain.keep(KEY, DATA)
    url = plain.sign(KEY)
    plain.keys.path.chmod(mode)
    with pytest.raises(MachineError, match="other users"):
        plain.keys.signing_key()
    reply = plain.ask(url)
    assert reply.status == 503
    assert plain.warnings
    plain.keys.path.chmod(0o600)
    assert plain.ask(url).status == 200


DAMAGE = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "no version": "{}",
    "deep": "[" * 100_000,
    "no keys": '{"version": 1, "signing": "", "revoked": []}',
    "a bad key": '{"version": 1, "signing": "a", "revoked": [], "keys": [{"id": "a"}]}',
    "a short secret": '{"version": 1, "signing": "a", "revoked": [], "keys": [{"id": "a", "note": "", "created_at": "",'
    '"revoked_at": "", "secret": "AAAA"}]}',
    "a secret that is revoked": None,
    "two of one id": None,
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_keys_are_good_for_nothing(what: str, plain: Desk) -> None:
    plain.keep(KEY, DATA)
    url = plain.sign(KEY)
    document = json.loads(plain.keys.path.read_text())
    if what == "a secret that is revoked":
        document["keys"][0]["revoked_at"] = "2026-01-01T00:00:00Z"
    document["keys"] *= 2 if what == "two of one id" else 1
    text = DAMAGE[what]
    plain.keys.path.write_text(json.dumps(document) if text is None else text)
    with pytest.raises(IntegrityError, match="damaged"):
        plain.keys.read()
    with pytest.raises(IntegrityError):
        plain.keys.rotate()
    assert plain.ask(url).status == 503


def test_no_keys_are_no_way_in(plain: Desk) -> None:
    plain.keep(KEY, DATA)
    url = plain.sign(KEY)
    plain.keys.path.unlink()
    assert plain.ask(url).status == 403


def test_keys_of_a_newer_hermetic_are_refused(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.signing_key()
    file.path.write_text(file.path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(UsageError, match="version '2'"):
        file.read()


def test_what_is_not_there_cannot_be_revoked_or_restored(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    first = file.signing_key()
    with pytest.raises(MissingError, match="no key 'x'") as raised:
        file.revoke_key("x")
    assert first.id in str(raised.value)
    with pytest.raises(MissingError, match="is not revoked"):
        file.restore_object(KEY)
    for nonsense in ("../keys.json", "/etc/passwd", "", ".hidden", "a//b"):
        with pytest.raises(UsageError):
            file.revoke_object(nonsense)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    made = file.add("for ci")
    secret = made.text().partition(":")[2]
    ring = file.read()
    for shown in (repr(made), str(made), repr(ring), json.dumps(ring.to_dict())):
        assert secret not in shown
        assert str(made.secret) not in shown


@pytest.mark.parametrize(
    "text", ["", "a", ":", "a:b", "a:" + "A" * 42, "a:" + "A" * 44, "A:" + "A" * 43, "a:" + "é" * 43]
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        SigningKey.parse(text)
    assert len(text) < 5 or text not in str(raised.value)


def test_processes_that_change_the_keys_at_once_lose_none(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hermetic.workspace.serving.keys import KeyFile\n"
        "file = KeyFile(Path(sys.argv[1]))\n"
        "print(*[file.add(sys.argv[2]).id for _ in range(5)], file.rotate().id)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(6)
    ]
    made = [kid for process in running for kid in process.communicate()[0].split()]
    ring = KeyFile(tmp_path).read()
    assert len(made) == 36
    assert {item.id for item in ring.keys} >= set(made)
    assert len(ring.keys) == 37  # and one that signs, which the first of them made
    assert ring.get(ring.signing)


def test_a_change_is_seen_even_if_the_stamp_is_the_same(tmp_path: Path) -> None:
    """Two changes within one tick of the clock, of the same size, may have one stamp."""
    file = KeyFile(tmp_path)
    given = file.add()
    watched = WatchedKeys(file)
    assert watched.now().get(given.id)
    for _ in range(50):
        made = file.add()
        assert watched.now().get(made.id)
        file.revoke_key(made.id)
        assert watched.now().get(made.id) is None


def test_settled_keys_are_read_once(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.signing_key()
    os.utime(file.path, (1_700_000_000, 1_700_000_000))
    watched = WatchedKeys(file)
    first = watched.now()
    assert watched.now() is first
    os.utime(file.path, (1_700_000_001, 1_700_000_001))
    assert watched.now() is not first


def test_a_server_under_load_sees_a_revocation_at_the_next_request(plain: Desk) -> None:
    plain.keep(KEY, DATA)
    given = plain.keys.add()
    url = plain.sign(KEY, by=given)
    revoked = threading.Event()
    late: list[int] = []

    def ask() -> None:
        for _ in range(60):
            after = revoked.is_set()
            try:
                status = plain.ask(url).status
            except (IncompleteRead, ConnectionError):  # it was revoked between head and body
                status = 403
            if after:
                late.append(status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    plain.keys.revoke_key(given.id)
    revoked.set()
    for thread in threads:
        thread.join()
    late.append(plain.ask(url).status)
    assert set(late) == {403}
