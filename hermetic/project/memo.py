"""Memos: what lets a no-op end before a lock is parsed or a solver imported.

A memo holds the fingerprints of every file that a result depends on. While they are the same, the result
is. A file's fingerprint is its size and time stamps, believed only when the file is older than the memo
(a file written in the memo's own instant may change without its stamp changing, as git's "racy" entries),
and its content's digest, read when the stamps differ; a folder's content is the names in it. A memo is a hint for
this machine: losing it costs time, and a wrong file in its place is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hermetic.errors import MachineError
from hermetic.files import write_whole
from hermetic.project.instant import STATE, to_text
from hermetic.project.instant import stamp as stamp_of

FORMAT = 3
_SETTLED_NS = 50_000_000  # clocks of file systems tick in up to 10 ms; a stamp this much older than "now" is settled


def hide_state(root: Path) -> None:
    """Keep a project's state folder, which is made if it is not there, out of git: what is built is in no commit.

    A ``.gitignore`` that somebody changed stays as it is.
    """
    ignore = root / STATE / ".gitignore"
    if not ignore.exists():
        with suppress(MachineError):
            write_whole(ignore, "*\n")


def write_memo(
    path: Path,
    files: Iterable[Path],
    result: Mapping[str, Any],
    question: Mapping[str, Any],
    *,
    instant: Sequence[str] = (),
) -> None:
    """Remember ``result`` as the answer to ``question`` while all ``files`` stay as they are now.

    ``instant`` values are left beside the memo for calls that read nothing else (see ``instant``).
    Where the project cannot be written (a read-only checkout, a full disk) nothing is remembered, and that is all.
    """
    entries = [_fingerprint(file) for file in sorted({*map(os.fspath, files)})]
    document = {"format": FORMAT, "question": question, "files": entries, "result": result, "instant": list(instant)}
    with suppress(MachineError):
        write_whole(path, json.dumps(document))
        if instant and (text := to_text([(name, size, mark) for name, size, mark, _ in entries], instant)):
            write_whole(path.with_suffix(".now"), text)


def read_memo(path: Path, question: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the remembered result, or None if there is none or one of its files has changed."""
    try:
        with path.open() as file:
            document = json.load(file)
        if document["format"] != FORMAT or document["question"] != question:
            return None
        stale_stamp = False
        for name, size, stamp, digest in document["files"]:
            now = _stamp_now(name, size)
            if now is None or (now != stamp and not _same_content(name, digest)):
                return None
            stale_stamp = stale_stamp or now != stamp
        result: dict[str, Any] = document["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if stale_stamp:  # touched, not changed: so that the next call need not read it again
        files = [Path(entry[0]) for entry in document["files"]]
        write_memo(path, files, result, question, instant=document.get("instant", ()))
    return result


def _fingerprint(path: str) -> list[Any]:
    """Give [path, size, stamp, digest]; the stamp is 0, never equal, for a file written just now."""
    import time

    try:
        status = os.stat(path)  # noqa: PTH116  as above
    except FileNotFoundError:
        return [path, -1, -1, ""]
    settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS
    return [path, status.st_size, stamp_of(status) if settled else 0, _content(path)]


def _stamp_now(path: str, size: int) -> int | None:
    """Give a file's stamp, or None if its size tells already that it has changed; -1 is the stamp of no file."""
    try:
        status = os.stat(path)  # noqa: PTH116  as above
    except OSError:
        return -1 if size == -1 else None
    return stamp_of(status) if status.st_size == size else None


def _same_content(path: str, digest: str) -> bool:
    return _content(path) == digest


def _content(path: str) -> str:
    """Give what tells whether a file has changed; of a folder, the names in it."""
    from hermetic.digest import quick_file, sha256_bytes

    if os.path.isdir(path):  # noqa: PTH112  as above
        return sha256_bytes("\n".join(sorted(os.listdir(path))).encode(errors="surrogateescape"))  # noqa: PTH208
    return quick_file(path)
