"""A wheel's requirements mean the same to conda as to pip."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hermetic.outputs.channel.names import conda_requirement, conda_version, normalise, python_requirement


@pytest.mark.parametrize(
    ("pip", "conda"),
    [
        ("Foo_Bar.baz", "foo-bar-baz"),
        ("numpy>=1.26,<2", "numpy <2.0a0,>=1.26"),
        ("numpy<2.1", "numpy <2.1a0"),
        ("numpy<2.0rc1", "numpy <2.0rc1"),
        ("a~=1.4.2", "a ~=1.4.2"),
        ("a==1.*", "a 1.*"),
        ("a!=1.5.*,>=1", "a !=1.5.*,>=1"),
        ("a===1.0", "a ==1.0"),
        ("a==1.0", "a ==1.0"),
        ("a>=1.0.post1", "a >=1.0.post1"),
        ("a>=1.0-1", "a >=1.0.post1"),
        ("a==2.1+cpu", "a ==2.1+cpu"),
        ("a[x,y]>=1", "a >=1"),
    ],
)
def test_requirements_are_said_the_conda_way(pip: str, conda: str) -> None:
    assert conda_requirement(Requirement(pip)) == conda


def test_a_local_label_of_the_channels_version_is_named() -> None:
    assert conda_requirement(Requirement("torch==2.1"), "2.1+cpu") == "torch ==2.1+cpu"
    assert conda_requirement(Requirement("torch==2.1.0"), "2.2+cpu") == "torch ==2.1.0"
    assert conda_requirement(Requirement("torch<=2.1,>=2"), "2.1+cpu") == "torch <=2.1+cpu,>=2"


@pytest.mark.parametrize(
    ("requires", "expected"),
    [("", "python"), (">=3.9", "python >=3.9"), (">=3.9, <4", "python <4.0a0,>=3.9"), ("nonsense", "python")],
)
def test_requires_python(requires: str, expected: str) -> None:
    assert python_requirement(requires) == expected


def test_versions_and_names_are_normal() -> None:
    assert conda_version("1.0-1") == "1.0.post1"
    assert conda_version("V1.0.RC2") == "1.0rc2"
    assert conda_version("not a version") == "not a version"
    assert normalise("A__b..C") == "a-b-c"


NUMBERS = st.integers(0, 3)
RELEASES = st.builds(lambda *n: ".".join(map(str, n)), NUMBERS, NUMBERS) | st.builds(
    lambda *n: ".".join(map(str, n)), NUMBERS, NUMBERS, NUMBERS
)
TAILS = st.sampled_from(["", "", "", "a1", "rc1", ".post1", ".dev1"])
CLAUSES = st.one_of(
    st.tuples(st.sampled_from([">=", "<=", "==", "!=", "<"]), RELEASES).map("".join),
    st.tuples(st.just("~="), RELEASES).map("".join),
    st.tuples(st.sampled_from(["==", "!="]), RELEASES.map(lambda v: f"{v}.*")).map("".join),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(CLAUSES, min_size=1, max_size=3), RELEASES, TAILS)
def test_conda_admits_what_pip_admits(clauses: list[str], release: str, tail: str) -> None:
    from rattler import Version as CondaVersion
    from rattler import VersionSpec

    specifier = SpecifierSet(",".join(clauses))
    version = release + tail
    spec = conda_requirement(Requirement(f"a{specifier}"))
    admitted = VersionSpec(spec.partition(" ")[2]).matches(CondaVersion(conda_version(version)))
    assert admitted == specifier.contains(version, prereleases=True)
