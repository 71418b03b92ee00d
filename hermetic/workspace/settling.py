"""The lock that a version is built from: the kept one, made first where there is none, or grown by what it lacks.

It is laid into a file, because the rooms that lock and build work with one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hermetic.events import SILENT, Reporter
from hermetic.lock.file import write_lock
from hermetic.workspace.kept_locks import keep_lock, kept_lock

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.project.project import Declaration, Project
    from hermetic.workspace.environments import Environments
    from hermetic.workspace.model import EnvironmentVersion


def settle_lock(
    environments: Environments,
    version: EnvironmentVersion,
    project: Project,
    declaration: Declaration,
    platforms: Sequence[str],
    *,
    images: Sequence[str] = (),
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> tuple[Lock, str]:
    """Lay a version's lock where its declaration has it; give it with the sha256 of its file.

    It holds ``platforms``, and bases for those in ``images``. What it lacks is made and kept; whatever another process
    has kept meanwhile is taken. A first lock keeps the pins of the version before, where they fit. Raises what locking
    raises.
    """
    from hermetic.project.basing import with_bases
    from hermetic.project.locking import lock_declaration
    from hermetic.store import Store

    name, number = version.name, version.version
    kept, digest = kept_lock(environments, name, number)
    if kept is not None:
        reporter.say(f"{declaration.name}: its lock is kept, and used: sha256 {digest}")
    while True:
        lock = kept
        if lock is None or not all(platform in lock.platforms for platform in platforms):
            model = kept or _lock_before(environments, name, number)
            if model is not None:
                write_lock(model, declaration.lock_path)
            asked = _for(declaration, [*platforms, *(kept.platforms if kept else declaration.spec.platforms)])
            lock = lock_declaration(project, asked, offline=offline, reporter=reporter).lock
            if kept is None:  # a base is not taken over: it may be another now
                lock = replace(lock, platforms={key: replace(item, image=None) for key, item in lock.platforms.items()})
        if images:
            config = project.config(offline=offline)
            lock = with_bases(
                lock, declaration, images, store=Store.open(config.store), config=config, offline=offline,
                reporter=reporter,
            )  # fmt: skip
        before = digest
        if kept is None or lock != kept:
            kept, digest = keep_lock(environments, name, number, lock)
        if digest == before:  # it has all, or what it has cannot be changed any more
            write_lock(kept, declaration.lock_path)
            return kept, digest
        reporter.say(f"{declaration.name}: its lock is kept from now on: sha256 {digest}")


def _lock_before(environments: Environments, name: str, version: int) -> Lock | None:
    """Give the lock of the nearest version before that has one: its pins are preferred, so that little moves."""
    for found in sorted(environments.versions(name), key=lambda item: item.version, reverse=True):
        if found.version < version and found.lock:
            return kept_lock(environments, name, found.version)[0]
    return None


def _for(declaration: Declaration, platforms: Iterable[str]) -> Declaration:
    return replace(declaration, spec=replace(declaration.spec, platforms=tuple(sorted(set(platforms)))))
