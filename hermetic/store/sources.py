"""Decompressors as sources of bytes: zstd, xz, bzip2 and gzip, read in large steps and in constant memory."""

from __future__ import annotations

import bz2
import io
import os
import queue
import threading
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from hermetic.errors import IntegrityError
from hermetic.store.tarball import BUFFER, Source

_READ = 1 << 18
_AHEAD = 4 << 20
"""Packed bytes from which a second thread pays: it unpacks ahead while this one writes."""
_WINDOW = 1 << 27
"""The largest zstd window in bytes, and so the memory that an archive can ask for: what all zstd levels stay within."""


class Decompressor(Protocol):
    """What ``bz2`` and ``zlib`` have in common."""

    eof: bool
    unused_data: bytes


def zstd_source(file: io.FileIO, start: int, size: int, label: str) -> Source:
    """Read a region of a file that zstd packed."""
    import zstandard

    region = _Region(file, start, size)
    # The reader takes anything with read(); its types ask for a whole file.
    reader: Any = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
        region,  # type: ignore[arg-type]
        read_size=_READ,
        read_across_frames=True,
    )

    def fill(buffer: memoryview) -> int:
        try:
            return int(reader.readinto(buffer))
        except zstandard.ZstdError as error:
            raise _damaged(label, str(error)) from None

    return _Ahead(fill) if size >= _AHEAD and (os.cpu_count() or 1) > 1 else _Direct(fill)


def bz2_source(file: io.FileIO, label: str) -> Source:
    """Read a file that bzip2 packed, of one or several streams."""
    return _Direct(_Streams(file, label, bz2.BZ2Decompressor, b"BZh", OSError).fill)


def gzip_source(file: io.FileIO, label: str) -> Source:
    """Read a file that gzip packed, of one or several members."""
    return _Direct(_Streams(file, label, _Gunzip, b"\x1f\x8b", zlib.error).fill)


def xz_source(file: io.FileIO, start: int, size: int, label: str) -> Source:
    """Read a region of a file that xz packed, of one or several streams."""
    import lzma

    def make() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _WINDOW)

    return _Direct(_Streams(_Region(file, start, size), label, make, b"\xfd7zXZ\0", lzma.LZMAError).fill)


class _Direct:
    def __init__(self, fill: Callable[[memoryview], int]) -> None:
        self.readinto = fill


class _Ahead:
    """Fills buffers in a thread of its own, two ahead; errors come out where the bytes would have."""

    def __init__(self, fill: Callable[[memoryview], int]) -> None:
        self._fill = fill
        self._full: queue.Queue[tuple[memoryview, int, BaseException | None]] = queue.Queue()
        self._empty: queue.Queue[memoryview | None] = queue.Queue()
        for _ in range(3):
            self._empty.put(memoryview(bytearray(BUFFER)))
        self._now: memoryview | None = None
        self._start = self._end = 0
        self._over = False
        threading.Thread(target=self._run, name="unpack", daemon=True).start()

    def _run(self) -> None:
        while (buffer := self._empty.get()) is not None:
            try:
                got, error = self._fill(buffer), None
            except BaseException as caught:  # noqa: BLE001  raised again by the thread that reads
                got, error = 0, caught
            self._full.put((buffer, got, error))
            if not got:
                return

    def readinto(self, buffer: memoryview, /) -> int:
        """Give what is there, waiting for it if need be."""
        if self._over:
            return 0
        if self._now is None:
            self._now, self._end, error = self._full.get()
            self._start = 0
            if error is not None:
                self._over = True
                raise error
            if not self._end:
                self._over = True
                return 0
        count = min(len(buffer), self._end - self._start)
        buffer[:count] = self._now[self._start : self._start + count]
        self._start += count
        if self._start == self._end:
            self._empty.put(self._now)
            self._now = None
        return count

    def __del__(self) -> None:
        self._empty.put(None)  # an archive that was refused: nobody will take the rest


class _Gunzip:
    """zlib's decompressor with the names of bz2's."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    def decompress(self, data: bytes, size: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, size)


class _Streams:
    """One or several compressed streams in a file; zeros may follow, anything else may not."""

    def __init__(
        self, file: io.FileIO | _Region, label: str, make: Callable[[], Any], magic: bytes, fault: type[Exception]
    ) -> None:
        self._file = file
        self._label = label
        self._make = make
        self._magic = magic
        self._fault = fault
        self._current = make()

    def fill(self, buffer: memoryview) -> int:
        """Fill some of a buffer; 0 means the end."""
        while True:
            if self._current.eof:
                rest = self._current.unused_data
                if len(rest) < len(self._magic):
                    rest += self._file.read(_READ) or b""
                if not rest.strip(b"\0"):
                    return 0
                if not rest.startswith(self._magic):
                    raise _damaged(self._label, "something follows after its end")
                self._current = self._make()
            else:
                rest = (self._file.read(_READ) or b"") if self._current.needs_input else b""
                if not rest and self._current.needs_input:
                    raise IntegrityError(f"{self._label}: the archive is cut short", remedy="fetch it again")
            try:
                data = self._current.decompress(rest, len(buffer))
            except self._fault as error:
                raise _damaged(self._label, str(error)) from None
            if data:
                buffer[: len(data)] = data
                return len(data)


class _Region:
    """A part of a file, with its own position."""

    def __init__(self, file: io.FileIO, start: int, size: int) -> None:
        self._handle = file.fileno()
        self._position = start
        self._end = start + size

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        left = self._end - self._position
        data = os.pread(self._handle, min(left, size) if size >= 0 else left, self._position)
        self._position += len(data)
        return data


def _damaged(label: str, reason: str) -> IntegrityError:
    return IntegrityError(f"{label}: the archive is damaged: {reason}", remedy="fetch it again, or tell who serves it")
