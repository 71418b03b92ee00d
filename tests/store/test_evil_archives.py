"""Generated archives: whatever they hold, nothing is written outside, and what was let through stays inside."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from archive_samples import Entry, tar_bytes, write_conda
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermetic.errors import IntegrityError
from hermetic.store.archive import inspect, unpack
from hermetic.store.tarball import Stream, members

PARTS = st.sampled_from(["a", "b", "c", "..", ".", "", "a\\b", "..\\x", "C:", "ü", "a" * 260, "\udcff", "-", "\n"])
NAMES = st.one_of(
    st.lists(PARTS, min_size=1, max_size=5).map("/".join),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join),
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]
)
ENTRIES = st.lists(
    st.builds(
        lambda name, kind, target, data, mode: Entry(
            name,
            data if kind == tarfile.REGTYPE else b"",
            kind,
            target if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "",
            mode,
        ),
        NAMES,
        KINDS,
        NAMES,
        st.binary(max_size=2000),
        st.integers(0, 0o7777),
    ),
    max_size=12,
)
SANE = settings(max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a precious neighbour; archives are unpacked three folders deep."""
    return tmp_path_factory.mktemp("box")


def prepare(box: Path) -> Path:
    shutil.rmtree(box, ignore_errors=True)
    (box / "x" / "y" / "dest").mkdir(parents=True)
    (box / "precious").write_text("precious")
    (box / "x" / "precious").write_text("precious")
    return box / "x" / "y" / "dest"


def outside(box: Path, dest: Path) -> list[tuple[str, bytes, int]]:
    found = []
    for root, folders, files in os.walk(box):
        folders[:] = [name for name in folders if Path(root) / name != dest]
        for name in [*folders, *files]:
            path = Path(root) / name
            found.append((str(path), path.read_bytes() if path.is_file() else b"", path.lstat().st_mtime_ns))
    return sorted(found)


def check_inside(dest: Path) -> None:
    """Everything that arrived is a file, a folder, or a link that leads nowhere else."""
    inside = os.path.realpath(dest)
    for root, folders, files in os.walk(dest):
        for name in [*folders, *files]:
            path = Path(root) / name
            mode = path.lstat().st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
            if not stat.S_ISLNK(mode):
                assert stat.S_IMODE(mode) in {0o644, 0o755}
            assert os.path.commonpath([os.path.realpath(path), inside]) == inside


@given(entries=ENTRIES, form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
@example([Entry("a", kind=tarfile.SYMTYPE, target="b"), Entry("b", kind=tarfile.SYMTYPE, target="a")], 2)
@example([Entry("a", kind=tarfile.SYMTYPE, target="."), Entry("a/b", b"x")], 2)
@example([Entry("a/b", kind=tarfile.SYMTYPE, target=".."), Entry("c", kind=tarfile.SYMTYPE, target="a/b/..")], 2)
@SANE
def test_tars(box: Path, entries: list[Entry], form: int) -> None:
    dest = prepare(box)
    try:
        data = tar_bytes(entries, form)
    except (UnicodeEncodeError, ValueError):  # a name that tarfile cannot write
        return
    archive = box / "x" / "archive"
    archive.write_bytes(gzip.compress(data, 1))
    before = outside(box, dest)
    try:
        listing = unpack(archive, dest)
    except IntegrityError:
        assert outside(box, dest) == before
        with pytest.raises(IntegrityError):
            inspect(archive)
        return
    assert outside(box, dest) == before
    check_inside(dest)
    on_disk = sorted(os.path.relpath(Path(r) / n, dest) for r, d, f in os.walk(dest) for n in [*d, *f])
    assert [entry.path for entry in listing.entries] == on_disk
    assert len(inspect(archive).entries) == len(on_disk)


@given(entries=ENTRIES)
@settings(max_examples=40, deadline=None)
def test_conda_packages(box: Path, entries: list[Entry]) -> None:
    dest = prepare(box)
    archive = box / "x" / "archive"
    try:
        write_conda(archive, entries, [])
    except (UnicodeEncodeError, ValueError):
        return
    before = outside(box, dest)
    try:
        unpack(archive, dest)
    except IntegrityError:
        pass
    else:
        check_inside(dest)
    assert outside(box, dest) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(found=st.lists(st.tuples(NAMES, st.binary(max_size=500), st.sampled_from([0, 0o100644, 0o120777])), max_size=8))
@SANE
def test_zips(box: Path, found: list[tuple[str, bytes, int]]) -> None:
    dest = prepare(box)
    archive = box / "x" / "archive"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data, mode in found:
                info = zipfile.ZipInfo(name)
                info.external_attr = mode << 16
                out.writestr(info, data)
    except (UnicodeEncodeError, ValueError):
        return
    before = outside(box, dest)
    try:
        unpack(archive, dest)
    except IntegrityError:
        pass
    else:
        check_inside(dest)
    assert outside(box, dest) == before


def _sound() -> bytes:
    return tar_bytes(
        [Entry("a", b"x" * 600), Entry("b", kind=tarfile.SYMTYPE, target="a"), Entry("d/" * 60 + "e", b"y")]
    )


@given(changes=st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 255)), min_size=1, max_size=6))
@SANE
def test_a_damaged_tar_is_refused_or_sound(box: Path, changes: list[tuple[int, int]]) -> None:
    dest = prepare(box)
    data = bytearray(_sound())
    for position, value in changes:
        data[position % len(data)] = value
    (box / "x" / "archive").write_bytes(gzip.compress(bytes(data), 1))
    before = outside(box, dest)
    try:
        unpack(box / "x" / "archive", dest)
    except IntegrityError:
        pass
    else:
        check_inside(dest)
    assert outside(box, dest) == before


@given(data=st.binary(max_size=3000))
@SANE
def test_any_bytes_are_no_tar_or_one(data: bytes) -> None:
    stream = Stream(io.BytesIO(data), "x")
    try:
        for member in members(stream, "x"):
            stream.skip(member.size)
    except IntegrityError:
        pass


@given(
    entries=st.lists(
        st.builds(Entry, st.text(min_size=1, max_size=200), st.binary(max_size=3000), mode=st.integers(0, 0o777)),
        max_size=8,
    ),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
@SANE
def test_sound_tars_are_read_as_python_reads_them(entries: list[Entry], form: int) -> None:
    entries = [entry for entry in entries if not entry.name.endswith("/") and "\0" not in entry.name]
    try:
        data = tar_bytes(entries, form)
    except (UnicodeEncodeError, ValueError):
        return
    stream = Stream(io.BytesIO(data), "x")
    found = [(m.name, b"".join(bytes(p) for p in stream.pieces(m.size)), m.mode) for m in members(stream, "x")]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(m.name, archive.extractfile(m).read(), m.mode) for m in archive]  # type: ignore[union-attr]
    assert [(name.rstrip("/"), content, mode) for name, content, mode in found] == expected
