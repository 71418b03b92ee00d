"""References to images, and where registries are."""

from __future__ import annotations

import subprocess
import sys

import pytest
from docker.auth import INDEX_NAME, INDEX_URL
from hypothesis import given
from hypothesis import strategies as st

from hermetic.config import Config
from hermetic.errors import HermeticError, UsageError
from hermetic.outputs.oci.reference import (
    Reference,
    default_key,
    default_names,
    is_loopback,
    parse_reference,
    registry_address,
)

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian", Reference(INDEX_NAME, "library/debian")),
        ("debian:12-slim", Reference(INDEX_NAME, "library/debian", "12-slim")),
        ("team/base", Reference(INDEX_NAME, "team/base")),
        (f"{INDEX_NAME}/debian:12", Reference(INDEX_NAME, "library/debian", "12")),
        (f"index.{INDEX_NAME}/team/base", Reference(INDEX_NAME, "team/base")),
        ("registry.example.org/base", Reference("registry.example.org", "base")),
        ("registry.example.org/team/base:1", Reference("registry.example.org", "team/base", "1")),
        (f"registry.example.org/a/b/c@{DIGEST}", Reference("registry.example.org", "a/b/c", "", DIGEST)),
        (f"registry.example.org/a:1@{DIGEST}", Reference("registry.example.org", "a", "1", DIGEST)),
        ("127.0.0.1:5000/a:1", Reference("127.0.0.1:5000", "a", "1")),
        ("localhost/a", Reference("localhost", "a")),
        ("localhost:80/a", Reference("localhost:80", "a")),
        ("[::1]:5000/a:1", Reference("[::1]:5000", "a", "1")),
        ("lab/team/base:1", Reference("lab", "team/base", "1")),
        ("laboratory/base:1", Reference(INDEX_NAME, "laboratory/base", "1")),
        ("a__b/c.d/e-f--g", Reference(INDEX_NAME, "a__b/c.d/e-f--g")),
    ],
)
def test_what_texts_mean(text: str, expected: Reference) -> None:
    assert parse_reference(text, {"lab"}) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no repository"),
        ("registry.example.org/", "no repository"),
        ("https://registry.example.org/a", "it is a URL"),
        ("Debian", "upper-case"),
        ("registry.example.org/Team/a", "upper-case"),
        ("a//b", "no part of a name"),
        ("a/../b", "no part of a name"),
        ("a/.b", "no part of a name"),
        ("a b", "no part of a name"),
        ("a\n", "no part of a name"),
        ("a:", "its tag"),
        ("a:-x", "its tag"),
        (f"a:{'x' * 129}", "its tag"),
        ("a:1:2", "no part of a name"),
        ("a@sha256:12", "its digest"),
        (f"a@{DIGEST.upper()}", "its digest"),
        (f"a@{DIGEST}x", "its digest"),
        ("-r.example.org/a", "no registry"),
        ("r.example.org:port/a", "no registry"),
        ("/".join("ab" * 50 for _ in range(3)), "longer than 255"),
    ],
)
def test_what_is_no_reference(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_reference(text)


@pytest.mark.parametrize("text", ["user:hunter22@r.example.org/a", "https://user:hunter22@r.example.org/a"])
def test_a_password_in_it_is_not_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert "hunter22" not in str(caught.value)


@given(st.text(alphabet="abAB1.:/@-_[]sha256: \n", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_reference(text)
    except HermeticError:
        return
    assert parse_reference(str(found)) == found


PART = st.from_regex(r"[a-z0-9]+((\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)


@given(
    st.sampled_from(["", "r.example.org", "127.0.0.1:5000", "localhost"]),
    st.lists(PART, min_size=2, max_size=4),
    st.from_regex(r"([A-Za-z0-9_][A-Za-z0-9._-]{0,20})?", fullmatch=True),
    st.sampled_from(["", DIGEST]),
)
def test_parts_are_found_again(registry: str, parts: list[str], tag: str, digest: str) -> None:
    repository = "/".join(["a", *parts])
    text = (
        "/".join(filter(None, [registry, repository])) + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    )
    assert parse_reference(text) == Reference(registry or INDEX_NAME, repository, tag, digest)


def test_what_is_asked_for() -> None:
    assert parse_reference("r.example.org/a").target == "latest"
    assert parse_reference("r.example.org/a:1").target == "1"
    assert parse_reference(f"r.example.org/a:1@{DIGEST}").target == DIGEST
    assert parse_reference(f"r.example.org/a@{DIGEST}").tag_or_latest == ""
    one = parse_reference("r.example.org/a:1")
    assert str(one.with_digest(DIGEST)) == f"r.example.org/a@{DIGEST}"
    assert str(one.with_tag("2")) == "r.example.org/a:2"
    with pytest.raises(UsageError, match="no tag"):
        one.with_tag("a/b")


def test_the_default_registry_is_the_sdks() -> None:
    assert default_names()[0] == INDEX_NAME
    assert default_key() == INDEX_URL
    assert INDEX_URL.startswith(registry_address(Config(), INDEX_NAME).url + "/")


def test_the_sdk_is_not_imported_for_it() -> None:
    code = (
        "import sys; from hermetic.outputs.oci.reference import *; parse_reference('a'); print('docker' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


class TestAddresses:
    @pytest.mark.parametrize(
        ("registry", "url"),
        [
            ("r.example.org", "https://r.example.org"),
            ("r.example.org:5000", "https://r.example.org:5000"),
            ("10.0.0.7:5000", "https://10.0.0.7:5000"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("localhost:5000", "http://localhost:5000"),
        ],
    )
    def test_without_configuration(self, registry: str, url: str) -> None:
        found = registry_address(Config(), registry)
        assert (found.url, found.prefix, found.configured) == (url, "", False)

    def test_with_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_PART", "hunter22")
        config = Config(
            registries={
                "127.0.0.1:1": "https://127.0.0.1:1/",
                "lab": "http://10.0.0.7:5000/proxy/hub/",
                "r.example.org": "https://me:${SECRET_PART}@mirror.example.org",
            }
        )
        assert registry_address(config, "127.0.0.1:1").url == "https://127.0.0.1:1"
        lab = registry_address(config, "lab")
        assert (lab.url, lab.host, lab.repository("a/b")) == ("http://10.0.0.7:5000", "10.0.0.7:5000", "proxy/hub/a/b")
        mirror = registry_address(config, "r.example.org")
        assert mirror.url == "https://mirror.example.org"
        assert "hunter22" not in repr(mirror)
        assert "hunter22" in mirror.asked

    def test_a_mirror_of_the_default_registry(self) -> None:
        config = Config(registries={INDEX_NAME: "http://127.0.0.1:1/hub"})
        reference = parse_reference("debian:12", config.registries)
        assert reference == Reference(INDEX_NAME, "library/debian", "12")
        assert registry_address(config, reference.registry).url == "http://127.0.0.1:1"

    @pytest.mark.parametrize("address", ["ftp://x", "https://", "https://x?a=1", "https://x#a"])
    def test_addresses_that_are_none(self, address: str) -> None:
        with pytest.raises(UsageError, match="lab"):
            registry_address(Config(registries={"lab": address}), "lab")

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3:80", "[::1]", "localhost", "a.localhost:1"])
    def test_loopback(self, host: str) -> None:
        assert is_loopback(host)

    @pytest.mark.parametrize("host", ["10.0.0.1", "r.example.org", "localhost.example.org", "127.0.0.1.example.org"])
    def test_elsewhere(self, host: str) -> None:
        assert not is_loopback(host)
