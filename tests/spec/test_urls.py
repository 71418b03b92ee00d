"""URLs in specs: placeholders stay, credentials, tokens and signatures never do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.errors import SpecError
from hermetic.spec.urls import carries_secret, clean_url

WORDS = st.text(st.characters(categories=["Ll", "Nd"], codec="ascii"), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("HTTPS://Example.org/A/b#frag", "https://example.org/A/b#frag"),
        ("https://u:p@example.org:8443/a", "https://example.org:8443/a"),
        ("https://u:${P}@example.org/a", "https://u:${P}@example.org/a"),
        ("https://$U:$P@example.org/a", "https://${U}:${P}@example.org/a"),
        ("https://${U}:${P}${Q}@example.org/a", "https://${U}:${P}${Q}@example.org/a"),
        ("https://${U}:p${P}@example.org/a", "https://example.org/a"),
        ("https://${HOST}/a", "https://${HOST}/a"),
        ("https://example.org/t/tk-1/a", "https://example.org/a"),
        ("https://example.org/a?sv=1&sig=x#sha256=00", "https://example.org/a#sha256=00"),
        ("file:///a/b", "file:///a/b"),
        ("git+file:///a/b", "git+file:///a/b"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("https://[::1]:8080/a", "https://[::1]:8080/a"),
        ("https://u:p@w@example.org/a", "https://example.org/a"),
    ],
)
def test_what_is_kept_of_a_url(url: str, clean: str) -> None:
    assert clean_url(url) == clean
    assert clean_url(clean) == clean


@pytest.mark.parametrize("text", ["example.org/a", "https://", "https:///a", "https://exa mple.org", "://x"])
def test_what_is_no_url_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        clean_url(text)
    assert "exa" not in caught.value.message


@given(WORDS, WORDS, WORDS)
def test_no_literal_credential_survives(user: str, password: str, token: str) -> None:
    url = f"https://{user}-USER:{password}-PASSWORD@example.org/t/{token}-TOKEN/x?sig={token}-TOKEN"
    assert carries_secret(url)
    assert clean_url(url) == "https://example.org/x"


def test_a_placeholder_is_no_secret() -> None:
    assert not carries_secret("https://me:${TOKEN}@example.org/a")
    assert not carries_secret("git+ssh://git@example.org/a")
    assert carries_secret("https://token@example.org/a")
