"""Editing spec files: what is asked for changes, everything else stays byte for byte."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermetic.errors import HermeticError, SpecError, UsageError
from hermetic.spec.environment_yml import parse_environment_yml
from hermetic.spec.manifest_edit import add_requirements, declared, declared_names, remove_requirements

YAML, TXT, TOML, MANIFEST = map(Path, ("environment.yml", "requirements.txt", "pyproject.toml", "hermetic.toml"))

ENVIRONMENT = """\
# our environment
name: x   # the name
channels:
- conda-forge
dependencies:
- python=3.11  # keep
# section
- numpy
- pip:
  - Requests   # http
  # more
variables: {A: "1"}
"""


def test_a_conda_requirement_joins_before_pip() -> None:
    after = add_requirements(ENVIRONMENT, YAML, ["pandas>=2", "python=3.12"])
    assert after == ENVIRONMENT.replace("3.11", "3.12").replace("- numpy\n", "- numpy\n- pandas>=2\n")


def test_a_pip_requirement_joins_or_is_replaced() -> None:
    after = add_requirements(ENVIRONMENT, YAML, ["flask[async]>=2", "requests>=3"], pip=True)
    assert after == ENVIRONMENT.replace("Requests   # http\n", 'requests>=3   # http\n  - "flask[async]>=2"\n')


def test_what_is_removed_takes_nothing_with_it() -> None:
    assert remove_requirements(ENVIRONMENT, YAML, ["NumPy"]) == ENVIRONMENT.replace("- numpy\n", "")
    after = remove_requirements(ENVIRONMENT, YAML, ["requests"], pip=True)
    assert after == ENVIRONMENT.replace("- pip:\n  - Requests   # http\n", "")


def test_windows_line_ends_stay() -> None:
    text = ENVIRONMENT.replace("\n", "\r\n")
    assert add_requirements(text, YAML, ["scipy"]) == ENVIRONMENT.replace("- numpy\n", "- numpy\n- scipy\n").replace(
        "\n", "\r\n"
    )


@pytest.mark.parametrize(
    "text",
    ["", "# c\n", "name: x\n", "dependencies:\n", "dependencies: []  # c\n", "dependencies: [a]\n", "dependencies: ~\n",
     "dependencies: [\n]\n",
     "channels: [x]", "dependencies:\n  - pip:\n", "dependencies:\n    - pip:\n        - x\n", "dependencies:\n- a",
     "dependencies:\n- >-\n  a\n- b\n", "dependencies:\n- sel(linux): a\n", "dependencies: [{pip: [x]}]\n"],
)  # fmt: skip
def test_a_requirement_finds_its_place_in_any_file(text: str) -> None:
    conda = add_requirements(text, YAML, ["z>=1"])
    assert "z" in {item.name for item in parse_environment_yml(conda, YAML, root=Path()).spec.conda}
    pip = add_requirements(text, YAML, ["z>=1"], pip=True)
    assert "z" in {item.name for item in parse_environment_yml(pip, YAML, root=Path()).spec.pip}
    back = remove_requirements(conda, YAML, ["z"])
    assert "z" not in declared_names(back, YAML)
    parse_environment_yml(back, YAML, root=Path())
    back = remove_requirements(pip, YAML, ["z"], pip=True)
    assert declared_names(back, YAML, pip=True) == declared_names(text, YAML, pip=True)
    parse_environment_yml(back, YAML, root=Path())


ENTRIES = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


@given(
    ENTRIES,
    ENTRIES,
    st.booleans(),
    st.sampled_from(["", "  ", "    "]),
    st.sampled_from(["", "  # why", "\n\n# between"]),
)
@settings(max_examples=60)
def test_adding_and_removing_is_adding_and_removing(
    have: list[str], more: list[str], pip: bool, indent: str, comment: str
) -> None:
    entries = "".join(f"{indent}{'  ' if pip else ''}- {name}==1{comment}\n" for name in have)
    text = f"# top\ndependencies:\n{f'{indent}- pip:' if pip else ''}\n{entries}# end\nname: x\n"
    added = add_requirements(text, YAML, [f"{name}==2" for name in more], pip=pip)
    spec = parse_environment_yml(added, YAML, root=Path()).spec
    found = {item.text.replace(" ", "") for item in (spec.pip if pip else spec.conda)}
    assert found == {f"{name}=={2 if name in more else 1}" for name in {*have, *more}}
    assert added.count("# end") == added.count("# top") == 1
    removed = remove_requirements(added, YAML, more, pip=pip)
    assert declared_names(removed, YAML, pip=pip) == sorted(set(have) - set(more))
    assert parse_environment_yml(removed, YAML, root=Path()).name == "x"


HERMETIC = """\
# ours
[project]
name = "demo"   # n
[environments.default]
from = ["environment.yml"] # f
dependencies = [
  "python=3.11",  # py
  "numpy>=1.26",
]
[environments.gpu]
"""


def test_a_manifest_keeps_its_comments() -> None:
    after = add_requirements(HERMETIC, MANIFEST, ["numpy=2", "scipy"])
    assert after == HERMETIC.replace('  "numpy>=1.26",\n', '  "numpy=2",\n  "scipy",\n')
    after = add_requirements(HERMETIC, MANIFEST, ["a[x]>=1"], pip=True, environment="gpu")
    assert after == HERMETIC + 'pip = ["a[x]>=1"]\n'
    assert remove_requirements(HERMETIC, MANIFEST, ["numpy"]) == HERMETIC.replace('  "numpy>=1.26",\n', "")


def test_an_environment_that_is_not_there_yet_is_made() -> None:
    after = tomllib.loads(add_requirements(HERMETIC, MANIFEST, ["a"], environment="new"))
    assert after["environments"]["new"] == {"dependencies": ["a"]}
    assert tomllib.loads(add_requirements("", MANIFEST, ["a"])) == {
        "environments": {"default": {"dependencies": ["a"]}}
    }


REQUIREMENTS = """\
# ours
requests==2.0 \\
    --hash=sha256:{}
numpy  # n
-r other.txt
-e ./lib#egg=Mine
""".format("a" * 64)


def test_a_requirements_file_keeps_its_lines() -> None:
    after = add_requirements(REQUIREMENTS, TXT, ["Requests>=3", "numpy>1", "flask"], pip=True)
    assert after == "# ours\nRequests>=3\nnumpy>1  # n\n-r other.txt\n-e ./lib#egg=Mine\nflask\n"
    assert (
        remove_requirements(REQUIREMENTS, TXT, ["requests", "mine"], pip=True) == "# ours\nnumpy  # n\n-r other.txt\n"
    )


def test_a_pyproject_keeps_its_comments() -> None:
    text = '[project]  # p\nname = "x"\ndependencies = ["a>1", "B.c"] # d\n'
    assert add_requirements(text, TOML, ["b-c==2"], pip=True) == text.replace("B.c", "b-c==2")
    assert remove_requirements(text, TOML, ["a"], pip=True) == text.replace('"a>1", ', "")
    assert tomllib.loads(add_requirements('[project]\nname = "x"\n', TOML, ["z"], pip=True))["project"][
        "dependencies"
    ] == ["z"]


def test_a_path_can_be_added_without_a_name() -> None:
    once = add_requirements(ENVIRONMENT, YAML, ["-e ."], pip=True)
    assert '  - "-e ."\n' in once
    assert add_requirements(once, YAML, ["-e ."], pip=True) == once


@pytest.mark.parametrize(
    ("path", "requirement", "pip", "message"),
    [
        (YAML, "a=1=2=3", False, "no build string"),
        (YAML, "a=1", True, "is no pip requirement"),
        (YAML, "-r x.txt", True, "is no pip requirement"),
        (TXT, "numpy", False, "pip requirements only"),
        (TOML, "numpy", False, "are pip requirements"),
    ],
)
def test_what_cannot_be_added_is_refused(path: Path, requirement: str, pip: bool, message: str) -> None:
    with pytest.raises(HermeticError) as caught:
        add_requirements("", path, [requirement], pip=pip)
    assert message in caught.value.message or "there is no" in caught.value.message
    assert caught.value.remedy


def test_a_wheel_of_a_manifest_is_removed_by_its_name() -> None:
    text = '[environments.default]\npip = ["a>1"]\nwheels = ["dist/my_tool-1.0-py3-none-any.whl"]\n'
    assert declared_names(text, MANIFEST, pip=True) == ["a", "my-tool"]
    assert remove_requirements(text, MANIFEST, ["My_Tool"], pip=True) == text.replace(
        '"dist/my_tool-1.0-py3-none-any.whl"', ""
    )


def test_what_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(UsageError) as caught:
        remove_requirements(ENVIRONMENT, YAML, ["nunpy"])
    assert caught.value.remedy == "did you mean 'numpy'?"
    with pytest.raises(UsageError) as caught:
        remove_requirements(ENVIRONMENT, YAML, ["pandas"], pip=True)
    assert caught.value.remedy == "it declares: requests"
    with pytest.raises(UsageError) as caught:
        remove_requirements(ENVIRONMENT, YAML, ["numpy", "zzz"])
    assert caught.value.remedy == "it declares: numpy, python", "what stands in the file, which is not changed"


def test_what_is_elsewhere_is_said(tmp_path: Path) -> None:
    for pip, name, remedy in ((False, "Requests", "it is pip's: use --pip"), (True, "numpy", "leave --pip out")):
        with pytest.raises(UsageError) as caught:
            remove_requirements(ENVIRONMENT, YAML, [name], pip=pip)
        assert remedy in str(caught.value.remedy)
    (tmp_path / "more.txt").write_text("tabulate>=0.9\n")
    with pytest.raises(UsageError) as caught:
        remove_requirements("-r more.txt\n-r absent.txt\nrich\n", tmp_path / TXT, ["Tabulate"], pip=True)
    assert caught.value.remedy == f"{tmp_path}/more.txt has it, which this file includes: edit that"


def test_a_malformed_file_is_not_edited() -> None:
    for path, text in ((YAML, "a: [b"), (MANIFEST, "[a"), (YAML, "- a\n")):
        with pytest.raises(SpecError):
            add_requirements(text, path, ["x"])


@pytest.mark.parametrize(
    ("text", "path", "bare", "pip"),
    [
        ("dependencies:\n- numpy>=2  # new\n", YAML, "numpy", False),
        ("dependencies:\n- Numpy[version='>=2']\n", YAML, "NumPy", False),
        ("dependencies:\n- pip:\n  - rich[jupyter]>=13\n", YAML, "Rich", True),
        ('[environments.default]\ndependencies = ["numpy>=2"]\n', MANIFEST, "numpy", False),
        ('[environments.default]\npip = ["flask-login>=1"]\n', MANIFEST, "Flask_Login", True),
        ('[environments.default]\nwheels = ["dist/mine-1.0-py3-none-any.whl"]\n', MANIFEST, "mine", True),
        ("rich>=13 \\\n  --hash=sha256:" + "ab" * 32 + "\n", TXT, "rich", True),
        ('[project]\nname = "x"\ndependencies = ["rich>=13"]\n', TOML, "rich", True),
    ],
)
def test_a_name_alone_keeps_what_is_there(text: str, path: Path, bare: str, pip: bool) -> None:
    assert add_requirements(text, path, [bare], pip=pip) == text
    now = declared(add_requirements(text, path, [f"{bare}==99"], pip=pip), path, pip=pip)
    assert any("==99" in item for item in now.values())


def test_a_bound_is_lifted_on_purpose() -> None:
    assert "numpy=*" in add_requirements("dependencies:\n- numpy>=2\n", YAML, ["numpy=*"])
