from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from archive_samples import Entry, file, folder, hard_link, info_entries, link, tar_bytes, write_conda, write_tar_bz2

from hermetic.digest import sha256_file
from hermetic.errors import IntegrityError
from hermetic.plan.files import MTIME
from hermetic.store.archive import CONDA, TAR_BZ2, TAR_GZ, ZIP, inspect, unpack
from hermetic.store.guard import Limits

GOOD = [
    folder("bin/"),
    file("bin/app", b"#!/bin/sh\n", 0o755),
    file("lib/python/site-packages/a.py", b"a = 1\n", 0o664),
    file("lib/libx.so.1", b"x" * 3_000_000),
    link("lib/libx.so", "libx.so.1"),
    link("lib/up", "../bin/app"),
    hard_link("lib/again", "lib/libx.so.1"),
    file("empty", b""),
    file("l" * 150 + "/" + "n" * 150, b"long"),
    file("lib/ü\\x2d", b"odd but sound"),
]


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    folder = tmp_path / "in" / "dest"
    folder.mkdir()
    return folder


def write(path: Path, entries: list[Entry], kind: str) -> Path:
    if kind == CONDA:
        return write_conda(path, entries)
    if kind == TAR_GZ:
        path.write_bytes(gzip.compress(tar_bytes(entries)))
        return path
    return write_tar_bz2(path, entries)


class TestUnpack:
    @pytest.mark.parametrize("kind", [CONDA, TAR_BZ2, TAR_GZ])
    def test_everything_arrives(self, tmp_path: Path, dest: Path, kind: str) -> None:
        archive = write(tmp_path / "archive", GOOD, kind)
        listing = unpack(archive, dest)
        assert listing.kind == kind
        assert (dest / "bin/app").read_bytes() == b"#!/bin/sh\n"
        assert (dest / "lib/libx.so").readlink() == Path("libx.so.1")
        assert (dest / "lib/again").read_bytes() == b"x" * 3_000_000
        assert (dest / "lib/up").resolve() == dest / "bin/app"
        assert listing.packed == archive.stat().st_size

    def test_the_listing_is_what_is_on_disk(self, tmp_path: Path, dest: Path) -> None:
        listing = unpack(write_conda(tmp_path / "x", GOOD), dest)
        on_disk = sorted(path.relative_to(dest).as_posix() for path in dest.rglob("*"))
        assert [entry.path for entry in listing.entries] == on_disk
        for entry in listing.entries:
            path = dest / entry.path
            if entry.kind == "file":
                assert (entry.sha256, entry.size) == (sha256_file(path), path.stat().st_size)
            elif entry.kind == "link":
                assert Path(entry.target) == path.readlink()

    @pytest.mark.parametrize("umask", [0o077, 0o000])
    def test_modes_and_times_depend_on_nothing(self, tmp_path: Path, dest: Path, umask: int) -> None:
        before = os.umask(umask)
        try:
            listing = unpack(write_conda(tmp_path / "x", [*GOOD, file("s", mode=0o4777), file("t", mode=0o000)]), dest)
        finally:
            os.umask(before)
        for entry in listing.entries:
            status = (dest / entry.path).lstat()
            assert status.st_mtime == MTIME
            if entry.kind != "link":
                assert stat.S_IMODE(status.st_mode) == entry.mode
        assert {e.path for e in listing.entries if e.kind == "file" and e.executable} == {"bin/app", "s"}
        assert listing.notes == ("s loses its setuid or setgid bit",)

    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_all_forms_of_tar(self, tmp_path: Path, dest: Path, form: int) -> None:
        long = "a" * 90 + "/" + "b" * 60
        entries = [file(long, b"1"), link("l", long if form != tarfile.USTAR_FORMAT else "x")]
        (tmp_path / "x").write_bytes(gzip.compress(tar_bytes(entries, form)))
        assert [e.path for e in unpack(tmp_path / "x", dest).entries] == ["a" * 90, long, "l"]

    def test_looking_sees_the_same_and_writes_nothing(self, tmp_path: Path, dest: Path) -> None:
        archive = write_conda(tmp_path / "x", GOOD)
        seen = inspect(archive)
        made = unpack(archive, dest)
        plain = [(e.path, e.kind, e.size, e.executable, e.target) for e in made.entries]
        assert [(e.path, e.kind, e.size, e.executable, e.target) for e in seen.entries] == plain
        assert (seen.kind, seen.unpacked, seen.notes) == (made.kind, made.unpacked, made.notes)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "x"]

    def test_names_that_differ_by_case_are_noted(self, tmp_path: Path, dest: Path) -> None:
        listing = unpack(write_conda(tmp_path / "x", [file("share/A"), file("share/a")]), dest)
        assert listing.notes == ("share/A and share/a are one file where case does not count",)

    def test_several_streams_in_one_file(self, tmp_path: Path, dest: Path) -> None:
        data = tar_bytes([file("a", b"1" * 100_000)])
        (tmp_path / "x").write_bytes(bz2.compress(data[:5000]) + bz2.compress(data[5000:]))
        assert [e.path for e in unpack(tmp_path / "x", dest).entries] == ["a"]

    def test_a_large_package_is_unpacked_ahead(self, tmp_path: Path, dest: Path) -> None:
        data = os.urandom(9_000_000)
        unpack(write_conda(tmp_path / "x", [file("a", data[:8_500_000]), file("b", data[8_500_000:])]), dest)
        assert (dest / "a").read_bytes() + (dest / "b").read_bytes() == data


REFUSED: dict[str, tuple[list[Entry], str]] = {
    "an absolute path": ([file("/etc/evil")], "absolute"),
    "an absolute path behind a dot": ([file("./a"), file("//etc/evil")], "absolute"),
    "a way out": ([file("../evil")], "leads out"),
    "a way out in the middle": ([file("a/../../evil")], "leads out"),
    "a way out and in again": ([file("a/../b")], "leads out"),
    "a way out by backslashes": ([file("a\\..\\..\\evil")], "leads out"),
    "a drive": ([file("C:\\evil")], "absolute"),
    "a way out by a folder": ([folder("../evil/")], "leads out"),
    "no name": ([file("")], "no sound name|bad|cannot"),
    "a link out": ([link("l", "../../evil")], "leads out"),
    "a link to the root": ([link("l", "/etc/passwd")], "leads out"),
    "a link above, deeper": ([link("a/b/l", "../../../evil")], "leads out"),
    "a link out through another": ([link("d/a", ".."), link("e", "d/a/../x")], "leads out"),
    "a link out through a later one": ([link("e", "d/a/../x"), link("d/a", "..")], "leads out"),
    "a link without target": ([link("l", "")], "no sound target"),
    "written through a link": ([link("d", "."), file("d/x")], "through the symbolic link d"),
    "written through a link out": ([link("d", "../.."), file("d/x")], "through the symbolic link|leads out"),
    "a folder made through a link": ([link("d", "e"), folder("d/x")], "through the symbolic link"),
    "a link over a folder": ([folder("d"), link("d", "e")], "two members"),
    "a file over a link": ([link("l", "x"), file("l")], "two members"),
    "a file twice": ([file("a", b"1"), file("a", b"2")], "two members"),
    "a file twice, spelt otherwise": ([file("a/b", b"1"), file("a/./b", b"2")], "two members"),
    "a file below a file": ([file("a"), file("a/b")], "below a, which is a file"),
    "a folder that is a file": ([file("a"), folder("a")], "two members"),
    "a hard link out": ([hard_link("l", "../../etc/passwd")], "leads out"),
    "a hard link to the root": ([hard_link("l", "/etc/passwd")], "absolute"),
    "a hard link to nothing": ([hard_link("l", "later"), file("later")], "no earlier file"),
    "a hard link to a link": ([link("s", "x"), hard_link("l", "s")], "no earlier file"),
    "a hard link to itself": ([hard_link("l", "l")], "no earlier file"),
    "a device": ([Entry("d", kind=tarfile.CHRTYPE)], "a device"),
    "a block device": ([Entry("d", kind=tarfile.BLKTYPE)], "a device"),
    "a pipe": ([Entry("d", kind=tarfile.FIFOTYPE)], "a pipe"),
    "a sparse file": ([Entry("d", kind=tarfile.GNUTYPE_SPARSE)], "a sparse file"),
    "an unknown kind": ([Entry("d", kind=b"Z")], "unknown kind"),
    "a name too long": ([file("x" * 300)], "longer than file systems allow"),
    "a path too long": ([file("x/" * 3000 + "x")], "longer than file systems allow"),
}


@pytest.mark.parametrize("kind", [CONDA, TAR_BZ2])
@pytest.mark.parametrize(("entries", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(tmp_path: Path, dest: Path, entries: list[Entry], reason: str, kind: str) -> None:
    archive = write(tmp_path / "evil-1.0-0", entries, kind)
    before = sorted(str(path) for path in tmp_path.rglob("*") if dest not in path.parents)
    with pytest.raises(IntegrityError, match=reason) as caught:
        unpack(archive, dest)
    assert "evil-1.0-0: " in caught.value.message
    assert caught.value.exit_status == 5
    assert sorted(str(path) for path in tmp_path.rglob("*") if dest not in path.parents) == before
    with pytest.raises(IntegrityError, match=reason):
        inspect(archive)


def test_a_name_that_would_confuse_a_terminal_is_escaped(tmp_path: Path, dest: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        unpack(write_conda(tmp_path / "x", [file("../\x1b[31mevil\n")]), dest)
    assert "\x1b" not in str(caught.value)


class TestBombs:
    def test_a_small_archive_of_many_zeros(self, tmp_path: Path, dest: Path) -> None:
        archive = write_conda(tmp_path / "x", [file("a", bytes(40_000_000))])
        limits = Limits(free=1_000_000, ratio=100)
        with pytest.raises(IntegrityError, match="fill a disk"):
            unpack(archive, dest, limits=limits)
        assert not (dest / "a").exists()  # what a member states is believed before anything is written

    def test_more_than_the_absolute_limit(self, tmp_path: Path, dest: Path) -> None:
        archive = write_conda(tmp_path / "x", [file(f"f{n}", os.urandom(10_000)) for n in range(20)])
        with pytest.raises(IntegrityError, match="unpacks to more than"):
            unpack(archive, dest, limits=Limits(unpacked=100_000))

    def test_too_many_members(self, tmp_path: Path, dest: Path) -> None:
        archive = write_conda(tmp_path / "x", [file(f"f{n}") for n in range(50)])
        with pytest.raises(IntegrityError, match="more than 30 members"):
            unpack(archive, dest, limits=Limits(entries=30))

    def test_too_many_folders(self, tmp_path: Path, dest: Path) -> None:
        archive = write_conda(tmp_path / "x", [file("d/" * 100 + "f")])
        with pytest.raises(IntegrityError, match="more than 30 members"):
            unpack(archive, dest, limits=Limits(entries=30))

    def test_a_huge_extended_header(self, tmp_path: Path, dest: Path) -> None:
        (tmp_path / "x").write_bytes(gzip.compress(tar_bytes([file("x" * 3_000_000)])))
        with pytest.raises(IntegrityError, match="extended header"):
            unpack(tmp_path / "x", dest)

    def test_a_window_that_wants_gigabytes_of_memory(self, tmp_path: Path, dest: Path) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=30)
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        stream = compressor.compressobj()
        data = stream.compress(tar_bytes([file("a")])) + stream.flush()
        with zipfile.ZipFile(tmp_path / "x", "w") as archive:
            archive.writestr("info-s-1-0.tar.zst", data)
            archive.writestr("pkg-s-1-0.tar.zst", data)
        with pytest.raises(IntegrityError, match=r"damaged|memory"):
            unpack(tmp_path / "x", dest)


class TestDamaged:
    @pytest.mark.parametrize("kind", [CONDA, TAR_BZ2, TAR_GZ])
    @pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.99])
    def test_cut_short(self, tmp_path: Path, dest: Path, kind: str, share: float) -> None:
        archive = write(tmp_path / "x", [file("a", os.urandom(200_000)), file("b", os.urandom(200_000))], kind)
        archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
        with pytest.raises(IntegrityError, match=r"^x: "):
            unpack(archive, dest)

    @pytest.mark.parametrize("data", [b"", b"PK", b"hello world" * 100, b"BZh9", b"\x1f\x8b", b"PK\3\4" + bytes(100)])
    def test_no_archive(self, tmp_path: Path, dest: Path, data: bytes) -> None:
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(IntegrityError, match=r"^x: "):
            unpack(tmp_path / "x", dest)

    def test_a_header_with_a_wrong_checksum(self, tmp_path: Path, dest: Path) -> None:
        data = bytearray(tar_bytes([file("a"), file("b")]))
        data[0] ^= 1
        (tmp_path / "x").write_bytes(gzip.compress(bytes(data)))
        with pytest.raises(IntegrityError, match="checksum"):
            unpack(tmp_path / "x", dest)

    @pytest.mark.parametrize("kind", [TAR_BZ2, TAR_GZ])
    def test_something_after_the_end_of_the_tar(self, tmp_path: Path, dest: Path, kind: str) -> None:
        data = tar_bytes([file("a")]) + tar_bytes([file("hidden")])
        (tmp_path / "x").write_bytes(bz2.compress(data) if kind == TAR_BZ2 else gzip.compress(data))
        with pytest.raises(IntegrityError, match="follows after its end"):
            unpack(tmp_path / "x", dest)

    @pytest.mark.parametrize("kind", [TAR_BZ2, TAR_GZ])
    def test_something_after_the_end_of_the_compression(self, tmp_path: Path, dest: Path, kind: str) -> None:
        data = tar_bytes([file("a")])
        packed = bz2.compress(data) if kind == TAR_BZ2 else gzip.compress(data)
        (tmp_path / "x").write_bytes(packed + b"tail")
        with pytest.raises(IntegrityError, match="follows after its end"):
            unpack(tmp_path / "x", dest)

    def test_a_link_with_bytes_can_be_read_in_two_ways(self, tmp_path: Path, dest: Path) -> None:
        data = bytearray(tar_bytes([link("l", "x"), file("a")]))
        data[124:136] = b"00000001000\0"
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        (tmp_path / "x").write_bytes(gzip.compress(bytes(data)))
        with pytest.raises(IntegrityError, match="two ways"):
            unpack(tmp_path / "x", dest)


class TestCondaPackages:
    def test_a_file_that_its_own_list_does_not_know_is_no_fault(self, tmp_path: Path, dest: Path) -> None:
        unpack(write_conda(tmp_path / "x", [file("a")], info_entries([])), dest)
        assert (dest / "a").exists()

    @pytest.mark.parametrize(
        ("paths", "fault"),
        [
            ([{"_path": "a", "path_type": "hardlink", "sha256": "0" * 64}], "a has another sha256"),
            ([{"_path": "gone", "path_type": "hardlink"}], "gone is missing"),
            ([{"no": "path"}], "cannot be understood"),
            ("x", "cannot be understood"),
        ],
    )
    def test_one_whose_files_are_not_what_it_lists(self, tmp_path: Path, dest: Path, paths: object, fault: str) -> None:
        archive = write_conda(tmp_path / "x", [file("a")], info_entries([], paths))  # type: ignore[arg-type]
        with pytest.raises(IntegrityError, match=fault):
            unpack(archive, dest)
        (dest.parent / "lenient").mkdir()
        assert fault in " ".join(unpack(archive, dest.parent / "lenient", strict=False).notes)

    def test_an_old_one_without_a_list(self, tmp_path: Path, dest: Path) -> None:
        assert unpack(write_tar_bz2(tmp_path / "x", [file("info/files", b"a\n"), file("a")]), dest).notes == ()

    def test_both_parts_may_not_hold_one_file(self, tmp_path: Path, dest: Path) -> None:
        with pytest.raises(IntegrityError, match="two members"):
            unpack(write_conda(tmp_path / "x", [file("info/index.json")], info_entries([])), dest)

    @pytest.mark.parametrize("metadata", ["", "{}", '{"conda_pkg_format_version": 3}', "[2]", "x" * 100_000])
    def test_another_version_of_the_format(self, tmp_path: Path, dest: Path, metadata: str) -> None:
        with zipfile.ZipFile(tmp_path / "x", "w") as archive:
            archive.writestr("metadata.json", metadata)
            for part in ("info", "pkg"):
                archive.writestr(f"{part}-s-1-0.tar.zst", zstandard.compress(tar_bytes([file(part)])))
        with pytest.raises(IntegrityError, match="format 2"):
            unpack(tmp_path / "x", dest)

    @pytest.mark.parametrize(
        "names", [["pkg-a-1-0.tar.zst"], ["info-a-1-0.tar.zst", "pkg-a-1-0.tar.zst", "pkg-b-1-0.tar.zst"]]
    )
    def test_too_few_or_too_many_parts(self, tmp_path: Path, dest: Path, names: list[str]) -> None:
        with zipfile.ZipFile(tmp_path / "x", "w") as archive:
            for name in names:
                archive.writestr(name, zstandard.compress(tar_bytes([])))
        with pytest.raises(IntegrityError, match="one info and one pkg part"):
            unpack(tmp_path / "x", dest)


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


class TestZips:
    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
    @pytest.mark.parametrize("jobs", [1, 4])
    def test_everything_arrives(self, tmp_path: Path, dest: Path, method: int, jobs: int) -> None:
        members = [(f"d{n % 7}/f{n}", os.urandom(n * 37) + b"a" * n) for n in range(200)]
        members.append(("big", os.urandom(1_500_000) + bytes(4_000_000)))
        archive = zip_of(tmp_path / "x", *members, ("d0/sub/", b""), ("none", b""), method=method)
        listing = unpack(archive, dest, jobs=jobs)
        assert listing.kind == ZIP
        for name, data in members:
            assert (dest / name).read_bytes() == data
        digests = {entry.path: entry.sha256 for entry in listing.entries if entry.kind == "file"}
        assert digests == {n: hashlib.sha256(d).hexdigest() for n, d in [*members, ("none", b"")]}
        assert [e.path for e in inspect(archive).entries] == [e.path for e in listing.entries]

    def test_x_bits_and_links(self, tmp_path: Path, dest: Path) -> None:
        program, shortcut = zipfile.ZipInfo("bin/app"), zipfile.ZipInfo("bin/short")
        program.external_attr = 0o100755 << 16
        shortcut.external_attr = 0o120777 << 16
        listing = unpack(zip_of(tmp_path / "x", (program, b"#!"), (shortcut, b"app"), ("plain", b"")), dest)
        assert {e.path: e.mode for e in listing.entries if e.kind == "file"} == {"bin/app": 0o755, "plain": 0o644}
        assert (dest / "bin/short").readlink() == Path("app")

    def test_one_written_as_a_stream(self, tmp_path: Path, dest: Path) -> None:
        class OneWay(io.RawIOBase):
            """Nothing to seek in, so sizes follow the bytes (APPNOTE 4.3.9)."""

            data = b""

            def writable(self) -> bool:
                return True

            def write(self, piece: bytes) -> int:  # type: ignore[override]
                self.data += bytes(piece)
                return len(piece)

        stream = OneWay()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
            archive.writestr("a", b"1" * 1000)
            with archive.open("b", "w", force_zip64=True) as member:
                member.write(b"2" * 1000)
        (tmp_path / "x").write_bytes(stream.data)
        unpack(tmp_path / "x", dest)
        assert (dest / "b").read_bytes() == b"2" * 1000

    @pytest.mark.parametrize("name", ["/evil", "../evil", "a/../../evil", "a\\..\\evil", "C:/evil", "a\\b"])
    def test_names(self, tmp_path: Path, dest: Path, name: str) -> None:
        with pytest.raises(IntegrityError):
            unpack(zip_of(tmp_path / "x", (name, b"evil")), dest)
        assert list(dest.parent.iterdir()) == [dest]
        assert list(dest.iterdir()) == []

    def test_a_link_out(self, tmp_path: Path, dest: Path) -> None:
        info = zipfile.ZipInfo("l")
        info.external_attr = 0o120777 << 16
        with pytest.raises(IntegrityError, match="leads out"):
            unpack(zip_of(tmp_path / "x", (info, b"../../evil")), dest)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_one_name_twice(self, tmp_path: Path, dest: Path) -> None:
        with pytest.raises(IntegrityError, match="two members"):
            unpack(zip_of(tmp_path / "x", ("a", b"1"), ("a", b"2")), dest)

    def test_one_name_in_the_directory_and_another_at_the_bytes(self, tmp_path: Path, dest: Path) -> None:
        archive = zip_of(tmp_path / "x", ("good.py", b"good"))
        archive.write_bytes(archive.read_bytes().replace(b"good.py", b"evil.py", 1))
        with pytest.raises(IntegrityError, match="one name in the directory and another"):
            unpack(archive, dest)

    def test_a_size_at_the_bytes_that_is_not_the_directorys(self, tmp_path: Path, dest: Path) -> None:
        archive = zip_of(tmp_path / "x", ("a", b"good"), method=zipfile.ZIP_STORED)
        data = bytearray(archive.read_bytes())
        data[18:22] = struct.pack("<I", 3)
        archive.write_bytes(data)
        with pytest.raises(IntegrityError, match="two ways"):
            unpack(archive, dest)

    def test_a_member_larger_than_it_says(self, tmp_path: Path, dest: Path) -> None:
        """The directory and the header agree on a lie; the bytes do not."""
        archive = zip_of(tmp_path / "x", ("a", b"x" * 100_000))
        data = bytearray(archive.read_bytes())
        at = data.rindex(b"PK\1\2")
        data[22:26] = data[at + 24 : at + 28] = struct.pack("<I", 10)
        archive.write_bytes(data)
        with pytest.raises(IntegrityError, match="larger than it says"):
            unpack(archive, dest)

    def test_overlapping_members(self, tmp_path: Path, dest: Path) -> None:
        """The way of the densest bombs: one member's record lies in the bytes of another."""
        inner = zip_of(tmp_path / "inner", ("b", b"x" * 1000), method=zipfile.ZIP_STORED).read_bytes()
        record = inner[: inner.index(b"PK\1\2")]
        archive = zip_of(tmp_path / "x", ("a", record), ("b", b"x" * 1000), method=zipfile.ZIP_STORED)
        data = bytearray(archive.read_bytes())
        at = data.rindex(b"PK\1\2")
        data[at + 42 : at + 46] = struct.pack("<I", data.index(record))
        archive.write_bytes(data)
        with pytest.raises(IntegrityError, match="overlap"):
            unpack(archive, dest)

    def test_an_encrypted_member(self, tmp_path: Path, dest: Path) -> None:
        archive = zip_of(tmp_path / "x", ("a", b"x"))
        data = bytearray(archive.read_bytes())
        data[6] |= 1
        data[data.rindex(b"PK\1\2") + 8] |= 1
        archive.write_bytes(data)
        with pytest.raises(IntegrityError, match="encrypted"):
            unpack(archive, dest)

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_method_that_no_wheel_uses(self, tmp_path: Path, dest: Path, method: int) -> None:
        with pytest.raises(IntegrityError, match="method"):
            unpack(zip_of(tmp_path / "x", ("a", b"x" * 100), method=method), dest)

    def test_flipped_bytes_are_found(self, tmp_path: Path, dest: Path) -> None:
        archive = zip_of(tmp_path / "x", ("a", os.urandom(1000)), method=zipfile.ZIP_STORED)
        data = bytearray(archive.read_bytes())
        data[500] ^= 1
        archive.write_bytes(data)
        with pytest.raises(IntegrityError, match="checksum"):
            unpack(archive, dest)

    def test_a_bomb(self, tmp_path: Path, dest: Path) -> None:
        archive = zip_of(tmp_path / "x", ("a", bytes(30_000_000)))
        with pytest.raises(IntegrityError, match="fill a disk"):
            unpack(archive, dest, limits=Limits(free=1_000_000, ratio=50))

    def test_an_empty_one(self, tmp_path: Path, dest: Path) -> None:
        assert unpack(zip_of(tmp_path / "x"), dest).entries == ()

    @pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are told in KiB on Linux")
    def test_a_large_one_needs_no_more_memory_than_a_small_one(self, tmp_path: Path, dest: Path) -> None:
        megabyte = os.urandom(1 << 20)
        peaks = []
        for count in (8, 128):
            members = [(f"large{number}", megabyte * (count // 2)) for number in range(2)]
            archive = zip_of(tmp_path / f"{count}", *members, method=zipfile.ZIP_STORED)
            (dest / f"{count}").mkdir()
            script = (
                "import resource, sys\nfrom pathlib import Path\nfrom hermetic.store.archive import unpack\n"
                "unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
            )
            # by way of a small process: one that is started inherits the peak of the one that starts it
            command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", script]
            ran = subprocess.run([*command, archive, dest / f"{count}"], capture_output=True, text=True, check=True)
            peaks.append(int(ran.stdout) << 10)
        assert peaks[1] - peaks[0] < 32 << 20
