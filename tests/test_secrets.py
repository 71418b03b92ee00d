from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.errors import CredentialsError, UsageError
from hermetic.secrets import (
    HIDDEN,
    SecretText,
    access,
    advice,
    auth_variable,
    conceal,
    expand,
    name_of_value_in,
    public_url,
    redact,
    references,
    resolve,
    secret_value,
    secret_variable,
    use_vault,
)


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NETRC", "RATTLER_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)


class TestAccess:
    def test_nobody_is_known(self) -> None:
        found = access("https://example.org/x?sig=1", {})
        assert (found.url, found.headers, found.source) == ("https://example.org/x?sig=1", {}, "")

    def test_the_url_itself_comes_first(self) -> None:
        found = access("https://me:pass%40word@example.org/x", {"HERMETIC_AUTH_EXAMPLE_ORG": "you:other"})
        assert found.url == "https://example.org/x"
        assert found.headers == basic("me:pass@word")

    @pytest.mark.parametrize(
        ("text", "headers"),
        [
            ("me:secret", basic("me:secret")),
            ("me:se:cret", basic("me:se:cret")),
            ("token-1", {"Authorization": "Bearer token-1"}),
            ("Bearer abc:def", {"Authorization": "Bearer abc:def"}),
            ("token abc", {"Authorization": "token abc"}),
        ],
    )
    def test_the_environment(self, text: str, headers: dict[str, str]) -> None:
        assert access("https://example.org/x", {"HERMETIC_AUTH_EXAMPLE_ORG": text}).headers == headers

    def test_the_port_counts(self) -> None:
        environ = {"HERMETIC_AUTH_EXAMPLE_ORG_8443": "a:1", "HERMETIC_AUTH_EXAMPLE_ORG": "b:2"}
        assert access("https://example.org:8443/", environ).headers == basic("a:1")
        assert access("https://example.org/", environ).headers == basic("b:2")

    def test_another_host_gets_nothing(self) -> None:
        assert access("https://evil-example.org/", {"HERMETIC_AUTH_EXAMPLE_ORG": "a:1"}).headers == {}
        assert access("https://example.org.evil/", {"HERMETIC_AUTH_EXAMPLE_ORG": "a:1"}).headers == {}

    def test_netrc(self, tmp_path: Path) -> None:
        (tmp_path / ".netrc").write_text("machine example.org login me password secret\n")
        (tmp_path / ".netrc").chmod(0o600)
        found = access("https://example.org/x", {})
        assert found.headers == basic("me:secret")
        assert found.source == str(tmp_path / ".netrc")
        assert access("https://other.example.org/x", {}).headers == {}

    def test_a_damaged_netrc(self, tmp_path: Path) -> None:
        file = tmp_path / "netrc"
        file.write_text("machine example.org\nnonsense me secret-word\n")
        with pytest.raises(CredentialsError) as caught:
            access("https://example.org/x", {"NETRC": str(file)})
        assert str(file) in str(caught.value)

    @pytest.mark.parametrize(
        ("entry", "headers", "path"),
        [
            ({"BearerToken": "abc"}, {"Authorization": "Bearer abc"}, "/x"),
            ({"BasicHTTP": {"username": "me", "password": "secret"}}, basic("me:secret"), "/x"),
            ({"CondaToken": "tk-12345"}, {}, "/t/tk-12345/x"),
            ({"Unknown": 1}, {}, "/x"),
        ],
    )
    @pytest.mark.parametrize("host", ["example.org", "*.example.org", "*.org"])
    def test_py_rattlers_file(
        self, tmp_path: Path, host: str, entry: dict[str, object], headers: dict[str, str], path: str
    ) -> None:
        file = tmp_path / "auth.json"
        file.write_text(json.dumps({host: entry, "other.example.net": {"BearerToken": "zzz"}}))
        found = access("https://example.org/x", {"RATTLER_AUTH_FILE": str(file)})
        assert found.headers == headers
        assert found.url == f"https://example.org{path}"

    @pytest.mark.parametrize("content", ["[]", "1", '{"example.org": 1}', '{"example.org": {"BasicHTTP": 1}}'])
    def test_a_strange_file_of_py_rattlers_knows_nobody(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "auth.json"
        file.write_text(content)
        assert access("https://example.org/x", {"RATTLER_AUTH_FILE": str(file)}).headers == {}

    @pytest.mark.parametrize("content", ["{", ""])
    def test_a_damaged_file_of_py_rattlers(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "auth.json"
        file.write_text(content)
        with pytest.raises(CredentialsError) as caught:
            access("https://example.org/x", {"RATTLER_AUTH_FILE": str(file)})
        assert caught.value.place
        assert caught.value.place.file == str(file)

    def test_the_keyring_is_not_loaded_unless_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "keyring", None)  # importing it would fail
        assert access("https://example.org/x", {}).headers == {}
        assert access("https://example.org/x", {}, asked=True).headers == {}

    @pytest.mark.parametrize("url", ["file:///a/b", "/a/b", "http://[", "http://h:x/", "", "ssh://git@example.org/x"])
    def test_what_needs_no_credentials(self, url: str) -> None:
        assert access(url, {"HERMETIC_AUTH_EXAMPLE_ORG": "a:b"}).headers == {}

    def test_it_does_not_show_what_it_holds(self) -> None:
        assert "secret" not in repr(access("https://me:secret@example.org/x?sig=secret", {}))

    def test_advice_names_the_variable(self) -> None:
        assert "HERMETIC_AUTH_MY_HOST_EXAMPLE_ORG=" in advice("https://my-host.example.org/x")
        assert auth_variable("10.0.0.1:80") == "HERMETIC_AUTH_10_0_0_1_80"


class TestExpand:
    def test_variables_are_put_in(self) -> None:
        url = "https://${USER_NAME}:${TOKEN}@example.org/${PART}"
        assert expand(url, {"USER_NAME": "me", "TOKEN": "t", "PART": "p"}) == "https://me:t@example.org/p"

    def test_a_missing_one_is_named(self) -> None:
        with pytest.raises(UsageError, match="TOKEN_X") as caught:
            expand("https://me:${TOKEN_X}@example.org/", {})
        assert "set TOKEN_X" in (caught.value.remedy or "")

    def test_what_was_put_in_is_hidden_from_then_on(self) -> None:
        expand("https://me:${TOKEN}@example.org/", {"TOKEN": "put-in-value"})
        assert redact("it said put-in-value") == f"it said {HIDDEN}"


class TestRedact:
    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            ("https://me:secret@example.org/x", "https://example.org/x"),
            ("https://secret@example.org/x", "https://example.org/x"),
            ("https://a@b:secret@example.org/x", "https://example.org/x"),
            ("https://example.org/x?sig=abc&e=1", "https://example.org/x"),
            ("https://example.org/x?sig=abc#sha256=00", "https://example.org/x#sha256=00"),
            (
                "see https://example.org/x?a=1, and https://u:p@example.net/y.",
                "see https://example.org/x, and https://example.net/y.",
            ),
            ("'https://u:p@example.org/x'", "'https://example.org/x'"),
            ("https://example.org/t/tk-abc/channel", f"https://example.org/t/{HIDDEN}/channel"),
            ("https://me:${TOKEN}@example.org/x", "https://me:${TOKEN}@example.org/x"),
            ("https://me:a${TOKEN}@example.org/x", "https://example.org/x"),
            ("https://example.org/t/${TOKEN}/x", "https://example.org/t/${TOKEN}/x"),
            ("git+ssh://git@example.org/x.git", "git+ssh://git@example.org/x.git"),
            ("git+https://me:secret@example.org/x.git@v1", "git+https://example.org/x.git@v1"),
            ("s3://key:secret@bucket/x", "s3://bucket/x"),
            ("file:///a/b", "file:///a/b"),
            ("no address at all: a@b?c", "no address at all: a@b?c"),
        ],
    )
    def test_addresses(self, text: str, clean: str) -> None:
        assert redact(text) == clean

    def test_it_is_stable(self) -> None:
        text = "https://u:p@example.org/t/abc/x?y"
        assert redact(redact(text)) == redact(text)

    def test_a_password_that_was_used(self) -> None:
        access("https://me:pass%2Fword-1@example.org/x", {})
        assert "word-1" not in redact("the server said: pass/word-1 (pass%2Fword-1) is wrong")

    @given(
        user=st.text("abcXYZ019-._~%", min_size=1, max_size=12),
        password=st.text("abcXYZ019-._~%!$&*+:@", min_size=5, max_size=20),
        query=st.text("abc019=&%+/?", max_size=20),
    )
    def test_no_password_gets_through(self, user: str, password: str, query: str) -> None:
        found = redact(f"error at https://{user}:Q{password}@example.org/path?Z{query} happened")
        assert f"Q{password}" not in found
        assert "?" not in found
        assert "https://example.org/path" in found


class TestPublicUrl:
    @pytest.mark.parametrize(
        ("url", "public"),
        [
            ("https://me:secret@example.org/x", "https://example.org/x"),
            ("https://${WHO}:${TOKEN}@example.org:8080/x", "https://example.org:8080/x"),
            ("https://${TOKEN}@example.org", "https://example.org"),
            ("https://example.org/t/tk-abc/channel/noarch", "https://example.org/channel/noarch"),
            ("https://example.org/t/${TOKEN}/channel", "https://example.org/channel"),
            ("https://example.org/a.whl?sig=abc#sha256=00", "https://example.org/a.whl#sha256=00"),
            ("https://a@b:secret@example.org/x@1", "https://example.org/x@1"),
            ("git+ssh://git@example.org/x.git", "git+ssh://git@example.org/x.git"),
            ("https://${HOST}/x", "https://${HOST}/x"),
            ("file:///a/t/b/c", "file:///a/t/b/c"),
            ("./a@b", "./a@b"),
        ],
    )
    def test_nothing_of_credentials_is_left(self, url: str, public: str) -> None:
        assert public_url(url) == public
        assert public_url(public) == public


class TestReferences:
    @pytest.fixture(autouse=True)
    def _vault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hermetic.secrets._known", set())
        monkeypatch.setattr("hermetic.secrets._named", {})
        monkeypatch.setattr("hermetic.vault_hook.lookup", None)
        use_vault({"db": "p@ss/w:rd-22", "a.b": "another-1", "odd": "${secret:db} ${HOME}"}.get)

    def test_a_value_is_looked_up_and_hidden(self) -> None:
        found = secret_value("db", {})
        assert (found, repr(found)) == ("p@ss/w:rd-22", "<secret 'db'>")
        assert redact("it is p@ss/w:rd-22, p%40ss%2Fw%3Ard-22") == "it is ***, ***"
        assert name_of_value_in("x=p@ss/w:rd-22") == "db"

    def test_the_environment_comes_first(self) -> None:
        assert secret_variable("a.b-c_d") == "HERMETIC_SECRET_A_B_C_D"
        assert secret_value("a.b", {"HERMETIC_SECRET_A_B": "from outside"}) == "from outside"
        assert secret_value("a.b", {"HERMETIC_SECRET_A_B": ""}) == "another-1"

    def test_one_that_is_missing(self) -> None:
        with pytest.raises(CredentialsError, match="the thing needs the secret 'none', which is not there") as caught:
            secret_value("none", {}, needed_by="the thing")
        assert caught.value.exit_status == 4
        assert "HERMETIC_SECRET_NONE" in (caught.value.remedy or "")
        use_vault(None)
        with pytest.raises(CredentialsError, match="no secret 'db'"):
            secret_value("db", {})

    @pytest.mark.parametrize("text", ["${secret:}", "${secret:a b}", "${secret:a", "${secret:ä}", "a${secret:x/y}"])
    def test_what_is_no_reference(self, text: str) -> None:
        for use in (references, resolve, expand):
            with pytest.raises(UsageError):
                use(text)

    def test_texts(self) -> None:
        assert resolve("a ${secret:db} ${HOME} ${secret:a.b}!", {}) == "a p@ss/w:rd-22 ${HOME} another-1!"
        assert references("${secret:db}${secret:a.b} ${secret:db} $secret ${HOME}") == ("db", "a.b")
        assert resolve("nothing", {}) == "nothing"

    def test_a_value_is_not_searched_for_more(self) -> None:
        assert resolve("${secret:odd}", {}) == "${secret:db} ${HOME}"
        assert expand("${secret:odd}", {"HOME": "x"}) == "${secret:db} ${HOME}"

    def test_urls_get_it_as_they_need_it(self) -> None:
        assert expand("https://${USER}:${secret:db}@example.org/x", {"USER": "me"}) == (
            "https://me:p%40ss%2Fw%3Ard-22@example.org/x"
        )
        found = access("https://me:${secret:db}@example.org/x", {})
        assert (found.url, found.headers) == ("https://example.org/x", basic("me:p@ss/w:rd-22"))
        assert access("https://${secret:a.b}:${secret:db}@example.org/", {}).headers == basic("another-1:p@ss/w:rd-22")
        assert expand("https://example.org/t/${secret:a.b}/c", {}) == "https://example.org/t/another-1/c"
        assert expand("${secret:db}", {}) == "p@ss/w:rd-22"

    def test_messages_keep_the_reference(self) -> None:
        text = "error at https://me:${secret:db}@example.org/x and https://${secret:u}:${secret:db}@example.org/y?z"
        assert redact(text) == text.removesuffix("?z")
        assert redact("https://me:${secret:db}x@example.org") == "https://example.org"
        assert public_url("https://me:${secret:db}@example.org/x") == "https://example.org/x"

    def test_conceal_changes_nothing_else(self) -> None:
        SecretText("value-of-it", "n")
        assert conceal("https://u:p@example.org/?q value-of-it") == "https://u:p@example.org/?q ***"

    @given(st.text(st.characters(exclude_categories=("Cs",)), min_size=8, max_size=60))
    def test_no_form_of_a_value_gets_through(self, value: str) -> None:
        SecretText(value, "n")
        for shown in (value, json.dumps(value), json.dumps({"a": value}, ensure_ascii=False)):
            assert json.dumps(value)[1:-1] not in redact(shown)
            assert value not in conceal(shown)
