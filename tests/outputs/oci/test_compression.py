"""Members: they can stand one after the other, other programs read them, and their bytes never change."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.compression import BLOCK, closing, compressor, expanded, fingerprint
from hermetic.outputs.oci.tar import END

KINDS = ("gzip", "zstd", "none")
NOISE = hashlib.shake_256(b"cut").hexdigest(2_500_000).encode()


def member(data: bytes, compression: str = "gzip", level: int | None = None) -> bytes:
    writer = compressor(compression, level)
    made = [writer.compress(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)]
    return b"".join(made) + writer.flush()


def unpack(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.decompress(data)
    if compression == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    return data


@pytest.mark.parametrize("compression", KINDS)
@given(st.lists(st.binary(max_size=3000), max_size=4), st.integers(1, 700))
def test_members_follow_each_other(compression: str, parts: list[bytes], step: int) -> None:
    packed = b"".join(member(part, compression) for part in parts) + closing(compression)
    wanted = b"".join(parts) + END
    assert unpack(packed, compression) == wanted
    pieces = (packed[at : at + step] for at in range(0, len(packed), step))
    assert b"".join(expanded(compression, pieces)) == wanted


@pytest.mark.parametrize("level", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("size", [0, 1, 1000, 40_000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77])
def test_every_level_and_length_comes_back(level: int, size: int) -> None:
    data = (hashlib.shake_256(b"x").digest(5000) * (size // 5000 + 1))[:size]
    packed = member(data, level=level)
    assert gzip.decompress(packed) == data
    assert packed[:8] == b"\x1f\x8b\x08" + bytes(5), "no flags, no time"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_damage_is_told(compression: str) -> None:
    packed = member(os.urandom(5000), compression)
    for damaged in (packed[:-5], packed[:20], bytes(50)):
        with pytest.raises(IntegrityError):
            list(expanded(compression, [damaged]))


MEMBERS = """
import hashlib, sys, threading
from hermetic.outputs.oci.compression import BLOCK, closing, compressor, fingerprint
noise = hashlib.shake_256(b"noise").digest(300_000)
texts = [bytes(512) * n + noise[: n * 97].hex().encode() * 3 + bytes(n) for n in range(1, 60)] + [noise * 7]
def run(found):
    digest = hashlib.sha256(closing("gzip"))
    for text in texts:
        member = compressor("gzip")
        for at in range(0, len(text), BLOCK):
            digest.update(member.compress(text[at : at + BLOCK]))
        digest.update(member.flush())
    found.add(digest.hexdigest())
found = set()
threads = [threading.Thread(target=run, args=(found,)) for _ in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
print(fingerprint("gzip"), *found)
"""


def test_neither_threads_nor_what_memory_held_before_change_a_byte() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", MEMBERS],
            env={**os.environ, "MALLOC_PERTURB_": str(perturb), "MALLOC_MMAP_THRESHOLD_": str(1 << 28)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for perturb in (0, 1, 77, 170, 255)
    }
    assert len(said) == 1
    assert len(said.pop().split()) == 2, "one fingerprint, and one digest of all threads"


def test_a_short_member_never_ends_a_stream_of_igzip() -> None:
    """Its hash table's size would be an undefined value: the bytes changed now and then."""
    from isal import isal_zlib

    calls: list[object] = []
    made = isal_zlib.compressobj

    def watched(*arguments: object) -> object:
        calls.append(arguments)
        return made(*arguments)  # type: ignore[arg-type]

    isal_zlib.compressobj = watched  # type: ignore[assignment]
    try:
        member(bytes(BLOCK))
        assert not calls
        member(bytes(BLOCK + 1))
        assert calls
    finally:
        isal_zlib.compressobj = made  # type: ignore[assignment]


@pytest.mark.parametrize(("compression", "level"), [("gzip", 1), ("gzip", 2), ("gzip", 6), ("zstd", 3), ("none", 0)])
@settings(max_examples=20)
@given(st.lists(st.integers(0, 700_000), max_size=7))
def test_how_bytes_are_cut_does_not_show(compression: str, level: int, cuts: list[int]) -> None:
    data = NOISE[: sum(cuts)]
    writer, made, at = compressor(compression, level), b"", 0
    for cut in cuts:
        made += writer.compress(memoryview(data)[at : at + cut])
        at += cut
    assert made + writer.flush() == member(data, compression, level)


def test_fingerprints_tell_compressors_apart() -> None:
    kinds = [("gzip", None), ("gzip", 2), ("gzip", 6), ("zstd", None), ("none", None)]
    assert len({fingerprint(*kind) for kind in kinds}) == len(kinds)
    assert fingerprint("gzip") == fingerprint("gzip", None)
