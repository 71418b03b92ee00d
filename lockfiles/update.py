"""Lock the curated environments that have no lock yet.

    python lockfiles/update.py [NAME.VERSION ...]

A version that is named is locked again, with what the channel has now: only for one that was never released, because
its lock is a part of what it is. The channel is the one that hermetic is configured for (HERMETIC_CHANNELS).
"""  # noqa: INP001  a folder of data

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hermetic import Environment
from hermetic.workspace.curated.catalogue import LOCKS, Curated, catalogue, curated_versions

PLATFORMS = ("linux-64",)
HERE = Path(__file__).parent


def environment(item: Curated) -> Environment:
    """Give a curated environment as an Environment."""
    with TemporaryDirectory() as folder:
        for name, text in item.files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        return Environment.load_from_directory(folder)


def main(again: list[str]) -> None:
    """Lock what has no lock, and what is named."""
    items = [item for name in catalogue() for item in curated_versions(name) if not item.same_as]
    if unknown := set(again) - {f"{item.name}.{item.version}" for item in items}:
        sys.exit(f"there is no {', '.join(sorted(unknown))} in the catalogue")
    for item in items:
        stem = f"{item.name}.{item.version}"
        path = LOCKS / f"{stem}.lock.json"
        if item.lock is None or stem in again:
            environment(item).lock(path, platforms=PLATFORMS, update=["*"])
            link = HERE / path.name
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(path, HERE))
            print(f"locked {stem}")


if __name__ == "__main__":
    main(sys.argv[1:])
