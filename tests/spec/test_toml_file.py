"""TOML with lines: whatever way a key is written, its line is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.errors import SpecError
from hermetic.spec.toml_file import key_lines, parse_toml

TEXT = '''\
# comment
title = """
[not.a.table]
not = "a key"
"""
[a.b]
plain = 1
"quo ted".x = 2
inline = { one = 1, two = { three = 3 } }
list = [
  "x",  # [no]
  "y", # z = 1
]
[[many]]
k = 1
[ spaced . table ] # c
last = 'q = "r"'
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [(("title",), 2), (("a",), 6), (("a", "b"), 6), (("a", "b", "plain"), 7), (("a", "b", "quo ted", "x"), 8),
     (("a", "b", "inline", "one"), 9), (("a", "b", "list"), 10), (("many",), 14), (("many", "k"), 15),
     (("spaced", "table", "last"), 17)],
)  # fmt: skip
def test_lines_of_keys(keys: tuple[str, ...], line: int) -> None:
    assert key_lines(TEXT)[keys] == line


def test_text_in_strings_is_no_key() -> None:
    assert not {keys for keys in key_lines(TEXT) if "not" in keys or "q" in keys or "z" in keys}


def test_lines_of_list_entries() -> None:
    file = parse_toml(TEXT, Path("x.toml"))
    assert file.item_place("y", "a", "b", "list").line == 12
    assert file.item_place("absent", "a", "b", "list").line == 10


@given(st.text(max_size=80) | st.text("[]{}=\"'.#,\n ab1\\", max_size=80))
def test_any_text_gives_values_or_an_error_of_the_spec(text: str) -> None:
    try:
        file = parse_toml(text, Path("x.toml"))
    except SpecError as error:
        told = error.to_dict()
        assert all((told["line"], told["remedy"]))
    else:
        assert set(file.values) <= {keys[0] for keys in file.lines} or "\\" in text
