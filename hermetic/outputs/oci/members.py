"""Writing members: tar entries on their way into a compressed blob of the store, hashed on the way.

Memory holds one block, whatever is written. Hashing and compressing let other threads run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.compression import BLOCK, closing, compressor
from hermetic.outputs.oci.tar import END, header, padding
from hermetic.plan.files import FILE, FileEntry
from hermetic.store.faults import machine_faults
from hermetic.store.intake import write_all

if TYPE_CHECKING:
    from hermetic.store import Store

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Member:
    """A compressed member in the store.

    ``blob`` is its sha256, ``size`` counts its bytes and ``tar_size`` those of its tar entries. ``layer_digest`` and
    ``diff_id`` (hex digits) are those of the layer that it is with nothing but the closing member after it; they are
    empty where it was written as a part of another layer.
    """

    blob: str
    size: int
    tar_size: int
    layer_digest: str
    diff_id: str

    def to_dict(self) -> dict[str, Any]:
        """Give the member as JSON values."""
        return dict(vars(self))


class LayerHash:
    """The digests of a layer while its members are written, one after the other."""

    def __init__(self, compression: str) -> None:
        self.content, self.packed = hashlib.sha256(), hashlib.sha256()
        self._closing = closing(compression)

    def close(self) -> tuple[str, str]:
        """Close the layer; give its digest and its diff ID, in hex digits."""
        self.packed.update(self._closing)
        self.content.update(END)
        return self.packed.hexdigest(), self.content.hexdigest()


class MemberWriter:
    """Writes one member. A context manager: what was begun and not finished leaves nothing."""

    def __init__(
        self, store: Store, compression: str, level: int | None, time: int, *, layer: LayerHash | None = None
    ) -> None:
        """Begin a member; ``layer`` is that of the layer that it is a part of (None: one of its own)."""
        self._store = store
        self._alone = layer is None
        self._layer = layer or LayerHash(compression)
        self._compressor = compressor(compression, level)
        self._time = time
        self._buffer = memoryview(bytearray(BLOCK))
        self._filled = 0
        self._tar_size = self._size = 0
        self._blob = hashlib.sha256()
        self._path: Path = store.temporary()
        self._handle = -1

    def __enter__(self) -> Self:
        with machine_faults("store a layer", self._store.root):
            self._handle = os.open(self._path, _WRITE, 0o600)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._path.unlink(missing_ok=True)

    def begin(self, entry: FileEntry, path: str) -> None:
        """Begin an entry; for a file exactly its bytes have to follow, then ``end``."""
        self.write(header(entry, path, self._time))

    def write(self, data: bytes | memoryview) -> None:
        """Write some bytes."""
        rest = memoryview(data)
        while rest:
            count = min(len(rest), BLOCK - self._filled)
            self._buffer[self._filled : self._filled + count] = rest[:count]
            rest = rest[count:]
            self._advance(count)

    def write_file(self, path: str, size: int) -> None:
        """Write a file's ``size`` bytes. Raises IntegrityError if it has another size."""
        handle = os.open(path, _READ)
        try:
            left = size
            while left:
                count = os.readv(handle, [self._buffer[self._filled : self._filled + left]])
                if not count:
                    break
                left -= count
                self._advance(count)
            if left or os.fstat(handle).st_size != size:
                raise IntegrityError(
                    f"{path} has not the {size} bytes that it was unpacked with",
                    remedy="somebody changed the store: check it with 'hermetic store verify', then build again",
                )
        finally:
            os.close(handle)

    def end(self, entry: FileEntry) -> None:
        """End an entry."""
        if entry.kind == FILE and entry.size % 512:
            self.write(padding(entry.size))

    def finish(self) -> Member:
        """End the member, and put it into the store."""
        with machine_faults("store a layer", self._store.root):
            self._flush()
            self._put(self._compressor.flush())
            os.close(self._handle)
            self._handle = -1
            blob = self._blob.hexdigest()
            self._store.adopt(self._path, blob)
        return Member(blob, self._size, self._tar_size, *(self._layer.close() if self._alone else ("", "")))

    def _advance(self, count: int) -> None:
        self._filled += count
        if self._filled == BLOCK:
            self._flush()

    def _flush(self) -> None:
        block = self._buffer[: self._filled]
        self._layer.content.update(block)
        self._tar_size += len(block)
        self._filled = 0
        self._put(self._compressor.compress(block))

    def _put(self, packed: bytes) -> None:
        if packed:
            self._blob.update(packed)
            self._layer.packed.update(packed)
            self._size += len(packed)
            with machine_faults("store a layer", self._store.root, needed=len(packed)):
                write_all(self._handle, memoryview(packed))


def folders(paths: Iterable[str]) -> list[str]:
    """Give all folders above some paths, once each."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return sorted(found)
