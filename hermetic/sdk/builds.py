"""Builds in a workspace: started with ``Environment.build``, waited for, read, cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hermetic.sdk.attributes import Strict, checked
from hermetic.sdk.errors import ArgumentError

if TYPE_CHECKING:
    from hermetic.sdk.environment import Environment
    from hermetic.sdk.workspace import Workspace
    from hermetic.workspace.builds.builds import Builds
    from hermetic.workspace.builds.model import Build


class EnvironmentBuild(Strict):
    """One build of an environment's version. It goes on, and is kept, when the program that started it ends.

    What it tells is asked for anew each time. Several objects, in several programs, may be of one build.
    """

    _elsewhere = {  # noqa: RUF012
        "log_url": "get_log() gives the log, and wait_for_completion(show_output=True) shows it as it comes",
        "id_": "the number is 'id'",
    }

    def __init__(self, workspace: Workspace, id: int) -> None:  # noqa: A002  its public name
        number = int(id) if isinstance(id, str) and id.isdecimal() else checked(self, "id", id, int)
        self._workspace = workspace
        self._first = self._builds.get(number)

    @property
    def id(self) -> int:
        """The build's number in its workspace."""
        return self._first.id

    @property
    def name(self) -> str:
        """The name of the environment."""
        return self._first.name

    @property
    def version(self) -> str:
        """The version that is built."""
        return str(self._first.version)

    @property
    def status(self) -> str:
        """How it stands now: ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``."""
        return self._now.state

    @property
    def image(self) -> str | None:
        """The name of the image that was built; None if there is none."""
        return self._now.result.get("reference")

    @property
    def digest(self) -> str | None:
        """The image's digest, as registries know it; None if there is none."""
        return self._now.result.get("digest")

    @property
    def error(self) -> Exception | None:
        """What a failed or cancelled build failed of, as ``wait_for_completion`` raises it; None for others."""
        return self._now.failure()

    @property
    def duration(self) -> timedelta:
        """How long it has run."""
        return timedelta(seconds=self._now.seconds)

    def wait_for_completion(self, show_output: bool = False, raise_on_error: bool = True) -> EnvironmentBuild:
        """Wait until it has ended; with ``show_output`` its log is printed from the beginning and as it comes.

        A build that failed raises what it failed of, unless told not to. Who stops waiting does not stop the build.
        """
        if show_output:
            for text in self.follow():
                print(text, end="", flush=True)
            ended = self._now
        else:
            ended = self._builds.wait(self.id)
        if raise_on_error and (error := ended.failure()):
            raise error
        return self

    def follow(self) -> Iterator[str]:
        """Give what it tells, from its beginning and as it comes, until it has ended."""
        return self._builds.follow(self.id)

    def get_log(self) -> str:
        """Give what it has told so far."""
        return self._builds.log(self.id)

    def cancel(self) -> None:
        """Have it stopped, for all who wait for it. A build that has ended stays as it is."""
        self._builds.cancel(self.id)

    def to_dict(self) -> dict[str, Any]:
        """Give all that is kept of it as JSON values."""
        return self._now.to_dict()

    @staticmethod
    def get(workspace: Workspace, id: int | str) -> EnvironmentBuild:  # noqa: A002
        """Give a build of a workspace by its number. Raises UsageError if there is none."""
        return EnvironmentBuild(workspace, id)  # type: ignore[arg-type]

    @property
    def _builds(self) -> Builds:
        return _builds(self._workspace, "EnvironmentBuild")

    @property
    def _now(self) -> Build:
        if not self._first.ended:  # what has ended stays as it is
            self._first = self._builds.get(self._first.id)
        return self._first

    @staticmethod
    def list(
        workspace: Workspace, name: str | None = None, version: int | str | None = None, limit: int | None = None
    ) -> Sequence[EnvironmentBuild]:
        """Give the builds of a workspace, or of one environment, or of one version; the newest first."""
        return [
            _known(workspace, build) for build in _builds(workspace, "list").list(name, _number(version), limit=limit)
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EnvironmentBuild) and (self._workspace, self.id) == (other._workspace, other.id)

    def __hash__(self) -> int:
        return hash((self._workspace, self.id))

    def __repr__(self) -> str:
        return f"EnvironmentBuild(id={self.id}, environment='{self.name}:{self.version}', status={self.status!r})"


def build_version(
    environment: Environment,
    workspace: Workspace,
    *,
    platforms: Sequence[str] | None = None,
    offline: bool = False,
) -> EnvironmentBuild:
    """Build an Environment in a workspace: see Environment.build."""
    from hermetic.sdk.versions import version_for
    from hermetic.sdk.workspace import room_of
    from hermetic.workspace.builds.making import find_version

    room = room_of(workspace, "build")
    kept = version_for(environment, workspace, "build")  # a version that nobody changed: LATEST stays what it is
    assert kept
    version = find_version(room, kept.name, kept.version)
    return _known(workspace, room.builds.start(version, platforms=tuple(platforms or ()), offline=offline))


def _known(workspace: Workspace, build: Build) -> EnvironmentBuild:
    made: EnvironmentBuild = EnvironmentBuild.__new__(EnvironmentBuild)
    made._workspace, made._first = workspace, build  # noqa: SLF001
    return made


def _builds(workspace: Workspace, function: str) -> Builds:
    from hermetic.sdk.workspace import room_of

    return room_of(workspace, function).builds


def _number(version: int | str | None) -> int | None:
    if version is None or (isinstance(version, int) and not isinstance(version, bool)):
        return version
    if isinstance(version, str) and version.isdecimal():
        return int(version)
    raise ArgumentError(f"list: {version!r} is no version", remedy="write version=3, or '3'")
