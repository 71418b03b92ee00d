"""Ranges, conditions and headers: what a client that resumes, or keeps files, relies on."""

from __future__ import annotations

import hashlib
import os
import socket
import urllib.request
from base64 import b64encode
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.serving import NOW, Desk

from hermetic.workspace.serving.ranges import wanted_bytes

DATA = os.urandom(100_003)
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"wheels/{DIGEST}/mine-1.0-py3-none-any.whl"
SIZE = len(DATA)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100000-", 100_000, SIZE),
        ("bytes=5-9", 5, 10),
        ("bytes=100002-100002", SIZE - 1, SIZE),
        ("bytes=100000-999999999", 100_000, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-999999999", 0, SIZE),
    ],
)
def test_one_range_is_a_part(asked: str, start: int, end: int, front: Desk) -> None:
    front.keep(KEY, DATA)
    reply = front.ask(front.sign(KEY), Range=asked)
    assert reply.status == 206
    assert reply.body == DATA[start:end]
    assert reply.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=999999999-", "bytes=-0", f"bytes={SIZE}-{SIZE}"])
def test_a_range_behind_the_end_is_none(asked: str, front: Desk) -> None:
    front.keep(KEY, DATA)
    reply = front.ask(front.sign(KEY), Range=asked)
    assert reply.status == 416
    assert reply.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=5-1", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0x0-1", "bytes=--1", "0-1",
     "bytes=1.5-2", f"bytes={'9' * 30}-", "bytes=" + ",".join("0-" for _ in range(2000))],
)  # fmt: skip
def test_what_is_no_single_range_is_the_whole_file(asked: str, plain: Desk) -> None:
    plain.keep(KEY, DATA)
    reply = plain.ask(plain.sign(KEY), Range=asked)
    assert (reply.status, reply.body) == (200, DATA)


def test_two_range_headers_are_none(plain: Desk) -> None:
    plain.keep(KEY, DATA)
    target = plain.sign(KEY)
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\nRange: bytes=1-1\r\nConnection: close\r\n\r\n"
    assert plain.raw(request.encode()).endswith(b"\r\n\r\n" + DATA)


@given(
    st.binary(max_size=60) | st.from_regex(rb"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True), st.integers(0, 1 << 40)
)
def test_whatever_is_asked_for_lies_in_the_file(header: bytes, size: int) -> None:
    found = wanted_bytes(header, size)
    if found:
        offset, count = found
        assert offset >= 0
        assert count == 0 or offset + count <= size


def test_if_range_gives_a_part_only_of_the_same_file(front: Desk) -> None:
    front.keep(KEY, DATA)
    url = front.sign(KEY)
    first = front.ask(url)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    assert tag == f'"{DIGEST}"'
    for same in (tag, date):
        assert front.ask(url, Range="bytes=9-", If_Range=same).status == 206
    for other in ('"other"', f"W/{tag}", formatdate(0, usegmt=True), "nonsense"):
        reply = front.ask(url, Range="bytes=9-", If_Range=other)
        assert (reply.status, reply.body) == (200, DATA)


def test_what_a_client_has_is_not_sent_again(front: Desk) -> None:
    front.keep(KEY, DATA)
    url = front.sign(KEY)
    tag = front.ask(url).headers["ETag"]
    for held in (tag, f'"x", {tag}', "*", f"W/{tag}"):
        reply = front.ask(url, If_None_Match=held, Range="bytes=0-1")
        assert (reply.status, reply.body) == (304, b"")
    assert front.ask(url, If_None_Match='"x"').status == 200


def test_the_headers_say_what_it_is_and_how_long_it_may_be_kept(front: Desk) -> None:
    front.keep(KEY, DATA)
    said = front.ask(front.sign(KEY, 100)).headers
    assert said["Content-Disposition"] == 'attachment; filename="mine-1.0-py3-none-any.whl"'
    assert said["Repr-Digest"] == f"sha-256=:{b64encode(hashlib.sha256(DATA).digest()).decode()}:"
    assert said["Cache-Control"] == "private, max-age=100, immutable"  # no proxy keeps it, no client for longer
    assert said["Accept-Ranges"] == "bytes"
    assert said["X-Content-Type-Options"] == "nosniff"
    assert said["Referrer-Policy"] == "no-referrer"
    assert "server" not in said or said["Server"].startswith("nginx")
    refused = front.ask(f"/{KEY}").headers
    assert refused["Cache-Control"] == "no-store"


def test_only_a_key_that_names_its_content_has_a_digest(plain: Desk) -> None:
    """A record of a wheel is named by the wheel's digest, and has another one."""
    record = plain.keep(f"wheel-records/mine/mine-1.0-py3-none-any.whl/{DIGEST}.json", b"{}")
    said = plain.ask(plain.sign(record)).headers
    assert said["Repr-Digest"] is None
    assert said["Cache-Control"] == "private, no-cache"
    lock = plain.keep(f"locks/{hashlib.sha256(b'{}').hexdigest()}.lock.json", b"{}")
    said = plain.ask(plain.sign(lock)).headers
    assert said["Content-Type"] == "application/json"
    assert said["Repr-Digest"]


def test_an_empty_file_is_served(front: Desk) -> None:
    front.keep("empty", b"")
    reply = front.ask(front.sign("empty"))
    assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "0", b"")
    assert front.ask(front.sign("empty"), Range="bytes=0-").status == 416


def test_many_requests_on_one_connection(front: Desk) -> None:
    front.keep(KEY, DATA)
    connection = front.connect()
    for number in range(50):
        connection.request("GET", front.sign(KEY), headers={"Range": f"bytes={number}-"})
        assert connection.getresponse().read() == DATA[number:]
    connection.close()


def test_small_answers_are_not_held_back(plain: Desk) -> None:
    """With Nagle's algorithm (RFC 896) each small file of a connection would wait for 40 ms."""
    with plain.plug() as plug:
        plug.sendall(b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plug.recv(12) == b"HTTP/1.1 200"
        for connection in plain.server.server_state.connections:
            held = connection.transport.get_extra_info("socket")
            assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_large_file_arrives_whole_and_resumes(front: Desk, tmp_path: Path) -> None:
    block = os.urandom(1 << 20)
    key = front.keep("big", block * 40 + b"end")
    whole = hashlib.sha256(block * 40 + b"end").hexdigest()
    connection = front.connect()
    connection.request("GET", front.sign(key))
    answer = connection.getresponse()
    got = answer.read(7_000_001)  # and then the connection breaks
    connection.close()
    front.clock.now = NOW + 3600
    got += front.ask(front.sign(key), Range=f"bytes={len(got)}-").body
    assert hashlib.sha256(got).hexdigest() == whole


def test_a_browser_or_curl_needs_nothing_else(plain: Desk) -> None:
    plain.keep(KEY, DATA)
    with urllib.request.urlopen(plain.url + plain.sign(KEY)) as answer:
        assert answer.read() == DATA
