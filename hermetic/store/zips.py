"""Zip files with one reading only: what the central directory lists, and each local header agrees (APPNOTE 4.3).

A zip says everything twice, and tools differ in which half they believe; where the halves differ the archive is
refused. Members are independent, so several threads unpack one file.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hermetic.plan.files import FILE, FileEntry
from hermetic.store.guard import Guard, printable
from hermetic.store.unpacking import Disk, Sink

_LOCAL = struct.Struct("<4s5H3I2H")
_PIECE = 1 << 20
_ENCRYPTED, _STREAMED, _STRONG, _UTF8 = 0x1, 0x8, 0x40, 0x800
_STORED, _DEFLATED = 0, 8
_KINDS = {0: FILE, 0o100000: FILE, 0o040000: "folder", 0o120000: "link"}
_BATCH = 32


def read_zip(path: Path, guard: Guard, sink: Sink, *, jobs: int = 1) -> None:
    """Let a zip's members through the guard into the sink.

    Raises IntegrityError for what can be read in two ways, is encrypted, damaged, or leads out of its folder.
    """
    try:
        with (
            path.open("rb") as file,
            zipfile.ZipFile(file) as archive,
            _mapped(file) as data,
        ):
            infos = archive.infolist()
            regions = _regions(infos, data, guard, archive.start_dir)
            _let_go(data)
            files = _names(infos, regions, data, guard, sink)
            _contents(files, data, guard, sink, jobs)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error) as error:
        guard.refuse(f"no zip, or damaged: {printable(str(error))}")
    except ValueError as error:  # an empty file cannot be mapped
        guard.refuse(f"no zip, or damaged: {printable(str(error))}")


@contextmanager
def _mapped(file: BinaryIO) -> Iterator[mmap.mmap]:
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield data
    finally:
        with suppress(BufferError):  # what an error on its way still holds goes with the error
            data.close()


def _let_go(data: mmap.mmap) -> None:
    """Give back the memory of what was read so far, else a process is as large as its largest archive."""
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)


def _regions(infos: list[zipfile.ZipInfo], data: mmap.mmap, guard: Guard, start_dir: int) -> dict[int, int]:
    """Compare each local header with the directory; give header offset -> offset of the bytes."""
    found: dict[int, int] = {}
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        at = info.header_offset
        if at < end:
            guard.refuse("members overlap", info.filename)
        if at + _LOCAL.size > len(data):
            guard.refuse("a member lies outside of the file", info.filename)
        signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack_from(data, at)
        if signature != b"PK\3\4":
            guard.refuse("a member has no local header", info.filename)
        if (flags | info.flag_bits) & (_ENCRYPTED | _STRONG):
            guard.refuse("a member is encrypted", info.filename)
        name = data[at + _LOCAL.size : at + _LOCAL.size + name_length]
        if name.decode("utf-8" if flags & _UTF8 else "cp437") != info.orig_filename:
            guard.refuse("a member has one name in the directory and another at its bytes", info.filename)
        stated = ((crc, info.CRC), (packed, info.compress_size), (size, info.file_size))
        large = 0xFFFFFFFF in (packed, size)  # then the sizes are in the extra field (zip64)
        streamed = bool(flags & _STREAMED)  # then what was not known yet is zero
        agree = all(local == listed or (streamed and local == 0) for local, listed in stated)
        if method != info.compress_type or not (large or agree):
            guard.refuse("a member is described in two ways", info.filename)
        if method not in {_STORED, _DEFLATED}:
            guard.refuse(f"a member is packed by method {method}, which no package may use", info.filename)
        found[at] = at + _LOCAL.size + name_length + extra_length
        end = found[at] + info.compress_size
        if end > start_dir:
            guard.refuse("a member lies outside of the file", info.filename)
    return found


def _names(
    infos: list[zipfile.ZipInfo], regions: dict[int, int], data: mmap.mmap, guard: Guard, sink: Sink
) -> list[tuple[zipfile.ZipInfo, int, str]]:
    """Let all names through, before any byte is unpacked; give the files as (info, offset, path)."""
    files = []
    for info in infos:
        if "\\" in info.orig_filename or "\0" in info.orig_filename:
            guard.refuse("a member's name has a character that some systems take for a separator", info.orig_filename)
        kind = _KINDS.get((info.external_attr >> 16) & 0o170000 if info.create_system == 3 else 0)
        if kind is None:
            guard.refuse("a member is a device or a pipe, which no package may hold", info.filename)
        if info.filename.endswith("/"):
            if info.file_size:
                guard.refuse("a folder has bytes", info.filename)
            path, new = guard.folder(info.filename)
            sink.folders(new)
        elif kind == "link":
            target = b"".join(bytes(piece) for piece in _pieces(info, regions[info.header_offset], data, guard))
            path, new = guard.link(info.filename, target.decode("utf-8", "surrogateescape"))
            sink.folders(new)
            sink.link(path, target.decode("utf-8", "surrogateescape"))
        else:
            path, new = guard.file(info.filename, info.file_size)
            sink.folders(new)
            files.append((info, regions[info.header_offset], path))
    guard.finish()
    return files


def _contents(
    files: list[tuple[zipfile.ZipInfo, int, str]], data: mmap.mmap, guard: Guard, sink: Sink, jobs: int
) -> None:
    if not isinstance(sink, Disk):
        for info, _, path in files:
            sink.file(path, info.file_size, _mode(info), ())
        return

    def write(batch: list[tuple[zipfile.ZipInfo, int, str]]) -> list[FileEntry]:
        done = []
        for info, offset, path in batch:
            executable = bool(_mode(info) & 0o100)
            digest = sink.write(path, executable=executable, pieces=_pieces(info, offset, data, guard))
            done.append(FileEntry(path, FILE, digest, info.file_size, executable=executable))
        _let_go(data)
        return done

    files = sorted(files, key=lambda item: -item[0].file_size)
    big = [[item] for item in files if item[0].file_size > _PIECE]
    small = files[len(big) :]
    batches = big + [small[start : start + _BATCH] for start in range(0, len(small), _BATCH)]
    if jobs <= 1 or len(batches) < 2:
        sink.entries += [entry for batch in batches for entry in write(batch)]
        return
    with ThreadPoolExecutor(min(jobs, len(batches))) as pool:
        for entries in pool.map(write, batches):
            sink.entries += entries


def _mode(info: zipfile.ZipInfo) -> int:
    return info.external_attr >> 16 if info.create_system == 3 else 0


def _pieces(info: zipfile.ZipInfo, offset: int, data: mmap.mmap, guard: Guard) -> Iterator[memoryview]:
    """Give a member's bytes, exactly as many as it states, with the checksum that it states."""
    view = memoryview(data)
    crc = size = 0
    try:
        for piece in _unpacked(info, view[offset : offset + info.compress_size]):
            if size >= _PIECE:
                _let_go(data)
            size += len(piece)
            if size > info.file_size:
                guard.refuse("a member is larger than it says", info.filename)
            crc = zlib.crc32(piece, crc)
            yield piece
    except zlib.error as error:
        guard.refuse(f"a member is damaged: {error}", info.filename)
    finally:
        view.release()
    if size != info.file_size or crc != info.CRC:
        guard.refuse("a member is damaged: its size or checksum is wrong", info.filename)


def _unpacked(info: zipfile.ZipInfo, packed: memoryview) -> Iterator[memoryview]:
    with packed:
        if info.compress_type == _STORED:
            for start in range(0, len(packed), _PIECE):
                with packed[start : start + _PIECE] as piece:
                    yield piece
            return
        inflate = zlib.decompressobj(-15)
        start = 0
        rest = b""
        while not inflate.eof:
            if not rest:
                if start >= len(packed):
                    break
                with packed[start : start + _PIECE] as piece:
                    unpacked = inflate.decompress(piece, _PIECE)
                start += _PIECE
            else:
                unpacked = inflate.decompress(rest, _PIECE)
            rest = inflate.unconsumed_tail
            if unpacked:
                yield memoryview(unpacked)
