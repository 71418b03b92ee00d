"""What a no-op reads: a few lines that say which files a result stands on, beside the memo that says it in full.

Importing the JSON reader, ``pathlib`` and ``typing`` takes a no-op as long as the interpreter's own start, so this
module, and what it imports, has nothing but ``os``. A file is believed by its stamp only (see ``memo``); where that
has changed, the memo decides.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MANIFEST = "hermetic.toml"
STATE = ".hermetic"
_FORMAT = "hermetic-instant-1"


def memo_file(root: str, kind: str, name: str, ending: str) -> str:
    """Give the path of what is remembered of a kind of call for an environment of the project in ``root``."""
    return f"{root}/{STATE}/memo/{kind}-{name}{ending}"


def find_root(start: str) -> str:
    """Give the folder, ``start`` or above it, that has a manifest; else ``start``, which may have a spec file."""
    folder = start
    while True:
        if os.path.isfile(f"{folder}/{MANIFEST}"):  # noqa: PTH113  no pathlib here
            return folder
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            return start
        folder = above


def stamp(status: os.stat_result) -> int:
    """Give what changes whenever a file is written or replaced."""
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


def to_text(files: Iterable[tuple[str, int, int]], values: Sequence[str]) -> str | None:
    """Give what ``recall`` reads, from [path, size, stamp] of each file; None where it cannot be written in lines."""
    entries = list(files)
    texts = [*values, *(path for path, _, _ in entries)]
    if any(set(text) & {"\n", "\r", "\t"} for text in texts) or any(not mark for _, _, mark in entries):
        return None
    lines = [f"{size}\t{mark}\t{path}" for path, size, mark in entries]
    return "\n".join([_FORMAT, str(len(lines)), *lines, *values]) + "\n"


def recall(path: str) -> list[str] | None:
    """Give the values that were remembered, if every file that they stand on is as it was; else None."""
    try:
        with open(path, encoding="utf-8", newline="\n") as file:  # noqa: PTH123
            form, count, *lines = file.read().removesuffix("\n").split("\n")
        if form != _FORMAT:
            return None
        for line in lines[: int(count)]:
            size, mark, name = line.split("\t", 2)
            try:
                status = os.stat(name)  # noqa: PTH116
            except FileNotFoundError:
                if size != "-1":
                    return None
                continue
            if status.st_size != int(size) or stamp(status) != int(mark):
                return None
        return lines[int(count) :]
    except (OSError, ValueError):
        return None
