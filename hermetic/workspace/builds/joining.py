"""Starting builds, and joining those that run: of one version and target one build at a time is under way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import hermetic
from hermetic.errors import HermeticError, MachineError, Place, UsageError
from hermetic.workspace.builds.holding import hold_path, is_gone, last_words, let_go, machine, take_hold
from hermetic.workspace.builds.making import Order
from hermetic.workspace.builds.model import CANCELLED, FAILED, Build, DiedError
from hermetic.workspace.builds.records import Records
from hermetic.workspace.model import EnvironmentVersion
from hermetic.workspace_config import WorkspaceAddress

_START = "import sys; sys.path[:0] = [p for p in sys.argv[1:] if p not in sys.path]; import {0}; {0}.main()"
_WORKER = "hermetic.workspace.builds.worker"
_PATIENCE = 60
"""Seconds that a new process may take to stand on its own feet."""


def start_or_join(
    records: Records, address: WorkspaceAddress, version: EnvironmentVersion, target: str, order: Order
) -> Build:
    """Give the build of a version and target that is under way, or start one in a process of its own.

    That process goes on when this one ends. Raises MachineError if it cannot be started.
    """
    _refuse_windows()
    while True:
        try:
            queued = records.queue(version.name, version.version, target, machine(), partial(take_hold, address.folder))
        except OSError as problem:
            if isinstance(problem, HermeticError):
                raise
            raise _refused(f"{version.name}:{version.version}", problem.strerror or str(problem), address) from None
        if queued:
            build, hold = queued
            try:
                _start(records, address, build, order, hold)
            finally:
                os.close(hold)
            return build
        found = records.under_way(version.name, version.version, target)
        if found and not bury(records, address.folder, found):
            return found


def bury(records: Records, folder: Path, build: Build) -> bool:
    """End a build whose builder is no more, and clear up after it; False if it is alive, or ended by itself."""
    if build.ended or not is_gone(folder, build, records.now):
        return False
    words = last_words(folder, build)
    how = "died" if build.started_at else "did not begin"
    error = DiedError(
        f"the builder of {build.environment} {how}: it was killed, or its machine went down",
        remedy="build it again; what it had fetched and made is used",
    )
    told = {**error.to_dict(), **({"said": words} if words else {})}
    ended = records.end(build.id, build.builder, CANCELLED if build.cancelling else FAILED, error=told)
    let_go(folder, build.id, build.builder)
    return ended


def _start(records: Records, address: WorkspaceAddress, build: Build, order: Order, hold: int) -> None:
    job = {
        "address": _plain(address), "build": build.id, "builder": build.builder, "order": asdict(order), "hold": hold,
    }  # fmt: skip
    try:
        _launch(job, hold, hold_path(address.folder, build.id, build.builder))
    except (OSError, HermeticError) as problem:
        reason = problem.message if isinstance(problem, HermeticError) else problem.strerror
        words = last_words(address.folder, build).rpartition("\n")[2]
        error = _refused(build.environment, f"{reason}{f': {words}' if words else ''}", address)
        records.end(build.id, build.builder, FAILED, error=error.to_dict())
        let_go(address.folder, build.id, build.builder)
        raise error from None


def _refused(environment: str, reason: str, address: WorkspaceAddress) -> MachineError:
    return MachineError(
        f"the build of {environment} could not be started: {reason}",
        place=Place(str(address.folder)),
        remedy="make room there, or check its permissions; then build again",
    )


def _launch(job: Mapping[str, Any], hold: int, words: Path) -> None:
    """Start the builder. Its job goes through a pipe: a command line can be read by everybody."""
    if not sys.executable:
        raise MachineError("this Python does not know its own program")
    root = str(Path(hermetic.__file__).parent.parent)
    with words.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START.format(_WORKER), root],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=file,
            pass_fds=(hold,),
            start_new_session=True,
        )
    with suppress(subprocess.TimeoutExpired):  # it splits itself off at once, so that nobody has to wait for it
        process.communicate(json.dumps(job).encode(), timeout=_PATIENCE)
    if process.returncode:
        raise MachineError(f"its process ended at once (status {process.returncode})")


def _plain(address: WorkspaceAddress) -> dict[str, Any]:
    place = [address.place.file, address.place.line] if address.place else None
    return {**asdict(address), "folder": str(address.folder), "place": place}


def _refuse_windows() -> None:
    if os.name == "nt":  # pragma: no cover  not run here: Linux first
        raise UsageError(
            "images are not built on Windows", remedy="build in WSL, or on another machine that shares the workspace"
        )
