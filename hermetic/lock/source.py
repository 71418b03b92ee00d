"""What must be built to a wheel before it can be locked: an sdist or a VCS checkout, pinned.

The lock core says what to build; a sandbox elsewhere builds it (``BuildWheel``). The built wheel's digest goes into
the lock, so that nobody has to trust that a second build gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hermetic.errors import Place
from hermetic.lock.model import Origin, PlatformLock, Tool, Wheel
from hermetic.spec.model import PipRequirement


@dataclass(frozen=True)
class SourceBuild:
    """One wheel to build: the pinned source, and the project that it must turn out to be.

    ``version`` is empty where only the build can tell. One of three: ``url`` is an sdist's address of the moment,
    with its ``sha256`` (empty if nothing states it yet); ``vcs_url`` and ``commit`` are a Git checkout (a plain
    Git URL); ``path`` is a local sdist or folder. ``subdirectory`` is where the project stands in either. ``index``
    is the name of the index that has the sdist, ``named`` its URL as a lock may name it (one of them, or neither for
    the default index). ``previous`` is how the old lock's wheel of the project was built: from the same source, the
    same tools build it.
    """

    name: str
    version: str = ""
    file_name: str = ""
    url: str = field(default="", repr=False)
    sha256: str = ""
    size: int = 0
    vcs_url: str = field(default="", repr=False)
    commit: str = ""
    subdirectory: str = ""
    path: str = ""
    index: str = ""
    named: str = ""
    previous: Origin | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BuiltWheel:
    """The wheel that came of a SourceBuild: where it lies now, its digest and size.

    ``source_sha256`` is the digest of the sdist, or of the local folder's files (empty for a checkout), ``build`` the
    key of the locked environment that built it, and ``tools`` the wheels in that.
    """

    path: str
    file_name: str
    sha256: str
    size: int
    source_sha256: str = ""
    build: str = ""
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True)
class BuildRequirements:
    """The resolved ``[build-system] requires`` of a source: wheels, and where each was seen (sha256 -> URL)."""

    wheels: tuple[Wheel, ...]
    addresses: Mapping[str, str]


ResolveBuildRequirements: TypeAlias = Callable[[Sequence[PipRequirement]], BuildRequirements]
"""Resolves build requirements for the environment's Python, with the spec's indexes and times. It blocks."""


class BuildWheel(Protocol):
    """What builds a wheel in a sandbox without network, from a locked build environment. It is called in a thread."""

    def __call__(
        self, source: SourceBuild, environment: PlatformLock, requirements: ResolveBuildRequirements
    ) -> BuiltWheel:
        """Build one wheel. ``environment`` holds this machine's platform and the conda packages with its Python.

        Raises BuildError with the log's tail, or what fetching the source raises.
        """


def origin_of(source: SourceBuild, built: BuiltWheel, named: str = "") -> Origin:
    """Give what a lock says of a built wheel. ``named`` is the source's URL where the spec asks for it."""
    return Origin(
        url=(named or source.named).partition("#")[0],
        file_name=source.file_name,
        sha256=built.source_sha256 or source.sha256,
        commit=source.commit,
        subdirectory=source.subdirectory,
        build=built.build,
        tools=built.tools,
    )
