"""Notes on uploads that outlive the process that wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.store import Store
from hermetic.store.uploads import UploadNote


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def notes(store: Store) -> list[str]:
    folder = store.root / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_what_was_written_is_read_by_the_next(store: Store) -> None:
    with UploadNote(store, "k") as note:
        assert note.read() == {}
        note.write({"location": "x" * 500})
        note.write({"location": "y"})
    assert (store.root / "uploads" / "k").stat().st_mode & 0o777 == 0o600
    with UploadNote(store, "k") as note:
        assert note.read() == {"location": "y"}


def test_nothing_is_left_of_one_that_was_cleared_or_never_written(store: Store) -> None:
    with UploadNote(store, "a") as note:
        note.write({"x": 1})
        note.clear()
        assert note.read() == {}
    with UploadNote(store, "b"):
        assert notes(store) == ["b"]
    assert notes(store) == []


def test_one_that_somebody_holds_is_empty_and_forgetful(store: Store) -> None:
    with UploadNote(store, "k") as first:
        first.write({"x": 1})
        with UploadNote(store, "k") as second:
            assert second.read() == {}
            second.write({"x": 2})
            second.clear()
        assert first.read() == {"x": 1}
    assert notes(store) == ["k"]


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff"])
def test_one_that_is_damaged_is_empty(store: Store, data: bytes) -> None:
    with UploadNote(store, "k") as note:
        note.write({"x": 1})
    (store.root / "uploads" / "k").write_bytes(data)
    with UploadNote(store, "k") as note:
        assert note.read() == {}


def test_a_place_that_cannot_be_written_is_no_error(store: Store) -> None:
    (store.root / "uploads").write_text("in the way")
    with UploadNote(store, "k") as note:
        note.write({"x": 1})
        assert note.read() == {}
