"""A memo answers only while every file is what it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.project.memo import read_memo, write_memo


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "environment.yml"
    path.write_text("dependencies: [numpy]\n")
    return path


def test_a_memo_answers_its_question(tmp_path: Path, spec: Path) -> None:
    memo = tmp_path / "state" / "memo.json"
    write_memo(memo, [spec], {"key": "k"}, {"name": "default"})
    assert read_memo(memo, {"name": "default"}) == {"key": "k"}
    assert read_memo(memo, {"name": "other"}) is None


def test_a_changed_file_silences_it_even_with_the_same_size_and_time(tmp_path: Path, spec: Path) -> None:
    memo = tmp_path / "memo.json"
    before = spec.stat()
    write_memo(memo, [spec], {"key": "k"}, {})
    spec.write_text("dependencies: [scipy]\n")
    os.utime(spec, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_memo(memo, {}) is None


def test_a_touched_file_does_not(tmp_path: Path, spec: Path) -> None:
    memo = tmp_path / "memo.json"
    write_memo(memo, [spec], {"key": "k"}, {})
    os.utime(spec, (1, 1))
    assert read_memo(memo, {}) == {"key": "k"}


def test_a_file_that_appears_or_disappears_silences_it(tmp_path: Path, spec: Path) -> None:
    memo = tmp_path / "memo.json"
    absent = tmp_path / "hermetic.toml"
    write_memo(memo, [spec, absent], {"key": "k"}, {})
    assert read_memo(memo, {}) == {"key": "k"}
    absent.write_text("")
    assert read_memo(memo, {}) is None
    absent.unlink()
    spec.unlink()
    assert read_memo(memo, {}) is None


@given(st.binary(max_size=200))
def test_anything_in_a_memos_place_counts_as_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    memo = tmp_path_factory.mktemp("memo") / "memo.json"
    memo.write_bytes(data)
    assert read_memo(memo, {}) is None


def test_a_folder_counts_by_the_names_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").write_text("one")
    memo = tmp_path / "memo.json"
    write_memo(memo, [folder], {"a": 1}, {})
    assert read_memo(memo, {}) == {"a": 1}
    (folder / "python").write_text("another")  # what is in a file, its own fingerprint tells
    assert read_memo(memo, {}) == {"a": 1}
    (folder / "more").write_text("")
    assert read_memo(memo, {}) is None
    (folder / "more").unlink()
    assert read_memo(memo, {}) == {"a": 1}
    (folder / "python").unlink()
    assert read_memo(memo, {}) is None
