"""The signature, against an independent computation; and the paths that mean an artefact."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.errors import UsageError
from hermetic.store.objects.signing import SigningKey, is_signed, read_claim, read_path, sign_url, signature

KEY = SigningKey("1f2e3d4c", bytes(range(32)))
OBJECT = "wheels/" + "ab" * 32 + "/mine-1.0+local-py3-none-any.whl"
segments = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,20}", fullmatch=True)
objects = st.lists(segments, min_size=1, max_size=5).map("/".join)


def test_the_signature_is_the_one_that_is_written_down() -> None:
    """The format is a contract with every URL that is out: a change needs a new version in its first line."""
    url = sign_url("https://server/below/", OBJECT, KEY, expires=1_800_000_000)
    text = f"hermetic-url-v1\nGET\n{OBJECT}\n1800000000\n1f2e3d4c".encode()
    wanted = urlsafe_b64encode(hmac.new(bytes(range(32)), text, "sha256").digest()).decode().rstrip("=")
    assert url == f"https://server/below/{OBJECT}?kid=1f2e3d4c&exp=1800000000&sig={wanted}"
    assert wanted == signature(KEY, "GET", OBJECT, 1_800_000_000) == "zSPiLBULpE3jFUvS9M7VqHVcKd9Z1i8VTpWqi6ekoRQ"


@given(objects, st.integers(1, 10**11), st.binary(min_size=32, max_size=32), st.sampled_from(["GET", "HEAD"]))
def test_what_is_signed_is_accepted_and_nothing_else_is(key: str, expires: int, secret: bytes, method: str) -> None:
    signing = SigningKey("ab", secret)
    parts = urlsplit(sign_url("http://x", key, signing, expires=expires, method=method))
    claim = read_claim(parts.query.encode())
    assert claim is not None
    assert read_path(parts.path.encode()) == key
    assert read_path(("/" + quote(key, safe="/")).encode()) == key  # as pip writes it
    assert is_signed(signing, claim, method, key)
    assert not is_signed(signing, claim, {"GET": "HEAD", "HEAD": "GET"}[method], key)
    assert not is_signed(signing, claim, method, key + "x")
    assert not is_signed(SigningKey("ab", bytes(32)), claim, method, key) or secret == bytes(32)
    assert not is_signed(SigningKey("ac", secret), claim, method, key)


@given(st.binary(max_size=80) | st.text("/.%2efEF0\\~ab", max_size=40).map(str.encode))
def test_a_path_means_a_plain_artefact_or_nothing(raw: bytes) -> None:
    key = read_path(b"/" + raw)
    if key is not None:
        assert re.fullmatch(r"[A-Za-z0-9._+!~/-]+", key)
        assert not {"", ".", ".."} & set(key.split("/"))
        assert not any(part.startswith(".") for part in key.split("/"))


@given(st.binary(max_size=120))
def test_a_query_is_as_we_write_it_or_nothing(query: bytes) -> None:
    assert read_claim(query) is None


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "../a", "a/../b", ".a", "a b", "a%2fb", "a?b", "a#b", "ä", "a\nb", "a" * 2000]
)
def test_what_is_no_artefact_is_not_signed(key: str) -> None:
    with pytest.raises(UsageError):
        sign_url("http://x", key, KEY, expires=1)


def test_a_key_goes_through_text() -> None:
    assert SigningKey.parse(f" {KEY.text()}\n") == KEY
