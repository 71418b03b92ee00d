"""A lock in the middle of a merge: its pins are those of the side that is merged into."""

from __future__ import annotations

from pathlib import Path

import pytest
from lock_samples import LOCK

from hermetic.errors import LockFileError
from hermetic.lock.file import read_lock, write_lock
from hermetic.project.locking import previous_lock


class Told:
    """A reporter that remembers its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None: ...
    def advance(self, task: str, amount: int = 1) -> None: ...
    def finish(self, task: str, note: str = "") -> None: ...
    def say(self, message: str) -> None: ...
    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.mark.parametrize("ancestor", ["", '||||||| 0123abc\n        "version": "0.9",\n'])
def test_pins_of_a_merge_that_is_not_finished_are_kept(tmp_path: Path, ancestor: str) -> None:
    path = tmp_path / "default.lock.json"
    write_lock(LOCK, path)
    text = path.read_text()
    for line in {line for line in text.splitlines(keepends=True) if '"version": ' in line}:
        theirs = line.replace('": "', '": "9')
        text = text.replace(line, f"<<<<<<< HEAD\n{line}{ancestor}=======\n{theirs}>>>>>>> theirs\n")
    path.write_text(text)
    with pytest.raises(LockFileError, match="merge"):
        read_lock(path)
    told = Told()
    assert previous_lock(path, told) == LOCK
    assert ["are kept" in warning for warning in told.warnings] == [True]


def test_a_lock_of_which_no_side_can_be_read_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "default.lock.json"
    path.write_text("<<<<<<< HEAD\n{\n=======\n[\n>>>>>>> theirs\n")
    told = Told()
    assert previous_lock(path, told) is None
    assert ["are lost" in warning for warning in told.warnings] == [True]
