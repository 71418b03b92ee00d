"""Tar entries as Python's tarfile and GNU tar read them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.outputs.oci.tar import BLOCK, END, header, padding
from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=12).map("/".join).filter(lambda path: len(path.encode()) < 1000)


def archive(*items: tuple[FileEntry, bytes], time: int = 1) -> bytes:
    return b"".join(header(e, e.path, time) + data + padding(len(data)) for e, data in items) + END


def read(data: bytes, errors: str = "strict") -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors=errors) as tar:
        return tar.getmembers()


@given(PATHS, st.binary(max_size=2000), st.booleans(), st.integers(0, 1 << 35))
def test_a_file_comes_back(path: str, data: bytes, executable: bool, time: int) -> None:
    entry = FileEntry(path, FILE, "", len(data), executable)
    (found,) = read(archive((entry, data), time=time))
    assert (found.name, found.size, found.mode, found.mtime) == (path, len(data), entry.mode, time)
    assert (found.uid, found.gid, found.uname, found.gname, found.isreg()) == (0, 0, "", "", True)


@given(PATHS, PATHS)
def test_a_link_comes_back(path: str, target: str) -> None:
    (found,) = read(archive((FileEntry(path, LINK, target=target), b"")))
    assert (found.name, found.linkname, found.issym()) == (path, target, True)


@given(PATHS)
def test_a_folder_comes_back(path: str) -> None:
    (found,) = read(archive((FileEntry(path, FOLDER), b"")))
    assert (found.name, found.mode, found.isdir()) == (path, 0o755, True)


@given(st.lists(PATHS, min_size=1, max_size=5, unique=True))
def test_entries_stand_one_after_the_other(paths: list[str]) -> None:
    items = [(FileEntry(path, FILE, "", n), bytes(n)) for n, path in enumerate(paths)]
    assert [(found.name, found.size) for found in read(archive(*items))] == [(p, n) for n, p in enumerate(paths)]


@pytest.mark.parametrize("size", [(1 << 33) - 1, 1 << 33, (1 << 40) + 7])
def test_large_sizes_are_told(size: int) -> None:
    found = tarfile.open(fileobj=io.BytesIO(header(FileEntry("big", FILE, "", size), "big", 1)), mode="r:").next()  # noqa: SIM115
    assert found
    assert found.size == size


def test_pax_records_stand_only_where_they_are_needed() -> None:
    deep = "/".join(["folder-of-thirty-characters-ok"] * 6)  # 185 bytes: fits when it is split
    assert len(deep) > 155
    assert len(header(FileEntry(deep), deep, 1)) == BLOCK
    assert len(header(FileEntry("a" * 100), "a" * 100, 1)) == BLOCK
    assert len(header(FileEntry("a" * 101), "a" * 101, 1)) == 3 * BLOCK
    assert len(header(FileEntry("ä"), "ä", 1)) == 3 * BLOCK


def test_a_name_that_is_no_text_survives() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    (found,) = read(archive((FileEntry(name), b"")), errors="surrogateescape")
    assert found.name == name


def test_gnu_tar_unpacks_it(tmp_path: Path) -> None:
    paths = ["plain", "a" * 120, "x/" * 60 + "y" * 99, "größe/ß", "with space", "d" * 90 + "/" + "e" * 90]
    items = [(FileEntry(path, FILE, "", len(path), executable=True), path.encode()[: len(path)]) for path in paths]
    items.append((FileEntry("link", LINK, target="z" * 130), b""))
    (tmp_path / "a.tar").write_bytes(archive(*items))
    subprocess.run(
        ["tar", "-xf", "a.tar"], cwd=tmp_path, check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    )
    for path in paths:
        file = tmp_path / path
        assert file.read_bytes() == path.encode()[: len(path)]
        assert (file.stat().st_mode & 0o777, file.stat().st_mtime) == (0o755, 1)
    assert (tmp_path / "link").readlink() == Path("z" * 130)
