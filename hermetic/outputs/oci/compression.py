"""Compressed members of layers: streams that may stand one after the other, the same bytes on every machine.

The compressors get blocks of one size, because where one ends shows in what igzip makes of it. igzip's levels 1 and 2
give the same bytes on all processors with SSE 4.2 (2008); its level 3 does not, so it is not offered. What is left of
a processor's or a library's influence is in ``fingerprint``, and so in the keys: it can cost time, never sameness.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Protocol

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError
from hermetic.outputs.oci.model import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD
from hermetic.outputs.oci.options import GZIP, NONE, ZSTD, ImageOptions
from hermetic.outputs.oci.tar import END

BLOCK = 1 << 20
"""How many bytes a compressor gets at a time, but for the last time."""

MEDIA_TYPES = {GZIP: LAYER_GZIP, ZSTD: LAYER_ZSTD, NONE: LAYER_TAR}
_FAST = {GZIP: 1, ZSTD: 3, NONE: 0}
_IGZIP = 2
_EMPTY = b"\x1f\x8b\x08" + bytes(6) + b"\xff\x03" + bytes(9)  # a gzip member of nothing
_GZIP_FORMAT = 31  # zlib's number for a gzip header and the largest window


class Compressor(Protocol):
    """Compresses one member."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """Take a block; give what is ready."""

    def flush(self) -> bytes:
        """Give the rest."""


class _Plain:
    def compress(self, data: bytes | memoryview, /) -> bytes:
        return bytes(data)

    def flush(self) -> bytes:
        return b""


class _InBlocks:
    """Hands another compressor whole blocks, but for the last one, however the bytes come.

    A member of one block is made in one call by ``whole``. igzip needs that: the size of its hash table is undefined
    when a stream ends whose bytes it has only collected till then, so a short member came out one way a hundred times,
    and another way the next time. A longer member begins with a whole block, which leaves nothing undefined.
    """

    def __init__(self, begin: Callable[[], Compressor], whole: Callable[[bytes], bytes]) -> None:
        self._begin, self._whole = begin, whole
        self._first: bytes | None = None
        self._stream: Compressor | None = None
        self._waiting = bytearray()

    def compress(self, data: bytes | memoryview, /) -> bytes:
        if len(data) == BLOCK and not self._waiting:
            return self._block(data)
        self._waiting += data
        made = []
        while len(self._waiting) >= BLOCK:
            made.append(self._block(bytes(self._waiting[:BLOCK])))
            del self._waiting[:BLOCK]
        return b"".join(made)

    def flush(self) -> bytes:
        rest = bytes(self._waiting)
        if self._stream is None and (self._first is None or not rest):
            return self._whole(self._first or rest)
        made = self._block(rest) if rest else b""
        assert self._stream
        return made + self._stream.flush()

    def _block(self, block: bytes | memoryview) -> bytes:
        if self._stream is None and self._first is None:
            self._first = bytes(block)
            return b""
        made = b""
        if self._stream is None:
            self._stream = self._begin()
            made, self._first = self._stream.compress(self._first or b""), b""
        return made + self._stream.compress(block)


def compressor(compression: str, level: int | None = None) -> Compressor:
    """Begin a member. Its header has no time and no name, and how it is given its bytes does not show."""
    level = _FAST[compression] if level is None else level
    if compression == GZIP:
        return _igzip(level) if level <= _IGZIP else _zlib(level)
    return _zstd(level) if compression == ZSTD else _Plain()


def _igzip(level: int) -> Compressor:
    from isal import igzip_lib, isal_zlib

    def whole(data: bytes) -> bytes:
        return igzip_lib.compress(data, level, flag=igzip_lib.COMP_GZIP) if data else _EMPTY

    return _InBlocks(lambda: isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP_FORMAT), whole)


def _zlib(level: int) -> Compressor:
    import zlib

    return _InBlocks(
        lambda: zlib.compressobj(level, zlib.DEFLATED, _GZIP_FORMAT),
        lambda data: zlib.compress(data, level, _GZIP_FORMAT),
    )


def _zstd(level: int) -> Compressor:
    import zstandard

    maker = zstandard.ZstdCompressor(level=level, threads=0)
    return _InBlocks(maker.compressobj, maker.compress)


@cache
def closing(compression: str) -> bytes:
    """Give the member that closes a layer: the end of its archive."""
    member = compressor(compression)
    return member.compress(END) + member.flush()


@cache
def fingerprint(compression: str, level: int | None = None) -> str:
    """Give a digest of what a compressor makes of some bytes: libraries and processors that differ show in it."""
    noise = hashlib.shake_256(b"hermetic").hexdigest(24_000).encode()
    sample = noise + bytes(3000) + noise[::-1] + b"".join(noise[at : at + 40] + b"\n" for at in range(0, 20_000, 7))
    member = compressor(compression, level)
    return sha256_bytes(member.compress(sample) + member.flush())


def archive_form(options: ImageOptions) -> list[str | int]:
    """Give, for keys, how archives are written: compression, level (-1: the fast one), time, and what libraries do."""
    level = -1 if options.level is None else options.level
    return [options.compression, level, options.time, fingerprint(options.compression, options.level)]


def expanded(compression: str, packed: Iterable[bytes]) -> Iterator[bytes]:
    """Give the content of members, in pieces. Raises IntegrityError for some that are damaged."""
    if compression == NONE:
        yield from packed
        return
    member = _decompressor(compression)
    begun = False
    for piece in packed:
        rest = piece
        while rest:
            if member.eof:
                member = _decompressor(compression)
            begun = True
            try:
                content = member.decompress(rest)
            except Exception as error:  # each library has its own
                raise _damaged(str(error)) from error
            if content:
                yield content
            rest = member.unused_data if member.eof else b""
    if begun and not member.eof:
        raise _damaged("it is cut short")


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(
        f"a fragment of a layer is damaged: {why}",
        remedy="check the store with 'hermetic store verify', then build again",
    )


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _decompressor(compression: str) -> _Decompressor:
    if compression == GZIP:
        from isal import isal_zlib

        return isal_zlib.decompressobj(_GZIP_FORMAT)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()
