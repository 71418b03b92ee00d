"""Build a prefix: everything is made beside it, from checked bytes, and put in its place in one step."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.digest import key
from hermetic.errors import UsageError
from hermetic.events import SILENT, Reporter
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.assemble import assemble
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.links import MODES
from hermetic.outputs.prefix.manifest import manifest_bytes, settle_prefix
from hermetic.outputs.prefix.order import LINK_SCRIPTS, Order
from hermetic.outputs.prefix.state import STATE_FILE, State, read_state
from hermetic.outputs.prefix.swap import put_in_place, refuse_foreign, remove_leftovers, staging_for
from hermetic.platforms import check_platform, current_platform
from hermetic.realize.faults import machine_fault
from hermetic.realize.trees import Tree, settle

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store


_LANDMARK = re.compile(r"(?:bin/|Scripts/)?[^/]+\Z")
"""What a build looks for before it believes that an environment is there: folders, and programs that the host's would
run in the place of."""


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
    force: bool = False,
    own_place: bool = False,
) -> BuildResult:
    """Build the environment of a lock at ``prefix``; what was built there before is replaced in one step.

    ``link_scripts``: ``refuse`` packages that have some, ``skip`` them with a warning, or ``run`` them in a sandbox.
    ``link_mode``: see ``Linker``. ``foreign`` allows a platform that is not this machine's; nothing of it can run
    here, so it gets no pyc files. ``force`` builds anew what is there already, to mend what somebody changed in it;
    where the place is nobody else's (``own_place``) it replaces what does not say that it was built here, too.

    Raises UsageError for a folder that is not ours, IntegrityError, NetworkError, BuildError, MachineError.
    """
    _check(lock, link_scripts, link_mode, foreign=foreign)
    order = Order(
        lock, checked_prefix(prefix), store, config, reporter, offline, link_scripts, link_mode, addresses or {}, jobs
    )
    try:
        if not force and _stands(order, reporter):
            remove_leftovers(order.prefix)  # of a build that was killed when all but the cleaning up was done
            return BuildResult(order.prefix, lock.key(), changed=False)
        with store.lock(f"prefix-{key('prefix-lock/1', str(order.prefix))[:32]}", reporter=reporter):
            if not force and _stands(order):  # another process has built it meanwhile
                return BuildResult(order.prefix, lock.key(), changed=False)
            refuse_foreign(order.prefix, own_place=own_place, force=force)
            trees = obtain(order)
            with staging_for(order.prefix) as staging:
                _, warnings = make(order, trees, staging)
                _leave_state(staging, order.state())
                put_in_place(staging, order.prefix, own_place=own_place, force=force)
            return BuildResult(order.prefix, lock.key(), changed=True, warnings=warnings)
    except OSError as error:
        if fault := machine_fault(error, f"cannot build {order.prefix}", (store.root, order.prefix.parent)):
            raise fault from error
        raise


def checked_prefix(prefix: Path) -> Path:
    """Give a prefix's full path, as files will hold it. Raises UsageError for one that cannot hold an environment."""
    full = Path(os.path.abspath(prefix))  # noqa: PTH100  links are not followed: files hold the path as it was given
    if full == Path(full.anchor) or "\n" in str(full):
        raise UsageError(f"{str(full)!r} cannot hold an environment", remedy="choose another folder with --prefix")
    return full


def make(order: Order, trees: Mapping[str, Tree], folder: Path) -> tuple[str, tuple[str, ...]]:
    """Make an environment in ``folder`` as it has to be at the order's prefix, but for its state.

    Gives the digest of its manifest, which the store keeps, and warnings.
    """
    made = assemble(order, trees, folder)
    for warning in made.warnings:
        order.reporter.warn(warning)
    entries = settle_prefix(folder, made.installed)
    digest = order.store.put_bytes(manifest_bytes(entries))
    known = {"manifest": digest, "landmarks": [entry.path for entry in entries if _LANDMARK.match(entry.path)]}
    order.store.put_result(manifest_key(order.state()), known)
    return digest, tuple(made.warnings)


def manifest_key(state: State) -> str:
    """Give the key under which the store keeps the manifest of a prefix."""
    return key("manifest/1", {"prefix": state.prefix, "environment": state.key, "link_scripts": state.link_scripts})


def _check(lock: PlatformLock, link_scripts: str, link_mode: str, *, foreign: bool) -> None:
    for name, value, allowed in (("link_scripts", link_scripts, LINK_SCRIPTS), ("link_mode", link_mode, MODES)):
        if value not in allowed:
            raise UsageError(f"{name} cannot be {value!r}", remedy=f"use one of: {', '.join(allowed)}")
    check_platform(lock.platform)
    if not foreign and lock.platform != current_platform():
        raise UsageError(
            f"this machine is {current_platform()}: it cannot build an environment for {lock.platform}",
            remedy=f"build on {lock.platform}, or lock for {current_platform()}",
        )


def _stands(order: Order, reporter: Reporter = SILENT) -> bool:
    """Tell whether the environment is there: by its own note, and by a look at what stands first in it."""
    if read_state(order.prefix) != order.state():
        return False
    landmarks = (order.store.get_result(manifest_key(order.state())) or {}).get("landmarks", ())
    missing = [name for name in landmarks if not os.path.lexists(f"{order.prefix}/{name}")]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        reporter.say(f"{order.prefix} has lost {missing[0]}{more}: it is built anew")
    return not missing


def _leave_state(staging: Path, state: State) -> None:
    file = staging / STATE_FILE
    file.write_text(state.to_text(), encoding="utf-8")
    settle(str(file), 0o644)
    settle(str(file.parent), 0o755)
