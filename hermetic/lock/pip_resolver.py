"""pip resolving: one question, one answer, whichever resolver answers it.

The question holds the conda side as facts: Python's version, the target's platform and virtual packages, and the
projects that conda provides. The answer holds only what must be installed beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hermetic.lock.model import Wheel
from hermetic.lock.names import Provided
from hermetic.lock.source import SourceBuild
from hermetic.platforms import VirtualPackage
from hermetic.spec.model import PipOptions, PipRequirement


@dataclass(frozen=True)
class PipRequest:
    """What a pip resolver is asked for one platform.

    ``python_version`` is full (``3.11.7``). ``provided`` are the projects that conda installs: they satisfy
    requirements that their version meets, and forbid all others. ``keep`` maps projects to old pins, preferred
    where they still fit. ``source_builds`` are projects (or ``:all:``) that may come as an sdist. ``root`` is the
    folder that relative paths start from. ``exclude_newer`` is in UTC.
    """

    platform: str
    python_version: str
    virtual_packages: tuple[VirtualPackage, ...]
    requirements: tuple[PipRequirement, ...]
    constraints: tuple[PipRequirement, ...] = ()
    options: PipOptions = PipOptions()
    provided: tuple[Provided, ...] = ()
    keep: Mapping[str, str] = field(default_factory=dict)
    exclude_newer: datetime | None = None
    source_builds: tuple[str, ...] = ()
    root: Path = field(default=Path(), compare=False)
    offline: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class PipAnswer:
    """What a pip resolver found.

    ``wheels`` are sorted by name, without categories; a size of 0 means that the index does not tell it.
    ``sources`` must be built to wheels first. ``addresses`` (sha256 -> URL) and ``satisfied`` (projects that were
    required and that conda provides) are for the run at hand, not for the lock.
    """

    wheels: tuple[Wheel, ...] = ()
    sources: tuple[SourceBuild, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    satisfied: tuple[str, ...] = ()


class PipResolver(Protocol):
    """What can resolve pip requirements. One object serves all platforms of a lock, at the same time."""

    async def resolve(self, request: PipRequest) -> PipAnswer:
        """Give the wheels that meet a request.

        Raises UnsatisfiableError, NetworkError, CredentialsError or OfflineError, each in the user's terms.
        """
