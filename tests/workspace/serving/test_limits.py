"""One client does not take the server from the others: rates, slow clients, many connections, and who a client is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.nginx import PROXY, nginx
from support.serving import Desk, desk

from hermetic.errors import UsageError
from hermetic.workspace.serving.connections import Times
from hermetic.workspace.serving.limits import Proxies, RateLimit
from hermetic.workspace.serving.run import Settings

SLOW = Settings(rate=0, times=Times(head=0.3, stall=0.3, idle=1))


def test_a_client_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with desk(tmp_path / "w", Settings(rate=0.001, burst=5)) as found:
        found.keep("a", b"x")
        url = found.sign("a")
        assert [found.ask(url).status for _ in range(5)] == [200] * 5
        reply = found.ask(url)
        assert (reply.status, reply.body) == (429, b"too many requests\n")
        assert 900 <= int(reply.headers["Retry-After"]) <= 1000
        assert found.ask("/nonsense").status == 429  # who guesses is slowed too
        assert found.ask(url, source="127.0.0.2").status == 200
        for forwarded in ("10.1.1.1", "127.0.0.3", "nonsense"):
            assert found.ask(url, X_Forwarded_For=forwarded).status == 429  # nobody said that we may believe it


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Desk]:
    """A server with a rate, behind an nginx that it trusts."""
    settings = Settings(rate=0.001, burst=3, proxies=Proxies.parse(["127.0.0.1"]))
    with desk(tmp_path / "w", settings) as found, nginx(tmp_path / "nginx", PROXY.format(upstream=found.url)) as url:
        found.keep("a", b"x")
        yield replace(found, url=url)


def test_behind_a_trusted_proxy_each_client_counts_for_itself(behind: Desk) -> None:
    url = behind.sign("a")
    assert [behind.ask(url, source="127.0.0.2").status for _ in range(4)] == [200, 200, 200, 429]
    assert [behind.ask(url, source="127.0.0.3").status for _ in range(4)] == [200, 200, 200, 429]
    assert behind.ask(url, source="127.0.0.2", X_Forwarded_For="127.0.0.9").status == 429  # its own word is not heard
    assert "127.0.0.2 GET /a 200" in behind.log.wait_for("127.0.0.2")


def test_a_client_that_says_nothing_is_let_go(tmp_path: Path) -> None:
    with desk(tmp_path / "w", SLOW) as found, found.plug() as plug:
        assert plug.recv(1) == b""


def test_a_client_that_never_ends_its_handshake_is_let_go(tmp_path: Path, certificates: Path) -> None:
    tls = replace(SLOW, certificate=certificates / "server.pem", private_key=certificates / "server.secret")
    with desk(tmp_path / "w", tls) as found, found.plug() as plug:
        plug.sendall(b"\x16\x03\x01\x02\x00")
        assert plug.recv(1) == b""


def test_a_client_that_drips_its_request_is_let_go(tmp_path: Path) -> None:
    with desk(tmp_path / "w", SLOW) as found, found.plug() as plug:
        plug.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        assert _drips(plug)


def test_a_client_that_drips_a_later_request_is_let_go(tmp_path: Path) -> None:
    with desk(tmp_path / "w", SLOW) as found, found.plug() as plug:
        plug.sendall(b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while not said.endswith(b"healthy\n"):
            said += plug.recv(65536)
        plug.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        assert _drips(plug)


def _drips(plug: socket.socket) -> bool:
    """Send a byte now and then; True once the server has closed."""
    plug.settimeout(0.02)
    for _ in range(1500):
        try:
            plug.send(b"y")
            if plug.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_does_not_take_what_it_asked_for_is_let_go(
    tls: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    import ssl

    settings, context = SLOW, None
    if tls:
        folder: Path = request.getfixturevalue("certificates")
        settings = replace(settings, certificate=folder / "server.pem", private_key=folder / "server.secret")
        context = ssl.create_default_context(cafile=folder / "ca.crt")
    with desk(tmp_path / "w", settings, context) as found:
        (found.artefacts / "big").touch()
        os.truncate(found.artefacts / "big", 500 << 20)
        with found.plug() as plug:
            plug.sendall(f"GET {found.sign('big')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert "(broken off)" in found.log.wait_for("/big")
        assert found.ask("/-/health").status == 200


def test_one_address_holds_only_so_many_connections(tmp_path: Path) -> None:
    with desk(tmp_path / "w", Settings(rate=0, connections_each=3)) as found, ExitStack() as held:
        plugs = [held.enter_context(found.plug()) for _ in range(3)]
        for plug in plugs:
            plug.sendall(b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert plug.recv(12) == b"HTTP/1.1 200"
        with pytest.raises((ConnectionError, OSError)):
            found.ask("/-/health")
        assert found.ask("/-/health", source="127.0.0.2").status == 200
        plugs[0].close()
        assert any(_answers(found) for _ in range(200))  # as soon as the server has seen it


def _answers(found: Desk) -> bool:
    try:
        return found.ask("/-/health").status == 200
    except OSError:
        return False


def test_all_together_hold_only_so_many_connections(tmp_path: Path) -> None:
    with desk(tmp_path / "w", Settings(rate=0, connections=2)) as found, ExitStack() as held:
        for _ in range(2):
            plug = held.enter_context(found.plug())
            plug.sendall(b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert plug.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(OSError):
            found.ask("/-/health", source="127.0.0.2")


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 10), st.integers(1, 10))
def test_a_client_gets_its_rate_and_no_more(pauses: list[float], rate: float, burst: int) -> None:
    limit, now, allowed = RateLimit(rate, burst), 1000.0, 0
    for pause in pauses:
        now += pause
        wait = limit.wait("a", now)
        allowed += not wait
        if wait:
            assert limit.wait("a", now + wait + 1e-6) == 0  # who waits as long as told gets in
            now += wait + 1e-6
            allowed += 1
    assert allowed <= burst + (now - 1000) * rate + 1e-3


def test_a_million_clients_need_no_more_memory_than_ten_thousand() -> None:
    limit = RateLimit(1, 1)
    for number in range(30_000):
        assert limit.wait(str(number), 0) == 0
    assert len(limit._buckets) == 10_000
    assert limit.wait("29999", 0) > 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8, 9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["8.8.8.8", "9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9, 10.0.0.7"], "9.9.9.9"),
        ("10.0.0.1", ["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        ("10.0.0.1", ["9.9.9.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("11.0.0.1", ["9.9.9.9"], "11.0.0.1"),
        ("::ffff:10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("::ffff:11.0.0.1", ["9.9.9.9"], "11.0.0.1"),
        ("fd00::1", ["2001:db8::1:2:3:4"], "2001:db8::/64"),
        ("2001:db8:0:1:ffff::9", [], "2001:db8:0:1::/64"),
        ("unknown", ["9.9.9.9"], "unknown"),
        ("10.0.0.1", [", ".join(f"9.9.9.{n}" for n in range(100))], "9.9.9.99"),
    ],
)
def test_who_a_client_is(peer: str, forwarded: list[str], client: str) -> None:
    assert Proxies.parse(["10.0.0.0/8", "fd00::1"]).client(peer, forwarded) == client


@pytest.mark.parametrize("text", ["", "proxy", "10.0.0.1/8", "10.0.0.0/33", "1.2.3"])
def test_what_is_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address of a proxy"):
        Proxies.parse([text])
