"""Packing an environment of a project into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hermetic.events import SILENT, Reporter
from hermetic.project.building import fitting_lock, platform_lock
from hermetic.project.project import open_project
from hermetic.project.secret_notes import warn_of_secrets


def pack_environment(
    start: str | None,
    name: str | None,
    output: str | None,
    *,
    compression: str = "gzip",
    locked: bool = False,
    link_scripts: str = "refuse",
    jobs: int | None = None,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Pack an environment, locking it first where the lock is missing or stale; give what was packed as JSON values.

    The file is ``NAME-PLATFORM.sh`` unless ``output`` names it. With ``locked`` a missing or stale lock raises
    DriftError instead. Raises UsageError for an environment of another machine's platform.
    """
    from hermetic.outputs.pack import pack
    from hermetic.store import Store

    project = open_project(start)
    chosen = project.choose(name)
    declaration = project.declaration(chosen)
    lock = fitting_lock(project, declaration, locked=locked, offline=offline, reporter=reporter)
    platform = platform_lock(lock, declaration)
    config = project.config(offline=offline)
    warn_of_secrets(platform, "where it is unpacked, 'conda activate' sets the text as it stands", reporter)
    made = pack(
        platform,
        Path(output or f"{chosen}-{platform.platform}.sh"),
        name=chosen,
        store=Store.open(config.store),
        config=config,
        reporter=reporter,
        offline=offline,
        compression=compression,
        link_scripts=link_scripts,
        jobs=jobs,
    )
    return {
        "name": chosen,
        "file": str(made.file),
        "size": made.size,
        "sha256": made.sha256,
        "files": made.files,
        "platform": platform.platform,
        "key": platform.key(),
        "compression": compression,
    }
