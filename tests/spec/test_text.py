"""Text of spec files: every encoding that editors write, and a clear word on the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hermetic.errors import MachineError, SpecError
from hermetic.spec import load_spec
from hermetic.spec.text import MAX_BYTES, decode, read_text

TEXT = "channels: [conda-forge]\ndependencies:\n  - numpy  # für alle\n"


@pytest.mark.parametrize(
    "data",
    [TEXT.encode(), TEXT.encode("utf-8-sig"), TEXT.encode("utf-16"), TEXT.encode("utf-32"),
     b"\xfe\xff" + TEXT.encode("utf-16-be"), TEXT.replace("\n", "\r\n").encode(), TEXT.replace("\n", "\r").encode()],
    ids=["utf-8", "bom", "utf-16", "utf-32", "utf-16-be", "windows", "old-mac"],
)  # fmt: skip
def test_encodings_and_line_ends_change_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "environment.yml").write_bytes(data)
    assert read_text(tmp_path / "environment.yml") == TEXT
    (tmp_path / "plain.yml").write_text(TEXT)
    assert load_spec([tmp_path / "environment.yml"]) == load_spec([tmp_path / "plain.yml"])


@pytest.mark.parametrize(
    ("data", "line", "message", "remedy"),
    [
        (b"a\nb\n\xe9\n", 3, "is not UTF-8 text", "save the file as UTF-8"),
        (b"\xff\xfea", 1, "is not UTF-16", "save the file as UTF-8"),
        (b"a\nb\x00", 2, "control character U+0000", "is this a text file"),
        ("a\u2028b".encode(), 1, "control character U+2028", "remove it"),
    ],
)
def test_what_is_no_text(data: bytes, line: int, message: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode(data, "spec.txt")
    assert message in caught.value.message
    assert caught.value.place
    assert caught.value.place.line == line
    assert remedy in (caught.value.remedy or "")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file"):
        read_text(tmp_path / "missing")
    with pytest.raises(SpecError, match="a folder, not a file"):
        read_text(tmp_path)
    (tmp_path / "large").write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(SpecError, match="larger than"):
        read_text(tmp_path / "large")
    with pytest.raises(MachineError, match="cannot be read"):
        read_text(tmp_path / ("x" * 300))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "closed").write_text("a")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(MachineError, match="cannot be read: Permission denied"):
        read_text(tmp_path / "closed")
