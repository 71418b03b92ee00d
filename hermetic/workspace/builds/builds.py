"""A workspace's builds: started or joined, followed, listed, cancelled. The database has it all, for all to see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hermetic.config import load_config
from hermetic.errors import CredentialsError, NetworkError, UsageError
from hermetic.platforms import check_platform, current_platform
from hermetic.project.workplace import addresses_above
from hermetic.workspace.builds.holding import LEASE, machine
from hermetic.workspace.builds.joining import bury, start_or_join
from hermetic.workspace.builds.making import Order, delivery
from hermetic.workspace.builds.model import CANCELLED, Build, CancelledError
from hermetic.workspace.builds.records import Records

if TYPE_CHECKING:
    from hermetic.workspace.model import EnvironmentVersion
    from hermetic.workspace.workspace import Workspace

_SHORTEST, _LONGEST = 0.05, 0.5
"""Seconds between two looks at a build that is waited for."""

T = TypeVar("T")


class Builds:
    """The builds of a workspace. Those whose builder is no more are found out whenever somebody looks at them."""

    def __init__(self, workspace: Workspace) -> None:
        self._address = workspace.address
        self._records = Records(workspace.database)

    def start(self, version: EnvironmentVersion, *, platforms: Sequence[str] = (), offline: bool = False) -> Build:
        """Build a version's image in a process of its own, or join the build of it that is under way.

        ``platforms`` are conda's (default: this machine's). The image goes to the workspace's registry, else into the
        Docker Engine, else into a layout in the workspace's folder. Raises UsageError, and MachineError if no process
        can be started.
        """
        chosen = sorted({check_platform(platform) for platform in platforms}) or [current_platform()]
        for platform in chosen:
            if not platform.startswith("linux-"):
                raise UsageError(
                    f"there are no images for {platform}", remedy="choose a platform that begins with linux-"
                )
        registry = delivery(self._address, load_config(base=Path.cwd()))
        target = f"{'+'.join(chosen)} -> {registry or machine().partition('/')[0]}"
        addresses = {**addresses_above(Path.cwd()), **addresses_above(self._address.folder)}
        order = Order(tuple(chosen), addresses, offline=offline)
        return start_or_join(self._records, self._address, version, target, order)

    def get(self, build: int) -> Build:
        """Give a build as it is now. Raises UsageError if there is none of this number."""
        found = self._records.get(build)
        return self._records.get(build) if bury(self._records, self._address.folder, found) else found

    def list(self, name: str | None = None, version: int | None = None, *, limit: int | None = None) -> list[Build]:
        """Give builds as they are now, the newest first."""
        under_way = self._records.find(name, version, active=True)
        for build in under_way:
            bury(self._records, self._address.folder, build)
        return self._records.find(name, version, limit=limit)

    def log(self, build: int) -> str:
        """Give what a build has told so far. Raises UsageError if there is none of this number."""
        self._records.get(build)
        texts: list[str] = []
        after = -1
        while chunks := self._records.chunks(build, after):
            after = chunks[-1][0]
            texts += [text for _, text in chunks]
        return "".join(texts)

    def follow(self, build: int) -> Iterator[str]:
        """Give what a build tells, from its beginning and as it comes, until it ends."""
        after, pause = -1, _SHORTEST
        while True:
            ended = _patiently(lambda: self.get(build)).ended  # before the log is read: nothing is told after that look
            chunks = _patiently(partial(self._records.chunks, build, after))
            for number, text in chunks:
                after, pause = number, _SHORTEST
                yield text
            if not chunks:
                if ended:
                    return
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST)

    def wait(self, build: int) -> Build:
        """Wait until a build has ended, and give it."""
        pause = _SHORTEST
        while not (found := _patiently(lambda: self.get(build))).ended:
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST)
        return found

    def cancel(self, build: int) -> Build:
        """Have a build stopped, for all who wait for it; give it as it is now. One that has ended stays as it is."""
        found = self.get(build)
        if self._records.cancel(build) and self._records.now() - found.heartbeat > LEASE * 1000:
            # Its builder hears nothing (it is stopped, or has no database): what it makes will not count.
            error = CancelledError(f"the build {build} was cancelled", remedy="build it again")
            self._records.end(build, found.builder, CANCELLED, error=error.to_dict())
        return self.get(build)


def _patiently(look: Callable[[], T]) -> T:
    """Look, and look again for a while where the database does not answer: the build goes on without it, too."""
    until = time.monotonic() + LEASE
    while True:
        try:
            return look()
        except CredentialsError:
            raise
        except NetworkError:
            if time.monotonic() > until:
                raise
            time.sleep(_LONGEST)
