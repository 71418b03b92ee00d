"""What must never be served: 403 for everything that is not, byte for byte, a good URL of ours."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.serving import NOW, Desk

from hermetic.store.objects.signing import SigningKey

DATA = b"the wheel's bytes " * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"wheels/{DIGEST}/mine-1.0+local.1-py3-none-any.whl"
OTHER = f"wheels/{'0' * 64}/other-1.0-py3-none-any.whl"
SECRET = b"no business of anybody's"


@pytest.fixture(autouse=True)
def _files(request: pytest.FixtureRequest) -> None:
    found: Desk = request.getfixturevalue("front" if "front" in request.fixturenames else "plain")
    found.keep(KEY, DATA)
    found.keep(OTHER, b"other bytes")
    (found.folder / "secret.txt").write_bytes(SECRET)


def test_a_good_url_gives_the_file(front: Desk) -> None:
    reply = front.ask(front.sign(KEY))
    assert (reply.status, reply.body) == (200, DATA)


def tampered(url: str) -> dict[str, str]:
    """Give URLs that differ from a good one in one thing."""
    path, _, query = url.partition("?")
    kid, exp, sig = (re.search(rf"{name}=([^&]+)", query)[1] for name in ("kid", "exp", "sig"))  # type: ignore[index]
    good = f"kid={kid}&exp={exp}&sig={sig}"
    flipped = ("A" if sig[0] != "A" else "B") + sig[1:]
    last = sig[:-1] + chr(ord(sig[-1]) + 1)  # the same bytes to a lenient decoder: the last character has spare bits
    return {
        "no query": path,
        "no signature": f"{path}?kid={kid}&exp={exp}",
        "empty signature": f"{path}?kid={kid}&exp={exp}&sig=",
        "another path": f"/{OTHER}?{good}",
        "a folder": f"/wheels/{DIGEST}/?{good}",
        "the root": f"/?{good}",
        "longer path": f"{path}.metadata?{good}",
        "later expiry": f"{path}?kid={kid}&exp={int(exp) + 1}&sig={sig}",
        "earlier expiry": f"{path}?kid={kid}&exp={int(exp) - 1}&sig={sig}",
        "expiry with zero": f"{path}?kid={kid}&exp=0{exp}&sig={sig}",
        "expiry with sign": f"{path}?kid={kid}&exp=+{exp}&sig={sig}",
        "expiry with point": f"{path}?kid={kid}&exp={exp}.0&sig={sig}",
        "expiry in other digits": f"{path}?kid={kid}&exp=%D9%A1{exp}&sig={sig}",
        "expiry beyond numbers": f"{path}?kid={kid}&exp={'9' * 400}&sig={sig}",
        "unknown key": f"{path}?kid={'0' * 8}&exp={exp}&sig={sig}",
        "no key": f"{path}?exp={exp}&sig={sig}",
        "the stand-in for unknown keys": f"{path}?kid=nobody&exp={exp}&sig={sig}",
        "another signature": f"{path}?kid={kid}&exp={exp}&sig={flipped}",
        "other last character": f"{path}?kid={kid}&exp={exp}&sig={last}",
        "padding": f"{path}?{good}=",
        "signature cut": f"{path}?{good[:-1]}",
        "signature longer": f"{path}?{good}A",
        "signature in upper case": f"{path}?kid={kid}&exp={exp}&sig={sig.upper()}",
        "signature encoded": f"{path}?kid={kid}&exp={exp}&sig=%{ord(sig[0]):02X}{sig[1:]}",
        "expiry twice": f"{path}?{good}&exp={int(exp) + 9}",
        "key twice": f"{path}?kid={kid}&{good}",
        "signature twice": f"{path}?{good}&sig={sig}",
        "more": f"{path}?{good}&x=1",
        "another order": f"{path}?exp={exp}&kid={kid}&sig={sig}",
        "semicolons": f"{path}?kid={kid};exp={exp};sig={sig}",
        "a fragment": f"{path}?{good}%23",
        "a line feed": f"{path}?{good}%0a",
    }


@pytest.mark.parametrize("what", tampered("/p?kid=a1&exp=1&sig=AA"))
def test_what_was_tampered_with_is_forbidden(what: str, front: Desk) -> None:
    reply = front.ask(tampered(front.sign(KEY))[what])
    assert reply.status == 403
    assert reply.body == b"forbidden\n"


TRICKS = {
    "dots": "/wheels/../../secret.txt",
    "encoded dots": "/wheels/%2e%2e/%2e%2e/secret.txt",
    "encoded slashes": "/wheels%2f..%2f..%2fsecret.txt",
    "doubly encoded": "/wheels/%252e%252e/%252e%252e/secret.txt",
    "backslashes": "/wheels/..%5c..%5csecret.txt",
    "overlong dots": "/wheels/%c0%ae%c0%ae/%c0%ae%c0%ae/secret.txt",
    "full-width dots": "/wheels/%ef%bc%8e%ef%bc%8e/secret.txt",
    "NUL": f"/{KEY}%00.txt",
    "slashes": f"//{KEY}",
    "inner slashes": f"/wheels//{KEY.partition('/')[2]}",
    "a dot": f"/wheels/./{KEY.partition('/')[2]}",
    "a slash at the end": f"/{KEY}/",
    "a space": f"/{KEY}%20",
    "a line feed": f"/{KEY}%0aX",
    "a semicolon": f"/{KEY};x",
    "an absolute path": "//etc/passwd",
    "a hidden file": "/.incoming/1.whl",
    "broken encoding": f"/{KEY}%2",
    "no hexadecimal": f"/{KEY}%zz",
    "a tilde": "/~root/.ssh/id_rsa",
    "a drive": "/C:/secret.txt",
}


@pytest.mark.parametrize("what", TRICKS)
def test_no_path_leads_out_even_where_it_is_signed(what: str, front: Desk) -> None:
    """Each path has a signature for what it says, for what it means, and for a good artefact."""
    outside = front.folder / "secret.txt"
    for key in (KEY, "secret.txt", "wheels/secret.txt"):
        query = front.sign(key).partition("?")[2]
        reply = front.ask(f"{TRICKS[what]}?{query}")
        if reply.status == 200:  # nginx made a plain path of it before we saw it, and that one was signed
            assert front.url != front.server.address
            assert (key, reply.body) == (KEY, DATA)
        else:
            assert reply.status in {400, 403, 404}
        assert SECRET not in reply.body
    assert outside.read_bytes() == SECRET


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "X"]
)
def test_a_signature_for_get_is_good_for_nothing_else(method: str, front: Desk) -> None:
    reply = front.ask(front.sign(KEY), method)
    assert reply.status in ({400, 403, 405} if front.url != front.server.address else {403})
    assert DATA[:20] not in reply.body


def test_a_signature_for_head_tells_the_size_and_no_byte_and_is_none_for_get(front: Desk) -> None:
    url = front.sign(KEY, method="HEAD")
    reply = front.ask(url, "HEAD")
    assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, str(len(DATA)), b"")
    assert front.ask(url).status == 403


def test_headers_do_not_change_what_was_asked(plain: Desk) -> None:
    url = plain.sign(KEY, method="HEAD")
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        assert plain.ask(url, "GET", **{name: "HEAD"}).status == 403
    good = plain.sign(KEY)
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path"):
        assert plain.ask(f"/{OTHER}?{good.partition('?')[2]}", **{name: f"/{KEY}"}).status == 403


@pytest.mark.parametrize(
    ("moment", "status"),
    [(59, 200), (59.999, 200), (60, 403), (60.001, 403), (61, 403), (1e9, 403), (-1, 200), (-7 * 86400, 200),
     (-8 * 86400, 403)],
)  # fmt: skip
def test_the_edges_of_the_clock(moment: float, status: int, plain: Desk) -> None:
    """Good before the second that it names; and not, if it would be good for longer than any URL may be."""
    url = plain.sign(KEY, 60)
    plain.clock.now = NOW + moment
    assert plain.ask(url).status == status


def test_an_expired_url_is_told_apart_only_if_it_was_good(front: Desk) -> None:
    url = front.sign(KEY, -1)
    assert front.ask(url).body == b"expired\n"
    assert front.ask(url[:-5] + "AAAAA").body == b"forbidden\n"


def test_nobody_without_a_signature_learns_what_there_is(front: Desk) -> None:
    there, missing = front.ask(f"/{KEY}"), front.ask("/wheels/nothing")
    assert (there.status, there.body) == (missing.status, missing.body) == (403, b"forbidden\n")
    assert front.ask(front.sign("wheels/nothing")).status == 404


def test_folders_are_not_listed(front: Desk) -> None:
    for path in ("wheels", f"wheels/{DIGEST}"):
        assert front.ask(front.sign(path)).status == 404


def test_links_lead_nowhere(front: Desk) -> None:
    (front.artefacts / "wheels" / "link.whl").symlink_to(front.folder / "secret.txt")
    (front.artefacts / "wheels" / "inner.whl").symlink_to(front.artefacts / KEY)
    (front.artefacts / "out").symlink_to(front.folder)
    for key in ("wheels/link.whl", "wheels/inner.whl", "out/secret.txt", "out/keys.json"):
        assert front.ask(front.sign(key)).status == 404


def test_pipes_and_devices_are_not_waited_for(plain: Desk) -> None:
    os.mkfifo(plain.artefacts / "pipe")
    assert plain.ask(plain.sign("pipe")).status == 404


def test_the_folder_itself_may_be_a_link(plain: Desk, tmp_path: Path) -> None:
    plain.artefacts.rename(tmp_path / "elsewhere")
    plain.artefacts.symlink_to(tmp_path / "elsewhere")
    assert plain.ask(plain.sign(KEY)).status == 200


def test_a_key_of_another_workspace_is_none(front: Desk) -> None:
    own = front.keys.signing_key()
    for stranger in (
        SigningKey(own.id, b"x" * 32),
        SigningKey("stranger", own.secret),
        SigningKey("nobody", b"\0" * 32),
    ):
        assert front.ask(front.sign(KEY, by=stranger)).status == 403


def test_signatures_are_compared_in_constant_time_for_unknown_keys_too(
    plain: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bool] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: bool(compared.append(len(a) == len(b))) or compare(a, b))
    good = plain.sign(KEY)
    for url in (good, good.replace("kid=", "kid=0"), good[:-3] + "AAA"):
        plain.ask(url)
    assert compared == [True] * 3


def test_what_is_encoded_though_it_need_not_be_is_the_same_file(front: Desk) -> None:
    """pip writes a plus sign so."""
    assert front.ask(front.sign(KEY).replace("+", "%2B")).body == DATA
    assert front.ask(front.sign(KEY).replace("+", "%2b")).body == DATA


@pytest.mark.parametrize("size", [3_000, 8_000, 70_000, 1_000_000])
def test_very_long_urls_are_refused(size: int, front: Desk) -> None:
    try:
        reply = front.ask(f"/{'a' * size}?{front.sign(KEY).partition('?')[2]}")
    except (ConnectionError, OSError):
        pass  # closed while we were still talking
    else:
        assert reply.status in {400, 403, 414, 431}
    assert front.ask(front.sign(KEY)).status == 200


def test_endless_headers_are_refused(front: Desk) -> None:
    line = b"X-Filler: " + b"y" * 1000 + b"\r\n"
    try:
        said = front.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + line * 300 + b"\r\n")
    except (ConnectionError, OSError):
        said = b""
    assert said[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 431"}
    assert front.ask(front.sign(KEY)).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\nnonsense\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_the_server_lives(request_: bytes, plain: Desk) -> None:
    with plain.plug() as plug:
        plug.sendall(request_)
        plug.shutdown(1)  # nothing more will come
        assert plug.recv(12) in {b"", b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.0 403"}
    assert plain.ask(plain.sign(KEY)).status == 200


def test_a_request_with_a_body_is_refused_unread(plain: Desk) -> None:
    target = plain.sign(KEY).encode()
    said = plain.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\nabc")
    assert said.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in said


def test_two_requests_hidden_in_one_are_two(plain: Desk) -> None:
    good = plain.sign(KEY).encode()
    said = plain.raw(
        b"GET " + good + b" HTTP/1.1\r\nHost: x\r\n\r\nGET /" + OTHER.encode() + b" HTTP/1.1\r\nHost: x\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert said.count(b"HTTP/1.1 403 Forbidden\r\n") == 1
    assert said.count(DATA) == 1


def test_a_thousand_guesses_at_once_find_nothing_and_stop_nobody(plain: Desk) -> None:
    good = plain.sign(KEY)

    def guess(number: int) -> int:
        return plain.ask(good if number % 10 == 0 else f"{good[:-8]}{number:08d}").status

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(guess, range(1000)))
    assert said == [200 if number % 10 == 0 else 403 for number in range(1000)]


def test_the_log_tells_who_asked_for_what_and_no_signature(front: Desk) -> None:
    good = front.sign(KEY)
    front.ask(good)
    front.ask(good + "x")
    front.ask("/%0d%0aforged%20line?" + good.partition("?")[2])
    text = "\n".join(front.end())
    assert len(text.splitlines()) == 3
    assert f"127.0.0.1 GET /{KEY} 200 {len(DATA)}" in text
    assert "sig=" not in text
    assert "exp=" not in text
    signature = good.rpartition("=")[2]
    assert signature not in text
    assert front.keys.signing_key().id in front.log.lines[0]
