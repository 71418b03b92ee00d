"""environment.yml: what conda, conda-lock and micromamba read from it, with a line for every complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.errors import HermeticError, Place, SpecError
from hermetic.platforms import PLATFORMS
from hermetic.spec.environment_yml import EnvironmentFile, parse_environment_yml, read_environment_yml
from hermetic.spec.model import CondaRequirement, PipRequirement

LINUX = tuple(p for p in PLATFORMS if p.startswith("linux"))


def parse(text: str, folder: Path = Path()) -> EnvironmentFile:
    return parse_environment_yml(text, folder / "environment.yml", root=folder)


def test_a_whole_file() -> None:
    found = parse("""\
name: demo
channels:
  - conda-forge
  - nodefaults
  - https://me:${TOKEN}@example.org/private/
platforms: [linux-64, osx-arm64]
category: dev
prefix: /home/me/envs/demo
variables:
  OMP_NUM_THREADS: 4
  FLAG: true
  TEXT: "a b"
dependencies:
  - python=3.11
  - bioconda::Samtools >=1.2
  - cuda-nvcc   # [linux]
  - pip
  - pip:
      - Requests[socks] >= 2
      - pywin32  # [win]
""")
    assert found.name == "demo"
    assert found.spec.channels == ("conda-forge", "https://me:${TOKEN}@example.org/private")
    assert found.spec.platforms == ("linux-64", "osx-arm64")
    assert dict(found.spec.variables) == {"OMP_NUM_THREADS": "4", "FLAG": "true", "TEXT": "a b"}
    assert set(found.spec.conda) == {
        CondaRequirement("python", "python 3.11.*", category="dev"),
        CondaRequirement("samtools", "samtools >=1.2", "bioconda", category="dev"),
        CondaRequirement("cuda-nvcc", "cuda-nvcc", platforms=LINUX, category="dev"),
        CondaRequirement("pip", "pip", category="dev"),
    }
    assert set(found.spec.pip) == {
        PipRequirement("requests", ("socks",), ">=2", category="dev"),
        PipRequirement("pywin32", platforms=("win-64", "win-arm64"), category="dev"),
    }


def test_places_are_lines_and_are_not_compared() -> None:
    one = parse("dependencies:\n  - a\n  - pip:\n    - b\n").spec
    two = parse("# comment\ndependencies: [a, {pip: [b]}]\n").spec
    assert one == two
    assert one.digest() == two.digest()
    assert one.conda[0].place == Place("environment.yml", 2)
    assert one.pip[0].place == Place("environment.yml", 4)


@pytest.mark.parametrize(
    ("entry", "platforms"),
    [
        ("- a  # [linux]", LINUX),
        ("- a  # [linux64]", ("linux-64",)),
        ("- a  #[osx and arm64]", ("osx-arm64",)),
        ("- a  # [arm64]", ("osx-arm64", "win-arm64")),
        ("- a  # [not win]", tuple(p for p in PLATFORMS if not p.startswith("win"))),
        ("- a  # [(linux or osx) and x86_64]", ("linux-64", "osx-64")),
        ("- a  # only there [osx64]", ("osx-64",)),
        ("- 'a'  # [s390x]", ("linux-s390x",)),
        ("- sel(linux): a", LINUX),
        ("- sel(osx):\n    - a  # [osx64]", ("osx-64",)),
        ("- a  # [unix or win]", ()),
        ("- a  # [see the docs]", ()),
        ("- a  # see [docs] for more (and [more])", ()),
        ("- a  # a list [like, this]", ()),
    ],
)
def test_selectors(entry: str, platforms: tuple[str, ...]) -> None:
    found = parse(f"dependencies:\n  {entry.replace(chr(10), chr(10) + '  ')}\n").spec.conda
    assert [item.platforms for item in found] == [tuple(sorted(platforms))]


def test_selectors_on_a_pip_section_hold_for_all_of_it() -> None:
    found = parse("dependencies:\n- pip:  # [linux]\n  - a\n  - b  # [linux64]\n  - sel(win): c\n").spec.pip
    assert {item.name: item.platforms for item in found} == {"a": LINUX, "b": ("linux-64",)}


def test_a_hash_in_a_url_is_no_comment() -> None:
    found = parse(
        "dependencies:\n- pip:\n  - git+https://example.org/a#egg=x[linux]\n  - '-e ./y#egg=z'  # [osx64]\n"
    ).spec
    assert {(item.name, item.extras, item.platforms) for item in found.pip} == {
        ("x", ("linux",), ()),
        ("z", (), ("osx-64",)),
    }


def test_a_pip_section_is_a_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("more\n./here\n")
    (tmp_path / "limits.txt").write_text("a<9\n")
    (tmp_path / "environment.yml").write_text(
        """\
dependencies:
  - pip:
      - --index-url https://example.org/simple
      - -r sub/more.txt
      - -c limits.txt
      - -e .
      - a==1 --hash=sha256:{}  # pinned
""".format("ab" * 32)
    )
    found = read_environment_yml(tmp_path / "environment.yml")
    assert found.spec.options.index == "https://example.org/simple"
    assert [item.text for item in found.spec.pip] == [".", "./sub/here", "a==1", "more"]
    assert [item.text for item in found.spec.constraints] == ["a<9"]
    assert found.files == [tmp_path / name for name in ("environment.yml", "sub/more.txt", "limits.txt")]


def test_further_indexes_of_conda_lock() -> None:
    text = (
        "dependencies: [a]\npip-repositories:\n- http://$USER:$PASSWORD@example.org/simple\n- https://example.org/b\n"
    )
    first, second = "http://${USER}:${PASSWORD}@example.org/simple", "https://example.org/b"
    assert parse(text).spec.options.extra_indexes == (first, second)
    alone = parse(text + "allow-pypi-requests: false\n").spec.options
    assert (alone.index, alone.extra_indexes, alone.no_index) == (first, (second,), False)
    assert parse("dependencies: [a]\nallow-pypi-requests: no\n").spec.options.no_index


@pytest.mark.parametrize(
    "text",
    [
        "dependencies:\n",
        "dependencies: []\n",
        "channels: [a]\n",
        "channels:\ndependencies:\n- pip:\n",
        "name: x\ndependencies: ~\n",
    ],
)
def test_nothing_declared_is_a_spec_too(text: str) -> None:
    assert (parse(text).spec.conda, parse(text).spec.pip) == ((), ())


def test_a_local_channel_is_relative_to_the_root(tmp_path: Path) -> None:
    path = tmp_path / "envs" / "environment.yml"
    found = parse_environment_yml("channels: [./channel, ../other, /abs]\n", path, root=tmp_path).spec
    assert found.channels == ("./envs/channel", "./other", "/abs")


def test_anchors_of_scalars_are_fine() -> None:
    found = parse("dependencies:\n- &a numpy>=1\n- pip:\n  - *a\n").spec
    assert (found.conda[0].match, found.pip[0].text) == ("numpy >=1", "numpy>=1")


BOMB = "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\ndependencies: [*b]\n"
TOO_LONG = "dependencies: [" + "a, " * 250_000 + "a]\n"


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("", None, "the file is empty", "channels: and dependencies:"),
        ("# nothing\n", None, "the file is empty", "channels: and dependencies:"),
        ("- a\n", 1, "is a mapping", "channels: and dependencies:"),
        ("just text\n", 1, "is a mapping", "channels: and dependencies:"),
        ("name: x\n", 1, "neither dependencies: nor channels:", "channels: and dependencies:"),
        ("name: x\ndependancies: [a]\n", 2, "unknown key 'dependancies'", "did you mean 'dependencies'?"),
        ("dependencies: [a]\nplatform: [linux-64]\n", 2, "unknown key 'platform'", "did you mean 'platforms'?"),
        ("dependencies: [a]\nxyz: 1\n", 2, "unknown key 'xyz'", "known keys: name, channels"),
        ("dependencies: a\n", 1, "dependencies is a list", "after '- '"),
        ("channels: conda-forge\ndependencies: [a]\n", 1, "channels is a list", "after '- '"),
        ("dependencies:\n- a\n- 3.11\n", 3, "'3.11' is read as float", "quotation marks"),
        ("dependencies:\n- yes\n", 2, "'yes' is read as bool", "quotation marks"),
        ("dependencies:\n-\n- a\n", 2, "a dependency is empty", "remove the '-'"),
        ("dependencies:\n- [a]\n", 2, "a dependency is no list", "after each '-'"),
        ("dependencies:\n- pip: a\n", 2, "pip is a list", "after '- '"),
        ("dependencies:\n- npm:\n  - a\n", 2, "unknown key 'npm' in dependencies", "- pip:"),
        ("dependencies:\n- pip:\n  - pip: [a]\n", 3, "unknown key 'pip' in pip", "- pip:"),
        ("dependencies:\n- python 3.11 numpy scipy\n", 2, "is no build string", "name>=1.2"),
        ("dependencies:\n- pip:\n  - a=1\n", 3, "is no pip requirement", "compares with =="),
        ("dependencies:\n- a  # [linx]\n", 2, "unknown platform selector 'linx'", "did you mean 'linux'?"),
        ("dependencies:\n- sel(beos): a\n", 2, "unknown platform selector 'beos'", "known: linux"),
        ("dependencies:\n- sel(): a\n", 2, "unknown key 'sel()'", "sel(linux)"),
        ("dependencies:\n- sel(linux win): a\n", 2, "selects nothing", "sel(linux)"),
        ("channels:\n- a  # [linux]\ndependencies: []\n", 2, "a platform selector on channels", "on a dependency"),
        ("channels: [a]\nplatforms: [linux-65]\n", 2, "unknown platform 'linux-65'", "linux-64"),
        ("channels: [a]\nvariables: [A]\n", 2, "variables is a mapping", "NAME: value"),
        ("channels: [a]\nvariables:\n  1A: x\n", 3, "'1A' is no variable's name", "letters"),
        ("channels: [a]\nvariables:\n  A:\n", 3, "the variable A has no text", 'A: "value"'),
        ("channels: [a]\nvariables:\n  A: |\n    x\n    y\n", 3, "more than one line", "one line"),
        ("channels: [a]\ncategory: a b\n", 2, "is no category", "main"),
        ("channels: [a]\nname: [x]\n", 2, "name is a text", "one word"),
        ("channels: [a]\nallow-pypi-requests: maybe\n", 2, "is true or false", "true"),
        ("channels: [a]\npip-repositories: [x]\n", 2, "a repository is a URL", "https://"),
        ("channels: [a]\nchannels: [b]\n", 2, "'channels' stands twice, first in line 1", "merge"),
        ("dependencies:\n\t- a\n", 2, "a tab indents this line", "indentation"),
        ("dependencies:\n  - a\n b: c\n", 3, "malformed YAML", "indentation"),
        ("dependencies:\n  - 'a\n", 2, "malformed YAML", "quotation marks"),
        ("dependencies:\n  - a\n  b\n", 3, "neither a list entry", "indentation"),
        ("dependencies: [a]\n---\ndependencies: [b]\n", 2, "a second YAML document", "one document"),
        ("dependencies: [*x]\n", 1, "*x refers to nothing", "define it"),
        (BOMB, 2, "*a repeats a list", "anchors of scalars"),
        ("dependencies: &a [*a]\n", 1, "*a repeats a list", "anchors of scalars"),
        ("[" * 100_000, 1, "nested too deep", "four levels"),
        ("dependencies: " + "- " * 100_000, 1, "malformed YAML", "indentation"),
        ("? {a: b}\n: c\n", 1, "a key that is a list or a mapping", "plain words"),
        ("<<: {dependencies: [a]}\n", 1, "unknown key '<<'", "known keys"),
        ("dependencies: [!!python/object:os.system a]\n", 1, "", ""),
        (TOO_LONG, 1, "too large for a spec", "right file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_remedy(text: str, line: int | None, message: str, remedy: str) -> None:
    if not message:
        assert [item.name for item in parse(text).spec.conda] == ["a"]  # a tag makes no object here
        return
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    assert caught.value.place == Place("environment.yml", line)


@pytest.mark.parametrize("url", ["https://me:s3cr3t@example.org/a", "https://example.org/t/s3cr3t/b"])
@pytest.mark.parametrize("key", ["channels", "pip-repositories"])
def test_a_typed_secret_is_refused_with_the_way_out(key: str, url: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(f"dependencies: []\n{key}:\n- {url}\n")
    assert caught.value.place == Place("environment.yml", 3)
    assert "s3cr3t" not in str(caught.value)
    assert "hermetic secret set" in (caught.value.remedy or "")


def test_a_users_name_is_dropped_and_told() -> None:
    found = parse("channels:\n- https://somebody@example.org/a\ndependencies: []\n")
    assert found.spec.channels == ("https://example.org/a",)
    assert [warning.split(": ")[0] for warning in found.warnings] == ["environment.yml:2"]


def test_references_to_secrets_stay() -> None:
    found = parse(
        "channels:\n- https://${secret:user}:${secret:token.1}@example.org/a\n- https://example.org/t/${secret:t}/b\n"
        "dependencies: []\nvariables:\n  DB_PASSWORD: ${secret:db}\n  DB: postgresql://u:${secret:db}@example.org/x\n"
    )
    assert found.spec.channels == (
        "https://${secret:user}:${secret:token.1}@example.org/a",
        "https://example.org/t/${secret:t}/b",
    )
    assert dict(found.spec.variables)["DB"] == "postgresql://u:${secret:db}@example.org/x"
    assert not found.warnings


def test_a_malformed_channel_url_is_not_repeated() -> None:
    with pytest.raises(HermeticError) as caught:
        parse("channels:\n- https://me:s3cr3t@/a\n")
    assert "s3cr3t" not in str(caught.value)
