"""Servers that fail while an environment is locked: the lock that stands stays, and so does the spec."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.desk import Desk, snapshot, take
from support.faulty import Fault, FaultyServer, body, cut, hang, status

IMPATIENT = {"HERMETIC_HTTP_TIMEOUT": "1"}
PAGE = b"<!DOCTYPE html><html><body>Please sign in to the network</body></html>"
CREDENTIALS = "HERMETIC_AUTH_127_0_0_1"


@pytest.fixture
def at_lock(desk: Desk, locked: Path) -> Desk:
    """A machine with the locked project, to which ``spare`` shall be added."""
    return take(locked, desk)


CHANNELS: dict[str, tuple[Fault, int, str]] = {
    "401": (status(401), 4, CREDENTIALS),
    "403": (status(403), 4, CREDENTIALS),
    "404": (status(404), 4, "404|does not exist"),
    "429": (status(429), 4, "429"),
    "429 until tomorrow": (status(429, {"Retry-After": "86400"}), 4, "429"),
    "500": (status(500), 4, "500"),
    "cut short": (cut(0.5), 4, ""),
    "cut short, length unknown": (cut(0.5, announced=False), 4, "damaged"),
    "connection reset": (cut(0.5, reset=True), 4, ""),
    "the page of a hotel": (body(PAGE, "text/html"), 4, "damaged"),
    "it says nothing": (hang(), 4, "does not answer"),
    "it falls silent": (hang(0.5), 4, "does not answer"),
}


@pytest.mark.parametrize(("fault", "exit_status", "says"), CHANNELS.values(), ids=CHANNELS.keys())
def test_a_channel_that_cannot_be_read(
    at_lock: Desk, channel: FaultyServer, fault: Fault, exit_status: int, says: str
) -> None:
    before = snapshot(at_lock.project)
    channel.fault("repodata", fault)
    result = at_lock("add", "spare", status=exit_status, **IMPATIENT)
    assert "channel shop" in result.stderr
    assert re.search(says, result.stderr), result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "no remedy"
    assert snapshot(at_lock.project) == before
    channel.mend()
    at_lock("add", "spare")
    assert '"spare"' in at_lock.lock.read_text()


INDEXES: dict[str, tuple[Fault, int, str]] = {
    "401": (status(401), 4, "credentials"),
    "403": (status(403), 4, "credentials"),
    "404": (status(404), 3, "tool"),
    "429": (status(429), 4, "429"),
    "500": (status(500), 4, "500"),
    "cut short": (cut(0.5), 4, "index"),
    "connection reset": (cut(0.5, reset=True), 4, "index"),
    "the page of a hotel": (body(PAGE, "text/html"), 3, "tool"),
    "no JSON": (body(b"{", "application/vnd.pypi.simple.v1+json"), 4, "index"),
    "it says nothing": (hang(), 4, "index"),
    "it falls silent": (hang(0.5), 4, "index"),
}


METADATA: dict[str, tuple[Fault, int, str]] = {
    "403": (status(403), 4, "credentials"),
    "404": (status(404), 4, "404"),
    "500": (status(500), 4, "500"),
    "other bytes": (body(b"Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n"), 5, "not the one it lists"),
    "cut short": (cut(0.5), 4, "index"),
    "it says nothing": (hang(), 4, "index"),
}
FAULTS = [
    pytest.param(part, *values, id=f"{name}: {what}")
    for name, part, faults in (("page", "/simple/tool/", INDEXES), ("metadata", ".whl.metadata", METADATA))
    for what, values in faults.items()
]


@pytest.mark.parametrize(("part", "fault", "exit_status", "says"), FAULTS)
def test_an_index_that_cannot_be_read(
    desk: Desk, index: FaultyServer, part: str, fault: Fault, exit_status: int, says: str
) -> None:
    desk.declare("python", "app", pip=("tool",))
    before = snapshot(desk.project)
    index.fault(part, fault)
    result = desk("lock", status=exit_status, **IMPATIENT)
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "no remedy"
    assert snapshot(desk.project) == before


@pytest.mark.parametrize("fault", [status(500), status(429, {"Retry-After": "1"})])
def test_servers_that_recover_are_asked_again(
    desk: Desk, channel: FaultyServer, index: FaultyServer, fault: Fault
) -> None:
    desk.declare("python", "app", pip=("tool",))
    channel.fault("linux-64/repodata.json", fault, times=1)
    index.fault("/simple/tool/", fault, times=1)
    desk("lock", HERMETIC_HTTP_RETRIES="3")
    assert len(index.asked_for("/simple/tool/")) >= 2


def test_a_channel_that_gives_no_digest_cannot_be_locked(desk: Desk, own_goods: Path) -> None:
    desk.declare("app")
    repodata = own_goods / "channel" / "noarch" / "repodata.json"
    content = json.loads(repodata.read_text())
    for record in content["packages.conda"].values():
        del record["sha256"]
    repodata.write_text(json.dumps(content))
    result = desk("lock", status=5)
    assert "sha256" in result.stderr
    assert not desk.lock.exists()


def test_repodata_that_came_damaged_is_asked_for_again(at_lock: Desk, channel: FaultyServer) -> None:
    at_lock("lock")
    channel.fault("noarch/repodata.json", cut(0.5, announced=False), times=1)
    at_lock("add", "spare")
    at_lock("lock", "--check")


def test_what_a_channel_damages_later_never_reaches_the_lock_that_stands(at_lock: Desk, channel: FaultyServer) -> None:
    before = at_lock.lock.read_bytes()
    channel.fault("repodata", cut(0.5))
    at_lock("lock", "--update", "app", status=4)
    at_lock("lock", "--check")
    assert at_lock.lock.read_bytes() == before
