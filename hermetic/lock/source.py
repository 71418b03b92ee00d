"""What must be built to a wheel before it can be locked: an sdist or a VCS checkout, pinned.

The lock core says what to build; a sandbox elsewhere builds it (``BuildWheel``). The built wheel's digest goes into
the lock, so that nobody has to trust that a second build gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hermetic.errors import Place
from hermetic.lock.model import Origin, PlatformLock


@dataclass(frozen=True)
class SourceBuild:
    """One wheel to build: the pinned source, and the project and version that it must turn out to be.

    ``version`` is empty where only the build can tell (a VCS checkout, a folder). Either ``url`` and ``sha256``
    name an archive, or ``vcs_url`` and ``commit`` a checkout, or ``path`` a local folder.
    """

    name: str
    version: str = ""
    file_name: str = ""
    url: str = ""
    sha256: str = ""
    size: int = 0
    vcs_url: str = ""
    commit: str = ""
    subdirectory: str = ""
    path: str = ""
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BuiltWheel:
    """The wheel that came of a SourceBuild: where it lies now, and what the lock says of it."""

    path: str
    file_name: str
    sha256: str
    size: int
    origin: Origin


class BuildWheel(Protocol):
    """What builds a wheel in a sandbox without network, from a locked build environment."""

    def __call__(self, source: SourceBuild, environment: PlatformLock, variables: Mapping[str, str]) -> BuiltWheel:
        """Build one wheel with the Python of ``environment``. Raises BuildError with the log's tail."""
