"""The stable URL of a private wheel: one text for one wheel, and nothing in it that is secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic import CondaDependencies
from hermetic.errors import Place, SpecError
from hermetic.spec.load import load_spec
from hermetic.spec.manifest import load_environment, load_manifest
from hermetic.spec.pep508 import Origin, pip_requirement
from hermetic.spec.private_urls import PrivateUrl, is_private, parse_private, private_url
from hermetic.spec.requirements_txt import read_requirements

SHA256 = "0123456789abcdef" * 4
FILE = "mine_own-1.0+cu121-py3-none-any.whl"
URL = f"hermetic://team/wheels/{SHA256}/{FILE}"
PLACE = Place("requirements.txt", 3)


def test_it_is_taken_apart_and_put_together() -> None:
    found = parse_private(URL)
    assert found == PrivateUrl("team", SHA256, FILE)
    assert found.key == f"wheels/{SHA256}/{FILE}"
    assert str(found) == private_url("Team", SHA256, FILE) == URL


@pytest.mark.parametrize(
    "text",
    [URL, f"HERMETIC://Team/wheels/{SHA256.upper()}/{FILE}", URL.replace("+", "%2B"), URL.replace("+", "%2b")],
)
def test_spellings_of_one_wheel_are_one_url(text: str) -> None:
    assert is_private(text)
    assert str(parse_private(text)) == URL
    assert pip_requirement(text, Origin()) == pip_requirement(f"mine.own @ {URL}", Origin())


BAD = {
    "no wheel": f"hermetic://team/wheels/{SHA256}/mine-1.0.tar.gz",
    "half a name": f"hermetic://team/wheels/{SHA256}/mine-1.0.whl",
    "a short digest": f"hermetic://team/wheels/{SHA256[:-1]}/{FILE}",
    "another folder": f"hermetic://team/locks/{SHA256}/{FILE}",
    "a way out": f"hermetic://team/wheels/{SHA256}/..%2F{FILE}",
    "a folder too many": f"hermetic://team/wheels/{SHA256}/x/{FILE}",
    "no workspace": f"hermetic:///wheels/{SHA256}/{FILE}",
    "a workspace's name that is none": f"hermetic://-team/wheels/{SHA256}/{FILE}",
    "a port": f"hermetic://team:80/wheels/{SHA256}/{FILE}",
    "a variable": f"hermetic://${{TEAM}}/wheels/{SHA256}/{FILE}",
    "an encoded line end": f"hermetic://team/wheels/{SHA256}/mine-1.0-py3-none-any%0a.whl",
    "nothing": "hermetic://",
}


@pytest.mark.parametrize("url", BAD.values(), ids=BAD.keys())
def test_what_is_none_is_refused_with_its_place(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        pip_requirement(f"mine-own @ {url}", Origin(PLACE))
    assert caught.value.place == PLACE
    assert "hermetic wheel add" in (caught.value.remedy or "") or "63 letters" in (caught.value.remedy or "")


@pytest.mark.parametrize("secret", ["?sig=S3cr3tS3cr3t", "?exp=1&sig=S3cr3tS3cr3t#sha256=00"])
def test_a_signature_is_refused_and_never_repeated(secret: str) -> None:
    for text in (URL + secret, URL.replace("://", "://me:S3cr3tS3cr3t@")):
        with pytest.raises(SpecError) as caught:
            pip_requirement(text, Origin(PLACE))
        assert "S3cr3t" not in str(caught.value)


class TestAsARequirement:
    def test_its_name_is_its_files(self) -> None:
        found = pip_requirement(URL, Origin())
        assert (found.name, found.url, found.hashes) == ("mine-own", URL, ())
        assert found.text == f"mine-own @ {URL}"
        assert pip_requirement(found.text, Origin()) == found

    def test_extras_and_markers_stay(self) -> None:
        found = pip_requirement(f"Mine_Own[Fast] @ {URL} ; python_version < '3.13'", Origin())
        assert (found.extras, found.marker, found.url) == (("fast",), 'python_version < "3.13"', URL)

    def test_another_name_is_refused(self) -> None:
        with pytest.raises(SpecError, match="called theirs, and its file is a wheel of mine-own"):
            pip_requirement(f"theirs @ {URL}", Origin(PLACE))
        with pytest.raises(SpecError, match="called theirs"):
            pip_requirement(f"{URL}#egg=theirs", Origin(PLACE))

    def test_its_own_digest_beside_it_says_nothing_new(self) -> None:
        plain = pip_requirement(URL, Origin())
        assert pip_requirement(f"{URL}#sha256={SHA256}", Origin()) == plain
        assert pip_requirement(URL, Origin(), hashes=(f"sha256:{SHA256}", f"sha256:{'0' * 64}")) == plain

    def test_another_digest_contradicts_it(self) -> None:
        with pytest.raises(SpecError, match="is not the one in it"):
            pip_requirement(f"{URL}#sha256={'0' * 64}", Origin(PLACE))

    def test_it_is_not_editable(self) -> None:
        with pytest.raises(SpecError, match="cannot be editable"):
            pip_requirement(URL, Origin(PLACE), editable=True)


def test_a_file_that_requires_digests_finds_the_one_in_the_url(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"--require-hashes\n{URL}\nother==1 --hash=sha256:{SHA256}\n")
    assert [item.name for item in read_requirements(path).pip] == ["mine-own", "other"]


@given(st.text(max_size=40))
def test_no_text_passes_for_one_by_accident(text: str) -> None:
    try:
        found = parse_private(f"hermetic://team/wheels/{SHA256}/{text}")
    except SpecError:
        return
    assert parse_private(str(found)) == found
    assert not set(found.file_name) & set("/\\?#%@:\0 \n")


REQUIREMENT = f"mine-own @ {URL}"
FILES = {
    "requirements.txt": f"{URL}\n",
    "named.txt": f"Mine.Own @ HERMETIC://Team/wheels/{SHA256.upper()}/{FILE} --hash=sha256:{SHA256}\n",
    "environment.yml": f"dependencies:\n  - pip:\n      - {REQUIREMENT}\n",
    "quoted.yml": f"dependencies:\n  - pip:\n      - '{URL}#sha256={SHA256}'  # as pip writes it\n",
    "include.yml": "dependencies:\n  - pip:\n      - -r requirements.txt\n",
    "pyproject.toml": f'[project]\nname = "app"\nversion = "1"\ndependencies = ["{REQUIREMENT}"]\n',
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_spec_says_the_same(tmp_path: Path, name: str) -> None:
    for other, text in FILES.items():
        (tmp_path / other).write_text(text)
    (requirement,) = load_spec([tmp_path / name]).pip
    assert requirement == pip_requirement(URL, Origin())
    assert requirement.to_dict() == {"requirement": REQUIREMENT}
    assert requirement.place is not None


@pytest.mark.parametrize("key", ["pip", "wheels"])
def test_a_manifest_says_the_same_in_two_places(tmp_path: Path, key: str) -> None:
    path = tmp_path / "hermetic.toml"
    path.write_text(f'[environments.default]\n{key} = ["{URL}"]\n')
    (requirement,) = load_environment(load_manifest(path), "default").spec.pip
    assert requirement == pip_requirement(URL, Origin())


def test_python_says_the_same_and_writes_it_as_it_reads_it() -> None:
    made = CondaDependencies()
    made.add_pip_package("mine.own==0.9")
    made.add_pip_package(URL)
    assert list(made.pip_packages) == [REQUIREMENT], "a wheel takes the place of its project's other requirements"
    again = CondaDependencies.from_text(made.serialize_to_string())
    assert again.to_spec() == made.to_spec()
    again.remove_pip_package(URL)
    assert list(again.pip_packages) == []
    with pytest.raises(SpecError) as caught:
        made.add_pip_package(f"{URL}?sig=S3cr3tS3cr3t")
    assert "S3cr3t" not in str(caught.value)
