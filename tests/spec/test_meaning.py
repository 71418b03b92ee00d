"""What does not change a spec's meaning does not change its Spec; and no bytes at all bring the reader down."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_strategies import CONDA_TEXTS, PIP_TEXTS, refused

from hermetic.errors import HermeticError
from hermetic.spec.environment_yml import parse_environment_yml
from hermetic.spec.explicit import parse_explicit
from hermetic.spec.load import load
from hermetic.spec.model import Spec
from hermetic.spec.requirements_txt import read_requirements
from hermetic.spec.text import decode

HERE = Path("environment.yml")
COMMENTS = st.sampled_from(["", "  # a comment", "  # with [brackets, not a selector]", "   "])
QUOTES = st.sampled_from(['"', "'"])


def read(text: str) -> Spec:
    return parse_environment_yml(text, HERE, root=Path()).spec


@given(
    st.lists(CONDA_TEXTS.filter(lambda text: not refused(text)), min_size=1, max_size=5, unique=True),
    st.lists(PIP_TEXTS, max_size=4, unique=True),
    st.data(),
)
@settings(max_examples=80)
def test_order_comments_quotes_indentation_and_line_ends_mean_nothing(
    conda: list[str], pip: list[str], data: st.DataObject
) -> None:
    def entry(text: str, indent: str) -> str:
        quote = data.draw(QUOTES)
        escaped = text.replace("'", "''") if quote == "'" else text.replace("\\", "\\\\").replace('"', '\\"')
        comment = data.draw(COMMENTS)
        above = data.draw(st.sampled_from(["", "\n", "# a line\n"]))
        return f"{above}{indent}- {quote}{escaped}{quote}{comment}\n"

    def written(conda: list[str], pip: list[str], indent: str) -> str:
        lines = [entry(text, indent) for text in conda]
        if pip:
            section = f"{indent}- pip:\n" + "".join(entry(text, indent + "    ") for text in pip)
            lines.insert(data.draw(st.integers(0, len(lines))), section)
        parts = ["name: x\n", "channels: [b, a]\n", "dependencies:\n" + "".join(lines), "variables: {B: x, A: y}\n"]
        return "".join(data.draw(st.permutations(parts)))

    one = read(written(conda, pip, ""))
    text = written(
        data.draw(st.permutations(conda)), data.draw(st.permutations(pip)), data.draw(st.sampled_from(["  ", "      "]))
    )
    ends = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    two = read(
        decode(text.replace("\n", ends).encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))), "x")
    )
    assert two == one
    assert two.digest() == one.digest()


@given(
    st.lists(PIP_TEXTS, min_size=1, max_size=5, unique=True),
    st.data(),
)
@settings(max_examples=40)
def test_a_requirements_file_means_the_same_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("r")
    noisy = [f"{line}{data.draw(COMMENTS)}" for line in data.draw(st.permutations(lines))]
    (folder / "a.txt").write_text("\n".join(lines))
    (folder / "b.txt").write_bytes("\r\n\r\n# c\r\n".join([*noisy, ""]).encode("utf-8-sig"))
    one, two = (Spec(pip=tuple(read_requirements(folder / name).pip)) for name in ("a.txt", "b.txt"))
    assert one == two
    assert one.digest() == two.digest()


NAMES = st.sampled_from(
    ["environment.yml", "requirements.txt", "pyproject.toml", "list.lock", "azureml_environment.json"]
)
PIECES = st.sampled_from(
    [*"[]{}:#|>'\"\t\n\\;?=%*./a", "dependencies:", "channels:", "- ", "  ", "pip:", "# [linux]", "&a ", "*a", "!!x ",
     "==1", ">=", "::", " @ ", "${X}", "https://", "u:p@", "-r ", "-e ", "--hash=", "@EXPLICIT\n", "[project]", "name",
     "python", "---", "<<: ", "sel(linux): ", "null", "1.0", "\x00", "\u2028", "\ud7ff", "[x]", "dependencies = ",
     "[dependency-groups]", "include-group", "noarch/a-1-0.conda"]
)  # fmt: skip


@given(NAMES, st.binary(max_size=60) | st.lists(PIECES, max_size=25).map(lambda found: "".join(found).encode()))
@settings(max_examples=300)
def test_no_bytes_bring_the_reader_down(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.mktemp("x") / name
    path.write_bytes(data)
    try:
        found = load([path])
    except HermeticError as error:
        told = error.to_dict()
    else:
        told = {"message": found.spec.digest(), "remedy": "none", "file": str(path)}
    assert told["message"]
    assert told["remedy"]
    assert told["file"]


ENVIRONMENT = """\
name: demo
channels: [conda-forge, https://me:hunter2@example.org/ch]
platforms: [linux-64]
variables: {A: "b"}
dependencies:
  - python=3.11  # [linux]
  - bioconda::samtools >=1.2,<2
  - https://me:hunter2@example.org/ch/noarch/a-1-0.conda
  - pip:
      - requests[socks]>=2 ; python_version < "4"
      - --extra-index-url https://me:hunter2@example.org/simple
      - git+https://hunter2@example.org/x@main#egg=x
"""


@given(st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=200)
def test_a_damaged_file_never_shows_a_secret(rnd: random.Random, times: int) -> None:
    """Whatever a slip of the hand does to a file, no message repeats the password in it."""
    text = ENVIRONMENT
    for _ in range(times):
        at = rnd.randrange(len(text))
        if "hunter2" not in text[max(at - 12, 0) : at + 12]:
            text = (
                text[:at]
                + rnd.choice(["", " ", ":", "#", "[", "'", "-", "=", "\n", "://"])
                + text[at + rnd.randrange(2) :]
            )
    try:
        shown = repr(read(text))
    except HermeticError as error:
        shown = str(error) + repr(error.to_dict())
    assert "hunter2" not in shown


@given(st.text("@EXPLICIT\n#abc-0.condahttps://exmplrg/noarch", max_size=80))
def test_no_text_brings_the_reader_of_lists_down(text: str) -> None:
    try:
        assert parse_explicit(text, Path("x"), root=Path()).digest()
    except HermeticError as error:
        assert error.remedy  # noqa: PT017 - the other branch is fine too
