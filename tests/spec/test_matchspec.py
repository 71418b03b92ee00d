"""MatchSpecs: one canonical text for one meaning, and conda's meaning."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from rattler import BuildString, MatchSpec, PackageName, PackageRecord, Subdir, VersionWithSource
from spec_strategies import CONDA_TEXTS, NUMBERS, refused

from hermetic.errors import Place, SpecError
from hermetic.spec import matchspec
from hermetic.spec.matchspec import canonical_match, channel_name

SPELLINGS = [
    ("python 3.11.*", ["python=3.11", "python =3.11", "python = 3.11", "Python=3.11", "python 3.11.*", "python=3.11.*",
                       "python==3.11.*", "python 3.11*", "python=3.11*", "python[version='3.11.*']", " python=3.11 "]),
    ("python ==3.11", ["python 3.11", "python==3.11", "python == 3.11", "python ==3.11", "python[version=3.11]",
                       "python[version='==3.11']"]),
    ("numpy", ["numpy", "NumPy", "numpy *", "numpy=*", "numpy==*", "numpy[version='*']", "numpy * *", "*::numpy"]),
    ("numpy >=1.2,!=1.3,<2", ["numpy>=1.2,!=1.3,<2", "numpy <2,>=1.2,!=1.3", "numpy >= 1.2 , != 1.3 , < 2",
                              "numpy[version='<2,!=1.3,>=1.2']", "numpy >=1.2,>=1.2,!=1.3,<2"]),
    ("numpy ==1.2|>=2", ["numpy 1.2|>=2", "numpy >=2|1.2", "numpy ==1.2|>=2.*"]),
    ("blas * mkl", ["blas[build=mkl]", "blas=*=mkl", "blas * mkl", 'blas[build="mkl"]']),
    ("numpy ==1.26 py311h", ["numpy=1.26=py311h", "numpy 1.26 py311h", "numpy==1.26=py311h"]),
    ("numpy 1.26.* py311*", ["numpy=1.26.*=py311*", "numpy 1.26.* py311*"]),
    ("a >1", ["a>1", "a >1.*", "a[version='>1.*']", "a >1.* *"]),
    ("a ~=1.2", ["a~=1.2", "a ~= 1.2"]),
    ('jq[subdir="noarch"]', ["jq[subdir=noarch]", "jq[subdir='noarch']"]),
]  # fmt: skip


@pytest.mark.parametrize(("canonical", "text"), [(canonical, text) for canonical, all_ in SPELLINGS for text in all_])
def test_every_spelling_of_one_meaning_is_one_text(canonical: str, text: str) -> None:
    assert canonical_match(text).match == canonical


@pytest.mark.parametrize(
    ("text", "channel", "match"),
    [
        ("conda-forge::jq", "conda-forge", "jq"),
        ("conda-forge::jq=1.6", "conda-forge", "jq 1.6.*"),
        ("conda-forge/linux-64::jq", "conda-forge", 'jq[subdir="linux-64"]'),
        ("conda-forge/label/dev::jq", "conda-forge/label/dev", "jq"),
        ("jq[channel=conda-forge]", "conda-forge", "jq"),
        ("https://example.org/ch/::jq >=1", "https://example.org/ch", "jq >=1"),
        ("https://Example.ORG/ch/linux-64::jq", "https://example.org/ch", 'jq[subdir="linux-64"]'),
        ("https://me@example.org/t/<TOKEN>/ch?raw=1::jq", "https://example.org/ch", "jq"),
        ("https://me:${secret:ch}@example.org/ch::jq", "https://me:${secret:ch}@example.org/ch", "jq"),
        ("https://${USER}:${TOKEN}@example.org/ch::jq", "https://${USER}:${TOKEN}@example.org/ch", "jq"),
    ],
)
def test_a_channel_leaves_the_text(text: str, channel: str, match: str) -> None:
    found = canonical_match(text)
    assert (found.channel, found.match, found.name) == (channel, match, "jq")


def test_an_archive_url_is_a_requirement_and_keeps_its_digest() -> None:
    md5, sha256 = "d7c89558ba9fa0495403155b64376d81", "ab" * 32
    url = "https://example.org/ch/noarch/a-1-0.conda"
    assert canonical_match(f"{url}#{md5}").match == f'a[md5="{md5}", url="{url}"]'
    assert canonical_match(f"{url}#sha256:{sha256}").match == f'a[sha256="{sha256}", url="{url}"]'


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", "without a package name", "name>=1.2"),
        ("a=", "is no conda requirement", "name>=1.2"),
        ("a 1.*.2", "is no conda requirement", "name>=1.2"),
        ("a=1=2=3", "'2=3' is no build string", "name>=1.2"),
        ("a b c d", "is no build string", "name>=1.2"),
        ("a >1,==1.2.*", "a star behind ==", "write 1.2.* or ==1.2"),
        ("a <1*", "a star behind <", "write <1"),
        ("a !=1*", "a star behind !=", "write !=1.*"),
        ("a ~=1", "~= compares", "write ~=1.2"),
        ("a[md5=xyz]", "is no conda requirement", "name>=1.2"),
        ("requests[security]", "is no conda requirement", "under '- pip:'"),
        ("git+https://example.org/x", "is no conda requirement", "under '- pip:'"),
        ("a @ https://example.org/x", "this text is no conda requirement", "under '- pip:'"),
        ("./a-1-0.conda", "is no conda requirement", "under '- pip:'"),
        ("-e .", "is no conda requirement", "under '- pip:'"),
        ("b::c::d", "names two channels", "keep one"),
        ("x/linux-64::a[subdir=noarch]", "names two subdirs", "keep one"),
        ("https://example.org/noarch/nothing.conda", "names no conda archive", "name-version-build"),
        ("a" * 5000, "length", "name>=1.2"),
    ],
)  # fmt: skip
def test_what_is_no_matchspec_says_so_and_what_to_do(text: str, message: str, remedy: str) -> None:
    place = Place("environment.yml", 7)
    with pytest.raises(SpecError) as caught:
        canonical_match(text, place)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == place


@pytest.mark.parametrize(
    "text", ["https://me:hunter2@example.org/ch::a", "https://me:hunter2@example.org/ch/noarch/a-1-0.conda",
             "https://example.org/t/hunter2/ch::a", "https://me:hunter2@example.org/ch::a="]
)  # fmt: skip
def test_a_typed_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SpecError, match="typed password") as caught:
        canonical_match(text)
    assert "hunter2" not in str(caught.value)


ACCEPTED = CONDA_TEXTS.filter(lambda text: not refused(text))


@given(ACCEPTED)
def test_canonical_text_is_a_fixed_point_and_strict(text: str) -> None:
    found = canonical_match(text)
    assert canonical_match(found.match) == found
    assert str(MatchSpec(found.match)) == str(MatchSpec(found.match, strict=True))


@given(ACCEPTED)
@settings(max_examples=150)
def test_the_quick_way_and_rattlers_give_one_answer(text: str) -> None:
    quick = matchspec._plain(text)
    assume(quick is not None)
    fields = matchspec._by_rattler(text, text, None)
    assert quick == (fields["name"], matchspec._render(fields))


BUILDS = ("0", "py311_0", "h1_openblas")


def records(name: str, versions: list[str]) -> list[PackageRecord]:
    return [
        PackageRecord(name=PackageName(name), version=VersionWithSource(version), build=BuildString(build),
                      build_number=0, subdir=Subdir("noarch"), arch=None, platform=None)
        for version in versions for build in BUILDS
    ]  # fmt: skip


@given(ACCEPTED, st.lists(NUMBERS, max_size=3))
@settings(max_examples=120)
def test_a_requirement_means_what_conda_means(text: str, more: list[str]) -> None:
    found = canonical_match(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from conda_lock._vendor.conda.exceptions import CondaError
        from conda_lock._vendor.conda.models.match_spec import MatchSpec as CondaMatchSpec

        versions = ["0.9", "1", "1.0.0", "1.1", "1.2", "1.2.3", "1.10", "1.2.post1", "2.0a1", "2", "3.11.4", *more]
        try:
            theirs = CondaMatchSpec(text)
        except CondaError:
            reject()
        conda = [
            bool(theirs.match({"name": found.name, "version": version, "build": build, "build_number": 0}))
            for version in versions for build in BUILDS
        ]  # fmt: skip
    ours = MatchSpec(found.match, strict=True)
    assert [ours.matches(record) for record in records(found.name, versions)] == conda


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("conda-forge", "conda-forge"),
        ("conda-forge/", "conda-forge"),
        ("https://example.org/a/", "https://example.org/a"),
        ("https://u@example.org/a?x=1#f", "https://example.org/a"),
        ("https://example.org/t/<TOKEN>/a", "https://example.org/a"),
        ("https://example.org/t/${TOKEN}/a", "https://example.org/t/${TOKEN}/a"),
        ("https://$USER:$PASS@example.org/a", "https://${USER}:${PASS}@example.org/a"),
    ],
)
def test_channels_have_one_spelling_and_no_secret(text: str, name: str) -> None:
    assert channel_name(text) == name
