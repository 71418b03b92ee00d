"""Digests and canonical bytes: the only place that hashes.

sha256 is identity and trust: it names blobs, keys and locked artefacts. xxh3 only tells quickly whether
a file changed on this machine; it never leaves the machine and nothing is trusted because of it.

Canonical JSON follows the spirit of RFC 8785 for the values that we use (no floats): UTF-8, keys sorted
by code point, no white space.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
"""Bytes read at a time when a file is hashed; larger gains nothing, smaller costs calls."""

_AMBIGUOUS = "canonical JSON holds null, booleans, integers, strings, lists and objects with string keys"


def canonical_json(value: Any) -> bytes:
    """Serialise a JSON value to its one canonical form.

    Raises TypeError for floats, sets and non-string keys, because their text is not unique.
    """
    _refuse_ambiguous(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _refuse_ambiguous(value: Any) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, dict | Mapping):  # the concrete types first: asking an ABC costs a no-op milliseconds
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(_AMBIGUOUS)
            if type(item) is not str:
                _refuse_ambiguous(item)
        return
    if isinstance(value, list | tuple | Sequence) and not isinstance(value, bytes | bytearray):
        for item in value:
            if type(item) is not str:
                _refuse_ambiguous(item)
        return
    raise TypeError(_AMBIGUOUS)


def pretty_json(value: Any) -> str:
    """Serialise a JSON value as files hold it: sorted keys, two spaces, final newline."""
    _refuse_ambiguous(value)
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def sha256_bytes(data: bytes) -> str:
    """Give the sha256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path | str) -> str:
    """Give the sha256 of a file's content as 64 lower-case hex digits, in constant memory."""
    with Path(path).open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key(kind: str, value: Any) -> str:
    """Give the key of an output: sha256 over its kind (a domain, with a format version) and its canonical inputs."""
    return hashlib.sha256(kind.encode() + b"\0" + canonical_json(value)).hexdigest()


def quick_file(path: Path | str) -> str:
    """Give the xxh3-128 of a file's content: "did this file change", never identity or trust."""
    import xxhash

    hasher = xxhash.xxh3_128()
    with Path(path).open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
