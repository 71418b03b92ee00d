"""What is taken for a typed password, and what is not: every real spec is read as before."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic import secrets
from hermetic.errors import Place, SpecError
from hermetic.secrets import SecretText
from hermetic.spec.azureml import read_azureml
from hermetic.spec.load import load
from hermetic.spec.manifest import load_environment, load_manifest
from hermetic.spec.passwords import check_dockerfile, check_variable, spec_url, url_holds_password

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[2].parent / "shared"))
CORPUS = SHARED / "corpus"

TYPED = [
    ("DB_PASSWORD", "hunter2"),
    ("DB_PASSWORD", "12345"),
    ("PGPASSWORD", "x"),
    ("MYSQL_PWD", "abc"),
    ("SMTP_PASS", "abc"),
    ("PASSWORD2", "abcd"),
    ("dbPassword", "s"),
    ("authToken", "abc"),
    ("WANDB_API_KEY", "0123456789abcdef0123"),
    ("AWS_SECRET_ACCESS_KEY", "/Ab3fghijklmnopqrstuvwxyz0123456789ABCDE"),
    ("HF_TOKEN", "abcdefghijklmnopqrst"),
    ("AZURE_CLIENT_SECRET", "a~b.c"),
    ("DATABASE_URL", "postgresql://u:pw@db.example.org/x"),
    ("HTTPS_PROXY", "http://me:pw@proxy.example.org:3128"),
    ("CONNECTION", "Server=x;User=y;Password=zz;"),
    ("STORAGE", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc==;EndpointSuffix=x"),
    ("DSN", "host=h password=q dbname=x"),
    ("SAS", "https://account.example.org/c?sv=1&sig=abc%3D"),
    ("ANYTHING", f"ghp_{'a1' * 18}"),
    ("ANYTHING", f"eyJ{'a1' * 8}.eyJ{'b2' * 8}.c3"),
]
INNOCENT = [
    ("TOKENIZERS_PARALLELISM", "false"),
    ("MAX_TOKEN", "512"),
    ("EOS_TOKEN", "</s>"),
    ("PAD_TOKEN", "pad"),
    ("OLDPWD", "/x"),
    ("PWD", "somewhere"),
    ("BYPASS", "abc"),
    ("COMPASS", "north"),
    ("MONKEY", "banana"),
    ("SORT_KEY", "name"),
    ("PRIMARY_KEY", "id"),
    ("AWS_ACCESS_KEY_ID", "some-id"),
    ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes"),
    ("USE_AUTH_TOKEN", "true"),
    ("SESSION_TOKEN", "0"),
    ("TOKEN", ""),
    ("API_KEY", "<your key>"),
    ("API_KEY", "your-api-key"),
    ("API_KEY", "xxxx"),
    ("API_KEY", "{{ api_key }}"),
    ("K8S_TOKEN", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
    ("TLS_PRIVATE_KEY", "certs/server.key"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token"),
    ("DB_PASSWORD", "${secret:db}"),
    ("DB_PASSWORD", "${DB_PASSWORD}"),
    ("DB_PASSWORD", "$DB_PASSWORD"),
    ("DATABASE_URL", "postgresql://u:${secret:pw}@db.example.org/x"),
    ("DATABASE_URL", "postgresql://${U}:${P}@db.example.org/x"),
    ("CONNECTION", "Server=x;Password=${secret:pw};"),
    ("URL", "https://example.org/a?b=c"),
    ("REPOSITORY", "git@example.org:x/y"),
    ("PYTHONPATH", "/a:/b@c"),
    ("JAVA_OPTS", "-Dpassword.file=/x -Xmx4g"),
]


@pytest.mark.parametrize(("name", "value"), TYPED)
def test_a_typed_password_is_refused(name: str, value: str) -> None:
    with pytest.raises(SpecError, match=f"the variable {name} holds a typed password") as caught:
        check_variable(name, value, Place("environment.yml", 7))
    assert caught.value.place == Place("environment.yml", 7)
    assert len(value) < 5 or value not in str(caught.value)
    assert re.search(r"'hermetic secret set [a-z0-9-]+', and write \$\{secret:[a-z0-9-]+\}", caught.value.remedy or "")


@pytest.mark.parametrize(("name", "value"), INNOCENT)
def test_what_only_sounds_like_one_is_not(name: str, value: str) -> None:
    check_variable(name, value)


@given(st.from_regex(r"\A[A-Z][A-Z0-9_]{0,20}\Z"), st.text(max_size=60))
def test_the_way_out_is_always_open(name: str, value: str) -> None:
    """Whatever is refused, the reference that the remedy names is not."""
    try:
        check_variable(name, value)
    except SpecError as error:
        if found := re.search(r"\$\{secret:[^}]*\}", error.remedy or ""):
            check_variable(name, found[0])


@pytest.mark.parametrize("value", ["${secret:}", "${secret:a b}", "${secret:a", "x${secret:-a}y"])
def test_a_reference_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SpecError, match="the variable A: ") as caught:
        check_variable("A", value, Place("x", 1))
    assert caught.value.place


def test_a_value_that_came_from_the_vault_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_named", {})
    value = SecretText("the-value-of-it", "db")
    with pytest.raises(SpecError, match="holds the secret 'db'") as caught:
        check_variable("ANYTHING", f"--with={value}")
    assert caught.value.remedy == 'write "--with=${secret:db}"'
    assert "the-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "value", "remedy"),
    [
        ("ab12", "x:ab12", 'write "x:${secret:nl}"'),
        ("ab12", "xab12y", 'write "x${secret:nl}y"'),
        ("a1", "x:a1@host", 'write "x:${secret:nl}@host"'),
        ("ab12cd\n", "x:ab12cd", 'write "x:${secret:nl}"'),
        ("ab12", "postgresql://u:typed@h/ab12", "write ${secret:nl} where its value stands"),
    ],
)
def test_a_short_value_is_known_and_the_remedy_shows_what_to_write(
    monkeypatch: pytest.MonkeyPatch, secret: str, value: str, remedy: str
) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_named", {})
    SecretText(secret, "nl")
    with pytest.raises(SpecError, match="holds the secret 'nl'") as caught:
        check_variable("DSN", value)
    assert caught.value.remedy == remedy
    assert secret.strip() not in str(caught.value)


@pytest.mark.parametrize(("secret", "value"), [("a1", "xa1y"), ("1", "1"), ("prod!", "production")])
def test_letters_that_stand_there_by_chance_are_no_secret(
    monkeypatch: pytest.MonkeyPatch, secret: str, value: str
) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_named", {})
    SecretText(secret, "nl")
    check_variable("DSN", value)


@pytest.mark.parametrize(
    "url",
    [
        "https://u:p@example.org/x", "https://${U}:p@example.org", "https://example.org/t/abc/ch",
        f"https://{'ab1' * 10}@example.org/", "https://example.org/x.whl?sv=1&sig=abc", "git+https://u:p@example.org/x.git@v1",
    ],
)  # fmt: skip
def test_urls_with_passwords(url: str) -> None:
    assert url_holds_password(url)
    with pytest.raises(SpecError, match="typed password") as caught:
        spec_url(url, Place("x", 3))
    assert caught.value.place == Place("x", 3)


@pytest.mark.parametrize(
    "url",
    [
        "https://me@example.org/x", "https://git@example.org/x", "git+ssh://git@example.org/x",
        "https://example.org/t/<TOKEN>/x", "https://example.org/x?raw=true", "https://u:${P}@example.org",
        "https://$U:$P@example.org", "https://${secret:u}:${secret:p}@example.org", "https://example.org/t/${secret:t}/c",
        "./x", "https://example.org/a@b:c",
    ],
)  # fmt: skip
def test_urls_without(url: str) -> None:
    assert not url_holds_password(url)


class TestDockerfiles:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("FROM a\nENV DB_PASSWORD=hunter2\n", 2),
            ("FROM a\n# ENV X_TOKEN=abc\nENV A=b \\\n    API_KEY='abc def'\n", 3),
            ("FROM a\nENV DB_PASSWORD hunter2\n", 2),
            ("ARG HF_TOKEN=abcd\nFROM a\n", 1),
            ("FROM a\nRUN pip install -i https://me:hunter2@example.org/simple x\n", 2),
            (f"FROM a\nRUN git clone https://ghp_{'a1' * 18}@example.org/x\n", 2),
        ],
    )
    def test_typed_passwords_are_refused_with_their_line(self, text: str, line: int) -> None:
        with pytest.raises(SpecError, match="typed password") as caught:
            check_dockerfile(text, Place("Dockerfile", None))
        assert caught.value.place == Place("Dockerfile", line)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            "FROM a\nARG HF_TOKEN\nENV PATH=/opt/bin:$PATH TOKENIZERS_PARALLELISM=false\n",
            "FROM a\nENV DB_PASSWORD=$DB_PASSWORD\nRUN --mount=type=secret,id=t TOKEN=$(cat /run/secrets/t) make\n",
            "FROM a\nRUN curl https://user@example.org/x\n",
        ],
    )
    def test_others_are_not(self, text: str) -> None:
        check_dockerfile(text)


class TestFiles:
    def test_an_environment_yml(self, tmp_path: Path) -> None:
        path = tmp_path / "environment.yml"
        path.write_text("dependencies: [python]\nvariables:\n  A: b\n  DB_PASSWORD: hunter2\n")
        with pytest.raises(SpecError, match="DB_PASSWORD") as caught:
            load([path])
        assert caught.value.place == Place(str(path), 4)

    def test_a_manifest(self, tmp_path: Path) -> None:
        path = tmp_path / "hermetic.toml"
        path.write_text(
            '[environments.a]\ndependencies = ["python"]\n[environments.a.variables]\nX_TOKEN = "hunter2"\n'
        )
        with pytest.raises(SpecError, match="X_TOKEN") as caught:
            load_environment(load_manifest(path), "a")
        assert caught.value.place == Place(str(path), 4)

    def test_an_azure_directory(self, tmp_path: Path) -> None:
        (tmp_path / "azureml_environment.json").write_text(
            '{\n    "name": "a",\n    "environmentVariables": {\n        "A": "b",\n'
            '        "X_TOKEN": "hunter2"\n    },\n'
            '    "python": {"userManagedDependencies": true}\n}\n'
        )
        with pytest.raises(SpecError, match="X_TOKEN") as caught:
            read_azureml(tmp_path)
        assert caught.value.place == Place(str(tmp_path / "azureml_environment.json"), 5)
        assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of real specs at {CORPUS}")
def test_no_real_spec_is_refused_for_a_password() -> None:
    """Of what the corpus holds, nothing is taken for a password: variables, addresses, and any pair in any text."""
    refused = []
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file() or path.name in {"index.csv", "README.md"}:
            continue
        try:
            load([path])
        except SpecError as error:
            if "typed password" in error.message:
                refused.append(str(error))
        for name, value in re.findall(
            r"^\s*([A-Za-z_]\w*)\s*[:=]\s*(\S.*)$", path.read_text(errors="replace"), re.MULTILINE
        ):
            try:
                check_variable(name, value.strip("\"'"))
            except SpecError as error:
                refused.append(f"{path}: {error}")
    assert refused == []
