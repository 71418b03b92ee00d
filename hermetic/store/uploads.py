"""Uploads under way: small locked notes that outlive the process, so that the next one can go on with an upload."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hermetic.store.flock import is_at, try_lock

if TYPE_CHECKING:
    from hermetic.store.store import Store

FOLDER = "uploads"


class UploadNote:
    """What is known of one upload, held by this thread alone; empty, and forgetful, if somebody else holds it.

    It may name an address that lets its reader write, so that nobody but the store's owner can read it.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._path = store.root / FOLDER / key
        self._handle = -1

    def __enter__(self) -> Self:
        with suppress(OSError):  # a note is a help, never a need
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            if try_lock(handle) and is_at(handle, self._path):
                self._handle = handle
            else:
                os.close(handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handle < 0:
            return
        with suppress(OSError):
            if os.fstat(self._handle).st_size == 0:  # only while it is locked
                self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = -1

    def read(self) -> dict[str, Any]:
        """Give what was written, or nothing."""
        if self._handle < 0:
            return {}
        try:
            found = json.loads(os.pread(self._handle, 1 << 16, 0))
        except (OSError, ValueError):  # one that a power cut left half-written
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, value: Mapping[str, Any]) -> None:
        """Write it down in place of what was there."""
        if self._handle < 0:
            return
        with suppress(OSError):
            data = json.dumps(dict(value)).encode()
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, data, 0)

    def clear(self) -> None:
        """Forget it."""
        if self._handle >= 0:
            with suppress(OSError):
                os.ftruncate(self._handle, 0)


def forget_upload(store: Store, key: str) -> None:
    """Take a note away whose upload is over, unless somebody is at it."""
    if (store.root / FOLDER / key).exists():
        with UploadNote(store, key) as note:
            note.clear()
