from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermetic.errors import IntegrityError
from hermetic.plan.files import MTIME
from hermetic.realize.sdist import unpack_sdist

Fill = Callable[[tarfile.TarFile], None]


def member(tar: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def packed(folder: Path, fill: Fill, mode: str = "w:gz") -> Path:
    path = folder / "demo-1.0.tar.gz"
    with tarfile.open(path, mode) as tar:
        fill(tar)
    return path


def unpacked(folder: Path, archive: Path) -> Path:
    target = folder / "unpacked"
    target.mkdir(parents=True)
    return unpack_sdist(archive, target, archive.name)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_tar_is_read(tmp_path: Path, mode: str) -> None:
    root = unpacked(tmp_path, packed(tmp_path, lambda tar: member(tar, "demo-1.0/a.py", b"a"), mode))
    assert root.name == "demo-1.0"
    assert (root / "a.py").read_bytes() == b"a"


def test_files_without_a_folder_of_their_own_are_the_project(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member(tar, "./pyproject.toml")
        member(tar, "./src/a.py", b"a")

    root = unpacked(tmp_path, packed(tmp_path, fill))
    assert sorted(path.name for path in root.iterdir()) == ["pyproject.toml", "src"]


def test_modes_are_two_and_times_are_those_of_the_archive(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member(tar, "demo-1.0", type=tarfile.DIRTYPE, mode=0o700, mtime=1_700_000_000)
        member(tar, "demo-1.0/run", b"#!", mode=0o4777, mtime=1_600_000_000)
        member(tar, "demo-1.0/old", mode=0o400, mtime=0)
        member(tar, "demo-1.0/far", mode=0o000, mtime=1 << 40)

    old = os.umask(0o077)
    try:
        root = unpacked(tmp_path, packed(tmp_path, fill))
    finally:
        os.umask(old)
    status = {path.name: path.stat() for path in root.iterdir()}
    assert {name: stat.S_IMODE(s.st_mode) for name, s in status.items()} == {"run": 0o755, "old": 0o644, "far": 0o644}
    assert status["run"].st_mtime == 1_600_000_000
    assert status["old"].st_mtime == MTIME
    assert root.stat().st_mtime == 1_700_000_000


def test_links_inside_work(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member(tar, "demo-1.0/a/b.py", b"b")
        member(tar, "demo-1.0/soft.py", type=tarfile.SYMTYPE, linkname="a/b.py")
        member(tar, "demo-1.0/a/up.py", type=tarfile.SYMTYPE, linkname="../soft.py")
        member(tar, "demo-1.0/hard.py", type=tarfile.LNKTYPE, linkname="demo-1.0/a/b.py")

    root = unpacked(tmp_path, packed(tmp_path, fill))
    assert {path.name: path.read_bytes() for path in root.glob("*.py")} == {"soft.py": b"b", "hard.py": b"b"}
    assert (root / "a" / "up.py").read_bytes() == b"b"
    assert not (root / "hard.py").is_symlink()


def test_of_two_with_one_name_the_later_counts(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member(tar, "demo-1.0/a", b"one")
        member(tar, "demo-1.0/a", b"two")

    assert (unpacked(tmp_path, packed(tmp_path, fill)) / "a").read_bytes() == b"two"


HOSTILE: dict[str, Fill] = {
    "a way up": lambda tar: member(tar, "demo-1.0/../../evil", b"x"),
    "an absolute path": lambda tar: member(tar, "/tmp/evil", b"x"),
    "a link up": lambda tar: member(tar, "demo-1.0/l", type=tarfile.SYMTYPE, linkname="../../evil"),
    "an absolute link": lambda tar: member(tar, "demo-1.0/l", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "an empty link": lambda tar: member(tar, "demo-1.0/l", type=tarfile.SYMTYPE, linkname=""),
    "a file behind a link": lambda tar: (
        member(tar, "demo-1.0/l", type=tarfile.SYMTYPE, linkname="."),
        member(tar, "demo-1.0/l/evil", b"x"),
    ),
    "a hard link to nothing": lambda tar: member(tar, "demo-1.0/h", type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
    "a device": lambda tar: member(tar, "demo-1.0/d", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "a pipe": lambda tar: member(tar, "demo-1.0/p", type=tarfile.FIFOTYPE),
    "a folder and a file": lambda tar: (member(tar, "demo-1.0/a/b", b"x"), member(tar, "demo-1.0/a", b"x")),
    "a name that is too long": lambda tar: member(tar, "demo-1.0/" + "a" * 300, b"x"),
    "a file and a folder": lambda tar: (member(tar, "demo-1.0/a", b"x"), member(tar, "demo-1.0/a/b", b"x")),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_leaves_the_folder_or_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    archive = packed(tmp_path, HOSTILE[kind])
    with pytest.raises(IntegrityError, match=r"demo-1\.0\.tar\.gz is no sdist that can be unpacked"):
        unpacked(tmp_path / "deep" / "er", archive)
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/evil").exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("demo-1.0/zeros")
        info.size = 300 << 20
        with Path("/dev/zero").open("rb") as zeros:
            tar.addfile(info, zeros)

    with pytest.raises(IntegrityError, match="grows more than 200 times"):
        unpacked(tmp_path, packed(tmp_path, fill))


def test_a_bomb_of_hard_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermetic.realize.sdist._SMALL", 1 << 20)

    def fill(tar: tarfile.TarFile) -> None:
        member(tar, "demo-1.0/one", bytes(100_000))
        for number in range(20):
            member(tar, f"demo-1.0/h{number}", type=tarfile.LNKTYPE, linkname="demo-1.0/one")

    with pytest.raises(IntegrityError, match="grows more than 200 times"):
        unpacked(tmp_path, packed(tmp_path, fill))


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x03\x04broken", b"\x1f\x8b\x08broken", b"BZh9broken"])
def test_what_is_no_archive_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"a\.tar\.gz is no sdist that can be unpacked"):
        unpacked(tmp_path, tmp_path / "a.tar.gz")


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
def test_a_damaged_archive_never_gives_a_traceback(kind: str, tmp_path_factory: pytest.TempPathFactory, data) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    if kind == "zip":
        archive = folder / "a.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("demo-1.0/a.py", b"abc" * 100)
    else:
        archive = packed(folder, lambda tar: member(tar, "demo-1.0/a.py", b"abc" * 100), f"w:{kind}")
    damaged = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        root = unpacked(folder, archive)
    except IntegrityError:
        return
    assert root.is_relative_to(folder)


def test_zips_hold_links_modes_and_times_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("demo-1.0/link.py", (2023, 1, 2, 3, 4, 6))
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "a.py")
        run = zipfile.ZipInfo("demo-1.0/a.py", (2023, 1, 2, 3, 4, 6))
        run.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(run, "a")
    root = unpacked(tmp_path, path)
    assert (root / "link.py").readlink() == Path("a.py")
    assert stat.S_IMODE((root / "a.py").stat().st_mode) == 0o755
    assert (root / "a.py").stat().st_mtime == 1672628646


def test_a_zip_with_a_way_up_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil", "x")
    with pytest.raises(IntegrityError, match="lies outside of it"):
        unpacked(tmp_path, tmp_path / "a.zip")
