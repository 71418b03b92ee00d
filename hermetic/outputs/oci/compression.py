"""Compressed members of layers: streams that may stand one after the other, the same bytes on every machine.

The compressors get blocks of one size, because where one ends shows in what igzip makes of it. igzip's levels 1 and 2
give the same bytes on all processors with SSE 4.2 (2008); its level 3 does not, so it is not offered. What is left of
a processor's or a library's influence is in ``fingerprint``, and so in the keys: it can cost time, never sameness.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError
from hermetic.outputs.oci.model import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD
from hermetic.outputs.oci.options import GZIP, NONE, ZSTD
from hermetic.outputs.oci.tar import END

BLOCK = 1 << 20
"""How many bytes a compressor gets at a time, but for the last time."""

MEDIA_TYPES = {GZIP: LAYER_GZIP, ZSTD: LAYER_ZSTD, NONE: LAYER_TAR}
_FAST = {GZIP: 1, ZSTD: 3, NONE: 0}
_IGZIP = 2
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


def compressor(compression: str, level: int | None = None) -> Compressor:
    """Begin a member. Its header has no time and no name."""
    level = _FAST[compression] if level is None else level
    if compression == GZIP:
        if level <= _IGZIP:
            from isal import isal_zlib

            return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP_FORMAT)
        import zlib

        return zlib.compressobj(level, zlib.DEFLATED, _GZIP_FORMAT)
    if compression == ZSTD:
        import zstandard

        return zstandard.ZstdCompressor(level=level, threads=0).compressobj()
    return _Plain()


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
    made = member.compress(sample[:BLOCK])
    return sha256_bytes(made + member.flush())


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
