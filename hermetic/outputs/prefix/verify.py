"""Prove a prefix against its lock, file by file.

What has to be there comes from the lock, never from the prefix: the manifest that the store kept when it built
this environment for this path, or else one made by building it again, beside, for the same path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import sha256_bytes, sha256_file
from hermetic.errors import UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.build import checked_prefix, make, manifest_key
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.manifest import read_manifest
from hermetic.outputs.prefix.order import LINK_SCRIPTS, Order
from hermetic.outputs.prefix.state import STATE_FILE, is_prefix, read_state
from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store

CHANGED, ADDED, LOST, MODE, TARGET, KIND = "changed", "added", "lost", "mode", "target", "kind"
_LONG = 1 << 20
"""Files longer than this, in bytes, are hashed one per task, so that threads share the work evenly."""


@dataclass(frozen=True, order=True)
class Finding:
    """One difference between a prefix and its lock: ``kind`` of it, the path, and a few words."""

    path: str
    kind: str
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the finding as JSON values."""
        return asdict(self)


def verify_prefix(
    prefix: Path,
    lock: PlatformLock,
    *,
    store: Store,
    config: Config,
    reporter: Reporter = SILENT,
    offline: bool = False,
    addresses: Mapping[str, str] | None = None,
    jobs: int | None = None,
) -> tuple[Finding, ...]:
    """Compare every file of a prefix with what its lock says; nothing found means that the prefix is proved.

    Times are not compared. Raises UsageError for a folder that hermetic did not build.
    """
    prefix = checked_prefix(prefix)
    if not prefix.is_dir() or not is_prefix(prefix):
        raise UsageError(
            f"{prefix} is no environment that hermetic built", remedy="build it with 'hermetic build', then verify it"
        )
    stated = read_state(prefix)
    scripts = stated.link_scripts if stated and stated.link_scripts in LINK_SCRIPTS else "refuse"
    order = Order(lock, prefix, store, config, reporter, offline, scripts, "auto", addresses or {}, jobs)
    entries = _manifest(order)
    with task(reporter, "verify", "verifying", len(entries), "files"):
        findings = list(_compare(prefix, entries, reporter))
    wanted = order.state()
    if (prefix / STATE_FILE).read_text(encoding="utf-8", errors="replace") != wanted.to_text():
        detail = "hermetic's own note was edited"
        if stated and stated.key != wanted.key:
            detail = "it was built from another lock"
        elif stated and stated.prefix != wanted.prefix:
            detail = f"it was built for {stated.prefix}"
        findings.append(Finding(STATE_FILE, CHANGED, detail))
    return tuple(sorted(findings))


def _manifest(order: Order) -> tuple[FileEntry, ...]:
    """Give what has to be in a prefix: as the store knows it, else by building it again."""
    store = order.store
    digest = (store.get_result(manifest_key(order.state())) or {}).get("manifest", "")
    if digest and store.has_blob(digest):
        data = store.blob_path(digest).read_bytes()
        if sha256_bytes(data) == digest:
            return read_manifest(data)
    with store.staging() as folder:
        digest, _ = make(order, obtain(order), folder)
    return read_manifest(store.blob_path(digest).read_bytes())


def _compare(prefix: Path, entries: Iterable[FileEntry], reporter: Reporter) -> Iterable[Finding]:
    expected = {entry.path: entry for entry in entries}
    found = _scan(prefix)
    found.pop(STATE_FILE, None)
    for path in sorted(found.keys() - expected.keys()):
        parent = path.rpartition("/")[0]
        if parent not in found or parent in expected or not parent:  # a new folder is named once, not file by file
            yield Finding(path, ADDED, "a folder" if stat.S_ISDIR(found[path].st_mode) else "")
    for path in sorted(expected.keys() - found.keys()):
        if path.rpartition("/")[0] in found or "/" not in path:  # likewise a lost one
            yield Finding(path, LOST, "a folder" if expected[path].kind == FOLDER else "")
    hashed: list[FileEntry] = []
    for path in sorted(expected.keys() & found.keys()):
        entry, status = expected[path], found[path]
        kind = _kind(status)
        if kind != entry.kind:
            yield Finding(path, KIND, f"{kind} in place of {entry.kind}")
            continue
        if kind == LINK:
            target = os.readlink(prefix / path)  # noqa: PTH115
            if target != entry.target:
                yield Finding(path, TARGET, f"points to {target}, not {entry.target}")
            continue
        if stat.S_IMODE(status.st_mode) != entry.mode:
            yield Finding(path, MODE, f"{stat.S_IMODE(status.st_mode):04o}, not {entry.mode:04o}")
        if kind == FILE and status.st_size != entry.size:
            yield Finding(path, CHANGED, f"{status.st_size} bytes, not {entry.size}")
        elif kind == FILE:
            hashed.append(entry)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for entry, digest in zip(hashed, pool.map(lambda e: sha256_file(prefix / e.path), hashed), strict=True):
            reporter.advance("verify")
            if digest != entry.sha256:
                yield Finding(entry.path, CHANGED, "other content of the same size")


def _scan(prefix: Path) -> dict[str, os.stat_result]:
    found: dict[str, os.stat_result] = {}
    todo = [(os.fspath(prefix), "")]
    while todo:
        folder, base = todo.pop()
        with os.scandir(folder) as items:
            for item in items:
                relative = base + item.name
                found[relative] = item.stat(follow_symlinks=False)
                if item.is_dir(follow_symlinks=False):
                    todo.append((item.path, relative + "/"))
    return found


def _kind(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return LINK
    if stat.S_ISDIR(status.st_mode):
        return FOLDER
    return FILE if stat.S_ISREG(status.st_mode) else "special file"
