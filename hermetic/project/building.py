"""Building an environment of a project on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hermetic.errors import DriftError, Place, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.lock.file import read_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.platforms import current_platform
from hermetic.project.checking import findings_of
from hermetic.project.locking import lock_declaration
from hermetic.project.memo import hide_state, write_memo
from hermetic.project.noop import question
from hermetic.project.project import Declaration, Project, open_project


def build_environment(
    start: str | None,
    name: str | None,
    *,
    prefix: str | None = None,
    locked: bool = False,
    link_scripts: str = "refuse",
    link_mode: str = "auto",
    jobs: int | None = None,
    force: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Build an environment, locking it first where the lock is missing or stale; give what was built as JSON values.

    With ``locked`` a missing or stale lock raises DriftError instead. ``force`` builds anew what is there already.
    """
    from hermetic.outputs.prefix import build_prefix
    from hermetic.outputs.prefix.state import PROGRAMS, STATE_FILE
    from hermetic.store import Store

    project = open_project(start)
    chosen = project.choose(name)
    declaration = project.declaration(chosen)
    lock = fitting_lock(project, declaration, locked=locked, offline=offline, reporter=reporter)
    platform = platform_lock(lock, declaration)
    target = Path(prefix).absolute() if prefix else project.layout.prefix(chosen)
    config = project.config(offline=offline)
    hide_state(project.layout.root)
    result = build_prefix(
        platform,
        target,
        store=Store.open(config.store),
        config=config,
        reporter=reporter,
        offline=offline,
        link_scripts=link_scripts,
        link_mode=link_mode,
        jobs=jobs,
        force=force,
        own_place=not prefix,
    )
    answer = {
        "name": chosen,
        "prefix": str(target),
        "key": platform.key(),
        "platform": platform.platform,
        "conda": len(platform.conda),
        "wheels": len(platform.wheels),
    }
    files = [*project.layout.chooses, *declaration.files, declaration.lock_path]
    files += [target / STATE_FILE, target, target / PROGRAMS]
    write_memo(
        project.layout.memo("build", name or ""),
        files,
        answer,
        question(name, prefix),
        instant=() if prefix else (chosen, str(target)),
    )
    return {**answer, "changed": result.changed}


def fitting_lock(
    project: Project, declaration: Declaration, *, locked: bool, offline: bool, reporter: Reporter
) -> Lock:
    """Give the lock of what is declared now, made or mended first unless ``locked`` forbids it."""
    findings = findings_of(declaration.spec, declaration.lock_path)
    if not findings:
        lock = read_lock(declaration.lock_path)
        if declaration.spec.platforms or current_platform() in lock.platforms:
            return lock
        # no platform is declared, and the lock was made on another one: this machine's joins it
        platforms = (*lock.platforms, current_platform())
        declaration = replace(declaration, spec=replace(declaration.spec, platforms=platforms))
    if locked:
        what = "; ".join(finding.message for finding in findings) or f"it has no {current_platform()}"
        raise DriftError(
            f"the lock of {declaration.name} does not fit: {what}",
            place=Place(str(declaration.lock_path)),
            remedy="run 'hermetic lock' and commit the lock",
        )
    return lock_declaration(project, declaration, offline=offline, reporter=reporter).lock


def platform_lock(lock: Lock, declaration: Declaration, platform: str | None = None) -> PlatformLock:
    """Give one platform's part of a lock (default: this machine's). Raises UsageError if it has none."""
    wanted = platform or current_platform()
    if wanted not in lock.platforms:
        raise UsageError(
            f"{declaration.name} is locked for {', '.join(lock.platforms)}, not for {wanted}",
            place=Place(str(declaration.lock_path)),
            remedy=f"add {wanted} to its platforms and run 'hermetic lock'",
        )
    return lock.platforms[wanted]
