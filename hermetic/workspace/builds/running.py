"""One build from its beginning to its end: told in the log, watched for a cancellation, and written down."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hermetic.errors import BuildError, HermeticError, MachineError, NetworkError, Place
from hermetic.workspace.builds.holding import BEAT, LEASE, let_go, work_folder
from hermetic.workspace.builds.log import Log, catch_prints
from hermetic.workspace.builds.making import Order, find_version, make_image
from hermetic.workspace.builds.model import CANCELLED, FAILED, SUCCEEDED, Build, CancelledError, DiedError
from hermetic.workspace.builds.records import Records
from hermetic.workspace.curated.catalogue import curated_versions
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress

_TICK = 0.25
"""Seconds between two looks at what there is to write."""
_LOOK = 1.0
"""Seconds between two looks whether the build is cancelled."""
_GRACE = 10.0
"""Seconds that the work has to stop by itself once it is to stop."""
T = TypeVar("T")


class InternalError(BuildError):
    """A fault of hermetic's own."""

    code = "internal"


def run(job: Mapping[str, Any]) -> None:
    """Do a job: ``address``, ``build``, ``builder`` and ``order``. The build's row says how it went."""
    address = address_from(job["address"])
    from hermetic.secrets import use_vault

    workspace = Workspace.open(address)
    use_vault(lambda name: workspace.keyvault().find(name))
    records = Records(workspace.database)
    if not records.claim(job["build"], job["builder"]):  # given up, or cancelled, before we were there
        let_go(address.folder, job["build"], job["builder"])
        return
    Run(workspace, records, records.get(job["build"])).go(Order(**job["order"]))


def address_from(value: Mapping[str, Any]) -> WorkspaceAddress:
    """Give the address that ``dataclasses.asdict`` made plain."""
    place = Place(*value["place"]) if value["place"] else None
    return WorkspaceAddress(**{**value, "folder": Path(value["folder"]), "place": place})


class Run:
    """A build that runs in this process, whose main thread works; another one writes, and watches."""

    def __init__(self, workspace: Workspace, records: Records, build: Build) -> None:
        self._workspace = workspace
        self._records = records
        self._build = build
        self._folder = work_folder(workspace.address.folder, build.id, build.builder)
        self._number = records.next_chunk(build.id)
        self._log = Log(self._write, {f"{self._folder}{os.sep}": ""})
        self._over = threading.Event()
        self._wanted = threading.Event()
        self._ending = threading.Lock()
        self._signal = 0

    def go(self, order: Order) -> None:
        """Build, and write down what came of it."""
        signal.signal(signal.SIGTERM, self._told_to_stop)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        settle = catch_prints(self._log)
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        state, outcome = self._work(order)
        for number in (signal.SIGINT, signal.SIGTERM):  # it is done: what comes now comes too late
            signal.signal(number, signal.SIG_IGN)
        settle()
        self._end(state, **outcome)

    def _work(self, order: Order) -> tuple[str, dict[str, Any]]:
        try:
            build = self._build
            self._log.say(f"build {build.id} of {build.environment}, on {build.machine.partition('/')[0]}")
            self._folder.mkdir(parents=True)
            version = find_version(self._workspace, build.name, build.version)
            made = make_image(self._workspace, version, self._folder, order, reporter=self._log)
            for record in () if curated_versions(build.name) else made.records:
                self._insist(partial(self._workspace.environments.add_image, record))
            self._log.say(f"done: {made.image.digest}")
            return SUCCEEDED, {"lock": made.lock, "result": made.to_dict()}
        except KeyboardInterrupt:
            return self._stopped()
        except HermeticError as error:
            return self._failed(error)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            return self._failed(MachineError(f"{error.strerror or error}{where}", remedy="mend it, and build again"))
        except Exception as error:  # noqa: BLE001  the last handler: whatever it is, the build ends and says so
            import traceback

            self._log.say(traceback.format_exc())
            return self._failed(
                InternalError(
                    f"internal error: {type(error).__name__}: {error}",
                    remedy="this is a fault of hermetic's: please report it, with the log",
                )
            )

    def _failed(self, error: HermeticError) -> tuple[str, dict[str, Any]]:
        if self._wanted.is_set():  # what breaks while all is being stopped is no failure
            return self._stopped()
        told = {
            name: self._log.clean(value) if isinstance(value, str) else value for name, value in error.to_dict().items()
        }
        self._log.say(f"failed: {error}")
        return FAILED, {"error": told}

    def _stopped(self) -> tuple[str, dict[str, Any]]:
        if self._signal:
            name = signal.Signals(self._signal).name
            died = DiedError(f"the builder was told to stop ({name})", remedy="build it again")
            self._log.say(f"failed: {died.message}")
            return FAILED, {"error": died.to_dict()}
        self._log.say("cancelled")
        error = CancelledError(f"the build {self._build.id} was cancelled", remedy="build it again")
        return CANCELLED, {"error": error.to_dict()}

    def _end(self, state: str, **outcome: Any) -> None:
        """Write down the end and leave nothing behind. Whoever comes second does nothing: it is done."""
        with self._ending:
            if self._over.is_set():
                return
            self._over.set()
            self._insist(self._log.flush)
            let_go(self._workspace.address.folder, self._build.id, self._build.builder)
            self._insist(lambda: self._records.end(self._build.id, self._build.builder, state, **outcome))
            if state != SUCCEEDED:
                os.killpg(os.getpgrp(), signal.SIGKILL)  # ourselves too, and what may still run of what was stopped

    def _watch(self) -> None:
        """Write the log, say that we are alive, and stop when that is wanted."""
        looked = beaten = time.monotonic()
        while not self._over.wait(_TICK):
            now = time.monotonic()
            with suppress(HermeticError):  # the database will be back; what was to be written is kept
                self._log.flush()
                if now - beaten > BEAT:
                    beaten = now
                    self._records.beat(self._build.id, self._build.builder)
                if now - looked > _LOOK:
                    looked = now
                    if self._records.wants_end(self._build.id, self._build.builder):
                        self._stop()

    def _stop(self) -> NoReturn:
        """Interrupt the work; where it does not hear of it in time, end without it."""
        self._wanted.set()
        os.kill(os.getpid(), signal.SIGINT)
        if not self._over.wait(_GRACE):
            state, outcome = self._stopped()
            self._end(state, **outcome)
        sys.exit()

    def _told_to_stop(self, number: int, _: object) -> None:
        self._signal = number
        self._wanted.set()
        raise KeyboardInterrupt

    def _write(self, chunk: str) -> None:
        self._records.append(self._build.id, self._number, chunk)
        self._number += 1

    def _insist(self, what: Callable[[], T]) -> T | None:
        """Do what needs the database, again and again as long as others would wait for us."""
        until = time.monotonic() + LEASE
        while True:
            try:
                return what()
            except (NetworkError, MachineError):  # the database is away
                if time.monotonic() > until:
                    return None
                time.sleep(_LOOK)
