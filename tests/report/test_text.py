"""Sizes, counts and columns."""

from __future__ import annotations

import pytest

from hermetic.report.text import columns, counted, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (99_950, "100 kB"), (999_499, "999 kB"),
     (999_500, "1.0 MB"), (2_500_000_000, "2.5 GB"), (7_000_000_000_000, "7.0 TB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_counts() -> None:
    assert [counted(1, "wheel"), counted(0, "wheel"), counted(2, "entry", "entries")] == [
        "1 wheel", "0 wheels", "2 entries",
    ]  # fmt: skip


def test_columns() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")], indent=" ") == [" a    bb  c", " aaa  b"]
    assert columns([]) == []
