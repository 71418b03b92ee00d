"""Reading blobs: from memory, from the store, or from the parts of the store that they are made of."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from hermetic.outputs.oci.model import Blob

if TYPE_CHECKING:
    from hermetic.store import Store


def open_blob(store: Store, blob: Blob) -> BinaryIO:
    """Open a blob for reading: seekable, in constant memory. Raises FileNotFoundError for parts that are gone."""
    if not blob.parts:
        return io.BytesIO(blob.data)
    return cast("BinaryIO", io.BufferedReader(_Parts(store, blob.parts), 1 << 18))


def chunks(store: Store, blob: Blob, size: int = 1 << 20, start: int = 0) -> Iterator[bytes]:
    """Give a blob's bytes from ``start`` on, in pieces of ``size`` bytes but for the last one."""
    with open_blob(store, blob) as file:
        file.seek(start)
        while piece := file.read(size):
            yield piece


class _Parts(io.RawIOBase):
    """Files of the store, read one after the other as if they were one."""

    def __init__(self, store: Store, parts: tuple[str, ...]) -> None:
        super().__init__()
        self._paths = [store.blob_path(part) for part in parts]
        self._ends: list[int] = []
        for path in self._paths:
            self._ends.append((self._ends[-1] if self._ends else 0) + path.stat().st_size)
        self._at = 0
        self._open: tuple[int, int] | None = None  # the number of a part, and its handle

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ends[-1]}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: object, /) -> int:
        from bisect import bisect_right

        number = bisect_right(self._ends, self._at)
        if number == len(self._ends):
            return 0
        begin = self._ends[number - 1] if number else 0
        count = os.preadv(self._handle(number), [buffer], self._at - begin)  # type: ignore[list-item]
        self._at += count
        return count

    def close(self) -> None:
        if self._open:
            os.close(self._open[1])
            self._open = None
        super().close()

    def _handle(self, number: int) -> int:
        if self._open is None or self._open[0] != number:
            if self._open:
                os.close(self._open[1])
                self._open = None
            self._open = (number, os.open(self._paths[number], os.O_RDONLY | os.O_CLOEXEC))
        return self._open[1]
