"""Locks of curated versions, which come with the package: with a base, once an image was built of one.

That base is pinned by the first build in a workspace, and kept in its artefacts for the next ones, so that the same
version gives the same image. Nothing of it is in the database: curated environments are not registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hermetic.digest import sha256_bytes
from hermetic.events import SILENT, Reporter
from hermetic.lock.file import format_lock, parse_lock, write_lock
from hermetic.workspace.curated.catalogue import curated

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.project.project import Declaration
    from hermetic.project.workplace import Workplace
    from hermetic.store.objects.model import ObjectStore
    from hermetic.workspace.model import EnvironmentVersion


def settle_curated(
    objects: ObjectStore,
    version: EnvironmentVersion,
    project: Workplace,
    declaration: Declaration,
    platforms: Sequence[str],
    *,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> tuple[Lock, str]:
    """Lay the lock of a curated version where its declaration has it, with bases; give it, and its sha256."""
    key = f"locks/curated/{version.name}/{version.version}/{'+'.join(platforms)}.lock.json"
    data = _kept(objects, key)
    if data is None:
        made = _made(version, project, declaration, platforms, offline=offline, reporter=reporter)
        objects.put_bytes(key, format_lock(made).encode())
        data = objects.get_bytes(key)  # another build may have been first
    lock = parse_lock(data, f"the lock of {declaration.name}")
    write_lock(lock, declaration.lock_path)
    return lock, sha256_bytes(data)


def _made(
    version: EnvironmentVersion,
    project: Workplace,
    declaration: Declaration,
    platforms: Sequence[str],
    *,
    offline: bool,
    reporter: Reporter,
) -> Lock:
    from hermetic.lock.file import read_lock
    from hermetic.project.basing import with_bases
    from hermetic.project.locking import lock_declaration
    from hermetic.store import Store

    found = curated(version.name, version.version)
    lock = read_lock(found.lock) if found and found.lock else None
    if lock is None or any(platform not in lock.platforms for platform in platforms):
        asked = replace(declaration, spec=replace(declaration.spec, platforms=tuple(platforms)))
        lock = lock_declaration(project, asked, offline=offline, reporter=reporter).lock
    config = project.config(offline=offline)
    return with_bases(
        lock, declaration, platforms, store=Store.open(config.store), config=config, offline=offline, reporter=reporter
    )


def _kept(objects: ObjectStore, key: str) -> bytes | None:
    from hermetic.store.objects.model import MissingObjectError

    try:
        return objects.get_bytes(key)
    except MissingObjectError:
        return None
