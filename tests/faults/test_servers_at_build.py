"""Servers that fail while an environment is built: the right status, what to do, nothing built; then it goes on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.desk import Desk, snapshot
from support.faulty import Fault, FaultyServer, body, cut, faulty, flipped, hang, status
from support.wheels import make_wheel

IMPATIENT = {"HERMETIC_HTTP_TIMEOUT": "0.5"}
PAGE = b"<!DOCTYPE html><html><body>Please sign in to the network</body></html>"


@dataclass(frozen=True)
class Goods:
    """What is fetched: a part of its address, and the name that a message must say."""

    server: FaultyServer
    part: str
    name: str


@pytest.fixture(params=["package", "wheel"])
def fetched(request: pytest.FixtureRequest, channel: FaultyServer, index: FaultyServer) -> Goods:
    if request.param == "package":
        return Goods(channel, "app-2.0", "app-2.0-h0_0.conda")
    return Goods(index, "/files/tool-1.0", "tool-1.0-py3-none-any.whl")


FAILURES: dict[str, tuple[Fault, int, str]] = {
    "other bytes": (flipped, 5, "wrong bytes.* sha256 "),
    "the page of a hotel": (body(PAGE, "text/html"), 5, "HTML page"),
    "more bytes": (body(b"x" * 100_000), 5, "wrong bytes"),
    "no bytes": (status(200), 5, "wrong bytes"),
    "cut short": (cut(0.5), 4, "dropped|before the end|cut"),
    "cut short, length unknown": (cut(0.5, announced=False), 4, "dropped"),
    "connection reset": (cut(0.5, reset=True), 4, "dropped|reset|broke"),
    "401": (status(401, {"WWW-Authenticate": "Basic"}), 4, r"401.*\n.*HERMETIC_AUTH_127_0_0_1"),
    "403": (status(403), 4, r"403.*\n.*HERMETIC_AUTH_127_0_0_1"),
    "404": (status(404), 4, "404"),
    "429": (status(429), 4, "429"),
    "500": (status(500), 4, "500"),
    "503": (status(503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), 4, "503"),
    "it redirects to itself": (status(302, {"Location": "?"}), 4, "redirects"),
    "it redirects to a file": (status(302, {"Location": "file:///etc/passwd"}), 4, "redirects"),
    "it says nothing": (hang(), 4, "did not answer in time"),
    "it falls silent": (hang(0.5), 4, "did not answer in time"),
}


@pytest.mark.parametrize(("fault", "exit_status", "says"), FAILURES.values(), ids=FAILURES.keys())
def test_a_build_that_cannot_get_something(
    at_build: Desk, fetched: Goods, fault: Fault, exit_status: int, says: str
) -> None:
    before = snapshot(at_build.project)
    fetched.server.fault(fetched.part, fault)
    result = at_build("build", status=exit_status, **IMPATIENT)
    assert fetched.name in result.stderr
    assert re.search(says, result.stderr), result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "no remedy"
    assert not at_build.prefix.exists()
    after = snapshot(at_build.project)
    assert {path: after[path] for path in before} == before
    assert not list((at_build.store / "blobs").rglob(f"*{digest_of(at_build, fetched.name)}"))

    fetched.server.mend()
    at_build("build")
    assert at_build.says().startswith("app 2.0")


def digest_of(desk: Desk, file_name: str) -> str:
    text = desk.lock.read_text()
    entry = text[: text.index("}", text.index(file_name))].rpartition("{")[2]
    return str(re.search(r'"sha256": "([0-9a-f]{64})"', entry)[1])  # type: ignore[index]


def test_what_arrived_before_a_connection_broke_is_not_fetched_again(at_build: Desk, fetched: Goods) -> None:
    fetched.server.fault(fetched.part, cut(0.5))
    at_build("build", status=4)
    fetched.server.mend()
    at_build("build")
    (asked,) = fetched.server.asked_for(fetched.part)
    assert re.fullmatch(r"bytes=[1-9]\d*-", asked.range)
    at_build("verify")
    at_build.settled()


def test_a_dropped_connection_is_taken_up_within_one_build(at_build: Desk, fetched: Goods) -> None:
    fetched.server.fault(fetched.part, cut(0.3), times=1)
    fetched.server.fault(fetched.part, status(503), times=1)
    fetched.server.fault(fetched.part, cut(0.6, reset=True), times=1)
    at_build("build", HERMETIC_HTTP_RETRIES="3")
    offsets = [int(re.sub(r"\D", "", asked.range) or 0) for asked in fetched.server.asked_for(fetched.part)]
    assert offsets == sorted(offsets)
    assert len(offsets) == 4
    assert offsets[1] > 0


def test_half_of_another_file_is_thrown_away(at_build: Desk, channel: FaultyServer, own_goods: Path) -> None:
    package = own_goods / "channel" / "noarch" / "app-2.0-h0_0.conda"
    good = package.read_bytes()
    package.write_bytes(bytes(len(good)))
    channel.fault("app-2.0", cut(0.5))
    at_build("build", status=4)
    package.write_bytes(good)
    channel.mend()
    at_build("build")
    assert [bool(asked.range) for asked in channel.asked_for("app-2.0")] == [True, False]


def test_a_server_that_wants_peace_for_long_is_not_waited_for(at_build: Desk, fetched: Goods) -> None:
    fetched.server.fault(fetched.part, status(429, {"Retry-After": "86400"}))
    result = at_build("build", status=4, HERMETIC_HTTP_RETRIES="3")
    assert "86400 seconds" in result.stderr
    assert len(fetched.server.asked_for(fetched.part)) == 1


@pytest.mark.parametrize("fault", [status(500), status(429, {"Retry-After": "1"}), status(503, {"Retry-After": "0"})])
def test_a_server_that_recovers_is_asked_again(at_build: Desk, fetched: Goods, fault: Fault) -> None:
    fetched.server.fault(fetched.part, fault, times=1)
    at_build("build", HERMETIC_HTTP_RETRIES="2")
    assert len(fetched.server.asked_for(fetched.part)) == 2


def test_the_old_environment_stays_when_the_new_one_cannot_be_had(at_build: Desk, channel: FaultyServer) -> None:
    locked, declared = at_build.lock.read_bytes(), (at_build.project / "hermetic.toml").read_bytes()
    at_build.declare("app <2")
    at_build("build")
    assert at_build.says().startswith("app 1.0 on base 1.0")
    before = snapshot(at_build.prefix)
    at_build.lock.write_bytes(locked)
    (at_build.project / "hermetic.toml").write_bytes(declared)
    for fault, exit_status in ((flipped, 5), (status(500), 4), (status(404), 4)):
        channel.fault("app-2.0", fault)
        at_build("build", status=exit_status)
        at_build("run", "default", "--", "app", status=exit_status)
        assert snapshot(at_build.prefix) == before
        channel.mend()
    at_build("build")
    assert at_build.says().startswith("app 2.0 on base 2.0")
    at_build.settled()


PAGES: dict[str, tuple[Fault, int, str]] = {
    "401": (status(401), 4, "HERMETIC_AUTH_127_0_0_1"),
    "404": (status(404), 4, "tool-1.0-py3-none-any.whl"),
    "500": (status(500), 4, "500"),
    "no page of an index": (body(PAGE, "text/html"), 4, "tool-1.0-py3-none-any.whl"),
    "no JSON": (body(b"{", "application/vnd.pypi.simple.v1+json"), 4, "simple index"),
    "cut short": (cut(0.5), 4, "/simple/tool/"),
    "it says nothing": (hang(), 4, "did not answer in time"),
}


@pytest.mark.parametrize(("fault", "exit_status", "says"), PAGES.values(), ids=PAGES.keys())
def test_an_index_that_does_not_tell_where_a_wheel_is(
    at_build: Desk, index: FaultyServer, fault: Fault, exit_status: int, says: str
) -> None:
    index.fault("/simple/tool/", fault)
    result = at_build("build", status=exit_status, **IMPATIENT)
    assert says in result.stderr, result.stderr
    assert not at_build.prefix.exists()


def test_an_index_that_has_another_file_under_the_name(at_build: Desk, index: FaultyServer, own_goods: Path) -> None:
    make_wheel(own_goods / "wheels", "tool", "1.0", files={"tool.py": "import os\n"})
    result = at_build("build", status=5)
    assert "tool-1.0-py3-none-any.whl" in result.stderr
    assert not at_build.prefix.exists()


def test_the_same_holds_for_a_channel_that_is_a_folder(at_build: Desk, own_goods: Path) -> None:
    folder = own_goods / "channel"
    at_build.environment["HERMETIC_CHANNELS"] = f"shop={folder.as_uri()}"
    package = folder / "noarch" / "app-2.0-h0_0.conda"
    good = package.read_bytes()
    for bad, exit_status in ((good[:-1] + b"x", 5), (good[: len(good) // 2], 5), (b"", 5), (None, 4)):
        if bad is None:
            package.unlink()
        else:
            package.write_bytes(bad)
        result = at_build("build", status=exit_status)
        assert "app-2.0-h0_0.conda" in result.stderr
        assert not at_build.prefix.exists()
    package.write_bytes(good)
    at_build("build")
    at_build.settled()


def test_a_server_that_is_not_there(at_build: Desk, goods: Path) -> None:
    with faulty(goods / "channel") as gone:
        url = gone.url
    at_build.environment["HERMETIC_CHANNELS"] = f"shop={url}"
    result = at_build("build", status=4)
    assert "no connection" in result.stderr
    assert not at_build.prefix.exists()
