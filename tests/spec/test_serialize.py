"""Specs as text: reading what was written gives an equal Spec, and other readers agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from spec_strategies import RICH_SPECS, SPECS

from hermetic.errors import UsageError
from hermetic.spec.environment_yml import parse_environment_yml
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec
from hermetic.spec.requirements_txt import read_requirements
from hermetic.spec.serialize import conda_text, environment_yml, requirements_txt


def parsed(text: str) -> Spec:
    return parse_environment_yml(text, Path("environment.yml"), root=Path()).spec


@given(SPECS)
@settings(max_examples=80)
def test_what_was_written_reads_as_it_was(spec: Spec) -> None:
    text = environment_yml(spec, name="demo")
    found = parse_environment_yml(text, Path("environment.yml"), root=Path())
    assert found.spec == spec
    assert found.spec.digest() == spec.digest()
    assert found.name == "demo"
    assert environment_yml(found.spec, name="demo") == text


@given(SPECS)
@settings(max_examples=30)
def test_every_yaml_reader_sees_the_same(spec: Spec) -> None:
    document = yaml.safe_load(environment_yml(spec))
    assert dict(spec.variables) == (document.get("variables") or {})
    assert list(spec.channels) == (document.get("channels") or [])
    assert all(isinstance(entry, str | dict) for entry in document["dependencies"])


@given(SPECS)
@settings(max_examples=30)
def test_requirements_files_too(tmp_path_factory: pytest.TempPathFactory, spec: Spec) -> None:
    path = tmp_path_factory.mktemp("r") / "requirements.txt"
    path.write_text(requirements_txt(spec))
    found = read_requirements(path)
    assert Spec(pip=tuple(found.pip)) == Spec(
        pip=tuple(PipRequirement(**{**vars(r), "platforms": ()}) for r in spec.pip)
    )
    assert found.options == spec.options


@given(RICH_SPECS)
@settings(max_examples=30)
def test_a_digest_covers_every_field(spec: Spec) -> None:
    assert Spec(**vars(spec)).digest() == spec.digest()
    for name, value in vars(spec).items():
        default = getattr(Spec(), name)
        if value != default:
            assert Spec(**{**vars(spec), name: default}).digest() != spec.digest()


def test_an_everyday_file() -> None:
    spec = parsed(
        "channels: [conda-forge]\ndependencies: [numpy >=1.26, python=3.11, a::b, c 1.0 py*, {pip: [flask, -e .]}]\n"
    )
    assert (
        environment_yml(spec, "demo")
        == """\
name: demo
channels:
  - conda-forge
dependencies:
  - python=3.11
  - a::b
  - "c ==1.0 py*"
  - numpy>=1.26
  - pip:
      - "-e ."
      - flask
"""
    )


@pytest.mark.parametrize(
    ("match", "text"),
    [("python 3.11.*", "python=3.11"), ("numpy >=1.26,<2", "numpy>=1.26,<2"), ("a ==1", "a==1"), ("a", "a"),
     ("a ==1 h0", "a ==1 h0"), ("a 1.*|2.*", "a 1.*|2.*"), ("a 1.*,!=1.3", "a 1.*,!=1.3"), ('a[url="x"]', 'a[url="x"]'),
     ('a >1[subdir="noarch"]', 'a >1[subdir="noarch"]'), ("a ~=1.2", "a~=1.2"), ("a !=1.2.*", "a!=1.2.*")],
)  # fmt: skip
def test_conda_requirements_in_the_usual_spelling(match: str, text: str) -> None:
    assert conda_text(CondaRequirement("a", match)) == text
    if "url" not in text:
        assert canonical_match(text).match == match


def test_what_the_format_cannot_say_is_refused_unless_asked_for() -> None:
    spec = Spec(conda=(CondaRequirement("a", "a"), CondaRequirement("b", "b", category="dev")), base="x", exact=("y",))
    with pytest.raises(UsageError) as caught:
        environment_yml(spec)
    assert caught.value.message.endswith("an explicit list of archives, a base image, several categories")
    assert environment_yml(spec, lossy=True) == "dependencies:\n  - a\n  - b\n"
