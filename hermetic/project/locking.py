"""Locking a project's environments: resolve, keep old pins, write, and tell what moved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import IntegrityError, LockFileError, MachineError, NetworkError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.file import NewerLockError, format_lock, parse_lock, read_lock, write_lock
from hermetic.lock.model import Lock, PlatformLock
from hermetic.lock.source import BuiltWheel, ResolveBuildRequirements, SourceBuild
from hermetic.platforms import check_platform, current_platform
from hermetic.project.archives import archive_fetcher, wheel_fetcher
from hermetic.project.channels import refuse_misspelt
from hermetic.project.project import Declaration, Project, open_project

if TYPE_CHECKING:
    from hermetic.lock.diff import LockDiff


_MARKER = re.compile(r"^<{7}(?: .*)?\n", re.MULTILINE)
_THEIRS = re.compile(r"^(?:\|{7}|={7})(?: .*)?\n(?:.*\n)*?>{7}(?: .*)?\n", re.MULTILINE)
"""What stands in a file after our side of a conflict: theirs, and before that the ancestor, if git shows it."""


@dataclass(frozen=True)
class LockOutcome:
    """What locking one environment came to. ``moves`` says how the packages differ from the lock before."""

    name: str
    path: Path
    lock: Lock
    moves: LockDiff
    first: bool
    """Whether there was no lock before."""
    previous: Lock | None = None
    """The lock before; the pins that could be read, where it was damaged."""
    changed: bool = True
    """Whether the file gets other bytes."""

    def to_dict(self) -> dict[str, Any]:
        """Give the outcome as JSON values."""
        return {
            "name": self.name,
            "path": str(self.path),
            "first": self.first,
            "platforms": {
                name: {"key": platform.key(), "conda": len(platform.conda), "wheels": len(platform.wheels)}
                for name, platform in self.lock.platforms.items()
            },
            "moves": self.moves.to_dict(),
        }


def lock_environments(
    start: str | None,
    names: Sequence[str] = (),
    *,
    platforms: Sequence[str] = (),
    update: Sequence[str] | None = None,
    exclude_newer: str | None = None,
    conda_solver: str = "",
    pip_resolver: str = "",
    offline: bool = False,
    reporter: Reporter = SILENT,
    write: bool = True,
) -> list[LockOutcome]:
    """Lock environments of a project (default: all). A failure leaves the locks that stand untouched.

    Unless ``write``, nothing is written: the outcomes tell what would be.

    ``conda_solver`` and ``pip_resolver`` are names of ``hermetic.lock.backends``; empty ones mean the default.
    """
    project = open_project(start)
    chosen = [project.choose(name) for name in names] or list(project.names)
    if not chosen:
        project.choose(None)
    outcomes = [
        lock_declaration(
            project,
            project.declaration(name, platforms=[check_platform(platform) for platform in platforms]),
            update=update,
            exclude_newer=exclude_newer,
            conda_solver=conda_solver,
            pip_resolver=pip_resolver,
            offline=offline,
            reporter=reporter,
            write=False,
        )
        for name in chosen
    ]
    outcomes = [_pinned(project, outcome, offline=offline, reporter=reporter) for outcome in outcomes]
    outcomes = [replace(outcome, changed=_differs(outcome)) for outcome in outcomes]
    for outcome in outcomes:  # all are solved before one is written: an unsatisfiable one changes nothing
        if write:
            write_lock(outcome.lock, outcome.path)
    return outcomes


def _differs(outcome: LockOutcome) -> bool:
    try:
        return outcome.path.read_bytes() != format_lock(outcome.lock).encode()
    except OSError:
        return True


def lock_declaration(
    project: Project,
    declaration: Declaration,
    *,
    update: Sequence[str] | None = None,
    exclude_newer: str | None = None,
    conda_solver: str = "",
    pip_resolver: str = "",
    offline: bool = False,
    reporter: Reporter = SILENT,
    write: bool = True,
) -> LockOutcome:
    """Resolve what an environment declares, and write its lockfile unless told not to."""
    from hermetic.lock.resolve import resolve
    from hermetic.store import Store

    for warning in declaration.warnings:
        reporter.warn(warning)
    previous = previous_lock(declaration.lock_path, reporter)
    config = project.config(offline=offline)
    refuse_misspelt(project, declaration, config)
    store = Store.open(config.store)
    spec = declaration.spec
    if not spec.platforms:  # none declared: those that are locked already, so that a colleague's lock keeps its own
        spec = replace(spec, platforms=tuple(previous.platforms) if previous else (current_platform(),))

    def build_wheel(
        source: SourceBuild, environment: PlatformLock, requirements: ResolveBuildRequirements
    ) -> BuiltWheel:
        from hermetic.outputs.prefix.building import source_builder  # few locks build anything

        return source_builder(store, config, reporter=reporter, offline=offline)(source, environment, requirements)

    with task(reporter, f"lock {declaration.name}", f"locking {declaration.name}"):
        resolution = resolve(
            spec,
            config=config,
            previous=previous,
            update=update,
            exclude_newer=exclude_newer,
            conda_solver=conda_solver,
            pip_resolver=pip_resolver,
            offline=offline,
            reporter=reporter,
            build_wheel=build_wheel,
            fetch_archive=archive_fetcher(store, offline=offline, reporter=reporter),
            fetch_wheels=wheel_fetcher(store, config, offline=offline, reporter=reporter),
            meanwhile=_load_the_rest,
            root=project.layout.root,
        )
    from hermetic.lock.diff import diff
    from hermetic.store.index import remember_addresses

    remember_addresses(store, resolution.addresses)
    lock = with_images_of(previous, resolution.lock)
    if write:
        write_lock(lock, declaration.lock_path)
    return LockOutcome(declaration.name, declaration.lock_path, lock, diff(previous, lock), previous is None, previous)


def _pinned(project: Project, outcome: LockOutcome, *, offline: bool, reporter: Reporter) -> LockOutcome:
    """Pin the base that an environment declares, if it declares one; a registry that is not there is only told."""
    from hermetic.project.basing import declared_base, with_bases

    declaration = project.declaration(outcome.name)
    platforms = [name for name in outcome.lock.platforms if name.startswith("linux-")]
    if not declared_base(declaration) or not platforms:
        return outcome
    from hermetic.store import Store

    config = project.config(offline=offline)
    try:
        lock = with_bases(
            outcome.lock, declaration, platforms, store=Store.open(config.store), config=config, offline=offline,
            reporter=reporter,
        )  # fmt: skip
    except (NetworkError, MachineError) as error:
        reporter.warn(f"{outcome.name}: its base is not pinned yet: {error.message}")
        return outcome
    return replace(outcome, lock=lock)


def with_images_of(previous: Lock | None, lock: Lock) -> Lock:
    """Give a lock with the images of the one before: the same bases, and layers that change as little as can be."""
    images = {name: platform.image for name, platform in previous.platforms.items()} if previous else {}
    if not any(images.values()):
        return lock
    from hermetic.plan.layers import plan_layers

    platforms = dict(lock.platforms)
    for name, platform in platforms.items():
        if image := images.get(name):
            layers = plan_layers(platform, image.layers) if image.layers else ()
            platforms[name] = replace(platform, image=replace(image, layers=layers))
    return replace(lock, platforms=platforms)


def _load_the_rest() -> None:
    """Import what is needed after solving, while there is nothing to do but to wait."""
    import hermetic.lock.diff
    import hermetic.store.index  # noqa: F401


def previous_lock(path: Path, reporter: Reporter = SILENT) -> Lock | None:
    """Read the lock that stands, to take its pins as preferences; a damaged one counts as none, with a warning."""
    if not path.exists():
        return None
    try:
        return read_lock(path)
    except IntegrityError as error:
        reporter.warn(f"{error.place}: {error.message}; its pins are kept where they still fit")
        return read_lock(path, verify=False)
    except NewerLockError:
        raise
    except LockFileError as error:
        if lock := _one_side(path):
            reporter.warn(f"{error.place}: {error.message}; the pins of the side that is merged into are kept")
            return lock
        reporter.warn(f"{error.place}: {error.message}; it is made anew, and its pins are lost")
        return None


def _one_side(path: Path) -> Lock | None:
    """Read a lock with the markers of a merge that is not finished, as it was on the side that is merged into."""
    text = path.read_text(encoding="utf-8", errors="replace")
    ours, conflicts = _THEIRS.subn("", text)
    if not conflicts:
        return None
    with suppress(LockFileError, IntegrityError):
        return parse_lock(_MARKER.sub("", ours), str(path), verify=False)
    return None
