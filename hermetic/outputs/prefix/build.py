"""Build a prefix: everything is made beside it, from checked bytes, and put in its place in one step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.digest import key
from hermetic.errors import UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.assemble import Assembly, assemble
from hermetic.outputs.prefix.fetching import fetch_packages
from hermetic.outputs.prefix.links import Linker
from hermetic.outputs.prefix.manifest import manifest_bytes, settle_prefix
from hermetic.outputs.prefix.state import STATE_FILE, State, read_state
from hermetic.outputs.prefix.swap import put_in_place, refuse_foreign, staging_for
from hermetic.platforms import current_platform
from hermetic.realize.conda_tree import conda_tree
from hermetic.realize.faults import machine_fault
from hermetic.realize.trees import Tree, settle
from hermetic.realize.wheel_tree import wheel_tree

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store

LINK_SCRIPTS = ("refuse", "skip", "run")


@dataclass(frozen=True)
class BuildResult:
    """What a build came to. ``changed`` is False if there was nothing to do."""

    prefix: Path
    key: str
    changed: bool
    warnings: tuple[str, ...] = ()


def build_prefix(
    lock: PlatformLock,
    prefix: Path,
    *,
    store: Store,
    config: Config,
    reporter: Reporter = SILENT,
    offline: bool = False,
    link_scripts: str = "refuse",
    link_mode: str = "auto",
    addresses: Mapping[str, str] | None = None,
    jobs: int | None = None,
    foreign: bool = False,
) -> BuildResult:
    """Build the environment of a lock at ``prefix``; what was built there before is replaced in one step.

    ``link_scripts``: ``refuse`` packages that have some, ``skip`` them with a warning, or ``run`` them in a sandbox.
    ``link_mode``: see ``Linker``. ``addresses`` maps digests to addresses known beforehand. ``foreign`` allows a
    platform that is not this machine's; nothing of it can run here, so it gets no pyc files.

    Raises UsageError for a folder that is not ours, IntegrityError, NetworkError, BuildError, MachineError.
    """
    prefix = _checked(lock, prefix, link_scripts, foreign=foreign)
    linker = Linker(link_mode)
    state = expected_state(lock, prefix, link_scripts)
    if _stands(prefix, state):
        return BuildResult(prefix, state.key, changed=False)
    try:
        with store.lock(f"prefix-{key('prefix-lock/1', str(prefix))[:32]}"):
            if _stands(prefix, state):  # another process has built it meanwhile
                return BuildResult(prefix, state.key, changed=False)
            refuse_foreign(prefix)
            fetch_packages(
                store, lock, config, reporter=reporter, offline=offline, addresses=addresses or {}, jobs=jobs
            )
            trees = unpack(store, lock, reporter, jobs)
            with staging_for(prefix) as staging:
                made, digest = _make(lock, trees, staging, prefix, state, store, linker, reporter, jobs)
                _leave_state(staging, replace(state, manifest=digest))
                put_in_place(staging, prefix)
            return BuildResult(prefix, state.key, changed=True, warnings=made.warnings)
    except OSError as error:
        if fault := machine_fault(error, f"cannot build {prefix}"):
            raise fault from error
        raise


def make_manifest(
    lock: PlatformLock,
    folder: Path,
    prefix: Path,
    state: State,
    *,
    store: Store,
    config: Config,
    reporter: Reporter,
    offline: bool,
    addresses: Mapping[str, str],
    jobs: int | None,
) -> str:
    """Build an environment in ``folder`` as it has to be at ``prefix``, and give the digest of its manifest."""
    fetch_packages(store, lock, config, reporter=reporter, offline=offline, addresses=addresses, jobs=jobs)
    trees = unpack(store, lock, reporter, jobs)
    return _make(lock, trees, folder, prefix, state, store, Linker(), reporter, jobs)[1]


def unpack(store: Store, lock: PlatformLock, reporter: Reporter, jobs: int | None) -> dict[str, Tree]:
    """Give the trees of all packages, by the packages' digests."""
    total = len(lock.conda) + len(lock.wheels)
    with task(reporter, "unpack", "unpacking", total, "packages"), ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        work = {p.sha256: pool.submit(conda_tree, store, p) for p in lock.conda}
        work |= {w.sha256: pool.submit(wheel_tree, store, w) for w in lock.wheels}
        trees = {}
        for digest, future in work.items():
            trees[digest] = future.result()
            reporter.advance("unpack")
    return trees


def _checked(lock: PlatformLock, prefix: Path, link_scripts: str, *, foreign: bool) -> Path:
    if link_scripts not in LINK_SCRIPTS:
        raise UsageError(f"unknown {link_scripts=}", remedy=f"use one of: {', '.join(LINK_SCRIPTS)}")
    if not foreign and lock.platform != current_platform():
        raise UsageError(
            f"this machine is {current_platform()}: it cannot build an environment for {lock.platform}",
            remedy=f"build on {lock.platform}, or lock for {current_platform()}",
        )
    prefix = Path(os.path.abspath(prefix))  # noqa: PTH100  without following links: files hold the path as it was given
    if prefix == Path(prefix.anchor) or "\n" in str(prefix):
        raise UsageError(f"{str(prefix)!r} cannot hold an environment", remedy="choose another folder with --prefix")
    return prefix


def _stands(prefix: Path, wanted: State) -> bool:
    found = read_state(prefix)
    return found is not None and replace(found, manifest="") == wanted


def _make(
    lock: PlatformLock,
    trees: Mapping[str, Tree],
    folder: Path,
    prefix: Path,
    state: State,
    store: Store,
    linker: Linker,
    reporter: Reporter,
    jobs: int | None,
) -> tuple[Assembly, str]:
    """Assemble, settle modes and times, and keep the manifest in the store; give its digest."""
    made = assemble(
        lock, trees, folder, prefix, store=store, linker=linker, reporter=reporter,
        link_scripts=state.link_scripts, jobs=jobs,
    )  # fmt: skip
    digest = store.put_bytes(manifest_bytes(settle_prefix(folder, made.known.get)))
    store.put_result(manifest_key(state), {"manifest": digest})
    return made, digest


def _leave_state(staging: Path, state: State) -> None:
    file = staging / STATE_FILE
    file.write_text(state.to_text(), encoding="utf-8")
    settle(str(file), 0o644)
    settle(str(file.parent), 0o755)


def expected_state(lock: PlatformLock, prefix: Path, link_scripts: str) -> State:
    """Give the state that a prefix of a lock has to have, but for its manifest."""
    return State(lock.key(), lock.platform, str(prefix), link_scripts, "")


def manifest_key(state: State) -> str:
    """Give the key under which the store keeps the manifest of a prefix."""
    return key("manifest/1", {"prefix": state.prefix, "environment": state.key, "link_scripts": state.link_scripts})
