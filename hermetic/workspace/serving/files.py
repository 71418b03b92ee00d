"""Opening an object's file without ever leaving the folder, and what an answer says about it."""

from __future__ import annotations

import os
import re
import stat
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_CONTENT = re.compile(r"wheels/([0-9a-f]{64})/[^/]+\Z|locks/([0-9a-f]{64})\.lock\.json\Z")
"""Keys that name their content: what such a key leads to never changes."""
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_KINDS = {".json": b"application/json", ".whl": b"application/zip"}

Headers = list[tuple[bytes, bytes]]


def open_object(folder: Path, object_key: str) -> BinaryIO | None:
    """Open an object's file for reading; None if there is no plain file of that name.

    Each folder is opened in the one before and no symbolic link is followed, so that neither a link nor a folder that
    is exchanged meanwhile leads out. Pipes and devices are not waited for.
    """
    *folders, name = object_key.split("/")
    handle = -1
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # the folder itself may be a link
        for step in folders:
            inner = os.open(step, _FLAGS | os.O_DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = inner
        found = os.open(name, _FLAGS | os.O_NONBLOCK, dir_fd=handle)
    except OSError:
        return None
    finally:
        if handle >= 0:
            os.close(handle)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        return None
    with suppress(OSError, AttributeError):
        os.posix_fadvise(found, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return os.fdopen(found, "rb", buffering=0)


def entity_tag(object_key: str, found: os.stat_result) -> bytes:
    """Give a file's strong entity tag: its digest, where its key holds one, else what changes when it is replaced."""
    if digest := _digest(object_key):
        return f'"{digest}"'.encode()
    return b'"%x-%x-%x"' % (found.st_ino, found.st_mtime_ns, found.st_size)


def file_headers(object_key: str, left: float) -> Headers:
    """Give the headers that tell what a file is, and how long it may be kept: no longer than its URL is good.

    ``private``: a proxy that kept it would give it to whoever comes without a signature. The digest is that under which
    the object was stored (``Repr-Digest``, RFC 9530), so that a client notices what a disk did to it.
    """
    name = object_key.rpartition("/")[2]
    dot = name.rfind(".")
    headers = [
        (b"content-type", _KINDS.get(name[dot:], b"application/octet-stream")),
        (b"content-disposition", b'attachment; filename="%s"' % name.encode()),
        (b"accept-ranges", b"bytes"),
    ]
    if digest := _digest(object_key):
        headers.append((b"repr-digest", b"sha-256=:%s:" % b64encode(bytes.fromhex(digest))))
        headers.append((b"cache-control", b"private, max-age=%d, immutable" % max(0, int(left))))
    else:
        headers.append((b"cache-control", b"private, no-cache"))
    return headers


def _digest(object_key: str) -> str:
    found = _CONTENT.match(object_key)
    return (found[1] or found[2]) if found else ""
