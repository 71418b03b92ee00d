"""pip requirements: one canonical text, direct references without secrets, paths relative to the spec."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from spec_strategies import PIP_TEXTS

from hermetic.errors import Place, SpecError
from hermetic.spec import pep508
from hermetic.spec.pep508 import Origin, path_prefix, pip_requirement

HERE = Origin(Place("requirements.txt", 3))
HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("requests", "requests"),
        ("Foo_Bar.baz", "foo-bar-baz"),
        ("requests>=2,<3", "requests<3,>=2"),
        ("requests (>=2)", "requests>=2"),
        ("requests == 2.0.RC1", "requests==2.0rc1"),
        ("requests==2.*", "requests==2.*"),
        ("flit-core === 3.9.0", "flit-core===3.9.0"),
        ("requests[Socks,b_c] ~= 2.8", "requests[b-c,socks]~=2.8"),
        ("a;python_version<'3.8'", 'a; python_version < "3.8"'),
        ("a @ https://example.org/a.whl ; os_name == 'nt'", 'a @ https://example.org/a.whl ; os_name == "nt"'),
        ("a@https://example.org/a.whl", "a @ https://example.org/a.whl"),
        ("https://example.org/en_core-3.7.1.tar.gz", "en-core @ https://example.org/en_core-3.7.1.tar.gz"),
        ("https://example.org/a_b-1.0-py3-none-any.whl", "a-b @ https://example.org/a_b-1.0-py3-none-any.whl"),
        ("https://example.org/archive/v1.zip", "https://example.org/archive/v1.zip"),
        ("git+https://example.org/a@v1", "git+https://example.org/a@v1"),
        ("git+https://example.org/a@v1#egg=A_b&subdirectory=x/", "a-b @ git+https://example.org/a@v1#subdirectory=x"),
        ("git+ssh://git@example.org/a.git", "git+ssh://git@example.org/a.git"),
        ("git+ssh://git@example.org:me/a.git", "git+ssh://git@example.org/me/a.git"),
        ("a[x] @ git+https://example.org/a", "a[x] @ git+https://example.org/a"),
        (".", "."),
        ("./", "."),
        (".[test]", ".[test]"),
        ("..", ".."),
        ("./dist/a-1.0-py3-none-any.whl", "a @ ./dist/a-1.0-py3-none-any.whl"),
        ("dist/a-1.0-py3-none-any.whl", "a @ ./dist/a-1.0-py3-none-any.whl"),
        (".\\dist\\x.whl", "./dist/x.whl"),
        ("vendored/thing/", "./vendored/thing"),
        ("/opt/wheels/x.whl", "/opt/wheels/x.whl"),
        ("file:///opt/my%20wheels/x.whl", "/opt/my wheels/x.whl"),
        ("file:./x.whl", "./x.whl"),
        ("C:\\wheels\\x.whl", "C:/wheels/x.whl"),
        ("./x ; sys_platform == 'linux'", './x ; sys_platform == "linux"'),
    ],
)
def test_a_requirement_has_one_text(text: str, canonical: str) -> None:
    found = pip_requirement(text, HERE)
    assert found.text == canonical
    assert pip_requirement(found.text, HERE) == found


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("a @ https://somebody@example.org/a.whl?raw=1", "https://example.org/a.whl"),
        ("git+https://${TOKEN}@example.org/a@main", "git+https://${TOKEN}@example.org/a@main"),
        ("git+https://me:$TOKEN@example.org/a", "git+https://me:${TOKEN}@example.org/a"),
        ("git+https://${USER}:${secret:git}@example.org/a", "git+https://${USER}:${secret:git}@example.org/a"),
    ],
)
def test_a_url_keeps_placeholders_and_loses_names(text: str, url: str) -> None:
    found = pip_requirement(text, HERE)
    assert found.url == url
    assert "somebody" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "a @ https://me:hunter2@example.org/a.whl",
        "git+https://hunter2:x-oauth-basic@example.org/a@main",
        "git+https://${USER}:hunter2@example.org/a",
        "a @ https://example.org/a.whl?sig=hunter2",
        f"git+https://ghp_{'hunter2' * 6}@example.org/a",
    ],
)
def test_a_typed_password_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="typed password") as caught:
        pip_requirement(text, HERE)
    assert caught.value.place == HERE.place
    assert "hunter2" not in str(caught.value)


def test_a_digest_in_a_url_is_a_hash() -> None:
    found = pip_requirement(f"a @ https://example.org/a.whl#sha256={HEX.upper()}", HERE, hashes=(f"sha512:{HEX}{HEX}",))
    assert found.url == "https://example.org/a.whl"
    assert found.hashes == (f"sha256:{HEX}", f"sha512:{HEX}{HEX}")


@pytest.mark.parametrize(
    ("prefix", "text", "url"),
    [("sub", "./x.whl", "./sub/x.whl"), ("sub", "..", "."), ("sub", "../x", "./x"), ("../up", ".", "../up"),
     ("../up", "../x", "../x"), ("sub", "/abs/x", "/abs/x")],
)  # fmt: skip
def test_paths_start_at_the_root_of_the_spec(prefix: str, text: str, url: str) -> None:
    assert pip_requirement(text, Origin(prefix=prefix), editable=True).url == url


def test_the_way_between_folders_is_no_absolute_path(tmp_path: Path) -> None:
    assert path_prefix(tmp_path / "a" / "b" / "r.txt", tmp_path / "a") == "b"
    assert path_prefix(tmp_path / "r.txt", tmp_path) == "."
    assert path_prefix(tmp_path / "r.txt", tmp_path / "a") == ".."


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("requests=2.0", "is no pip requirement", "compares with =="),
        ("conda-forge::requests", "is no pip requirement", "channels are conda's"),
        ("requests >= 2.*", "is no pip requirement", "name[extra]"),
        ("a ===", "is no pip requirement", "name[extra]"),
        ("@EXPLICIT", "is no pip requirement", "name[extra]"),
        ("a b", "is no pip requirement", "name[extra]"),
        ("", "is no pip requirement", "name[extra]"),
        ("a==${VERSION}", "is no pip requirement", "name[extra]"),
        ("a ; python_version", "is no pip requirement", "name[extra]"),
        ("./x ; python_version", "the marker cannot be read", "python_version <"),
        ("https://example.org/a b.whl", "white space in a URL", "%20"),
        ("a @ https:///x", "URL without a host", "https://host"),
        ("https://example.org/a#egg=b&rev=1", "#rev means nothing", "#egg="),
        ("a @ https://example.org/a#egg=b", "is called a", "remove #egg="),
        ("a @ https://example.org/a#sha256=12", "no digest that pip accepts", "64 hex"),
        ("a" * 5000, "length", "name[extra]"),
    ],
)
def test_what_is_no_requirement_says_so_and_what_to_do(text: str, message: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        pip_requirement(text, HERE)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == HERE.place


def test_only_paths_and_repositories_can_be_editable() -> None:
    assert pip_requirement(".", HERE, editable=True).editable
    assert pip_requirement("thing", HERE, editable=True).url == "./thing"


@given(PIP_TEXTS)
def test_canonical_text_is_a_fixed_point(text: str) -> None:
    found = pip_requirement(text, HERE)
    assert pip_requirement(found.text, HERE) == found


@given(PIP_TEXTS.filter(lambda text: not text.startswith(("./", "git+")) and "@" not in text))
@settings(max_examples=120)
def test_the_quick_way_and_packagings_give_one_answer(text: str) -> None:
    found = pip_requirement(text, HERE)
    judge = Requirement(text)
    assert found.name == canonicalize_name(judge.name)
    assert found.extras == tuple(sorted({canonicalize_name(extra) for extra in judge.extras}))
    assert SpecifierSet(found.specifier) == judge.specifier
    assert pep508._by_packaging(text, None).to_dict() == found.to_dict()
