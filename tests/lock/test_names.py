"""Which pip projects a conda package installs."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from lock_samples import conda

from hermetic.lock.names import Provided, conda_names, needs_python, normal_name, provided

TABLE: dict[str, list[str]] = json.loads(files("hermetic.lock").joinpath("names.json").read_text())


def test_the_same_normalised_name_serves_a_python_package() -> None:
    assert provided((conda("ruamel.yaml", "0.18", "python >=3.9"),)) == (
        Provided("ruamel-yaml", "0.18", "ruamel.yaml"),
    )


def test_purls_say_it_best() -> None:
    package = conda("odd", "1.0", "python", purls=("pkg:pypi/real-name@2.0", "pkg:pypi/other", "pkg:conda/odd"))
    assert provided((package,)) == (Provided("other", "1.0", "odd"), Provided("real-name", "2.0", "odd"))


def test_the_table_knows_names_that_differ() -> None:
    found = provided((conda("pytorch", "2.4.0", "python"), conda("msgpack-python", "1.1", "python")))
    assert [(p.name, p.conda) for p in found] == [("msgpack", "msgpack-python"), ("torch", "pytorch")]


def test_packages_without_python_install_no_project() -> None:
    """conda's graphviz is a program, tzdata is data, python is python."""
    packages = (
        conda("graphviz", "12"),
        conda("tzdata", "2026a", subdir="noarch"),
        conda("python", "3.11.7", "openssl"),
    )
    assert provided(packages) == ()
    assert not needs_python(conda("python-lib-less", "1", "pythonic >=1"))


def test_a_package_of_the_projects_own_name_speaks_first() -> None:
    packages = (conda("matplotlib-base", "3.9", "python"), conda("matplotlib", "3.9", "python", "matplotlib-base"))
    assert provided(packages) == (Provided("matplotlib", "3.9", "matplotlib"),)
    assert provided(packages[:1]) == (Provided("matplotlib", "3.9", "matplotlib-base"),)


def test_advice_names_the_conda_side() -> None:
    assert conda_names("torch") == ("pytorch",)
    assert conda_names("Some.Thing") == ("some-thing",)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_the_table_holds_normalised_projects_only(name: str) -> None:
    assert TABLE[name] == [normal_name(project) for project in TABLE[name]]
    assert name == name.lower()
    assert TABLE[name] != [normal_name(name)], "the rule of the same name says this already"


def test_the_table_is_sorted() -> None:
    assert list(TABLE) == sorted(TABLE)
