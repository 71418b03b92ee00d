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

from hermetic.errors import UnsatisfiableError
from hermetic.lock.model import Wheel
from hermetic.lock.names import Provided
from hermetic.lock.source import SourceBuild
from hermetic.platforms import VirtualPackage
from hermetic.spec.model import PipOptions, PipRequirement


@dataclass(frozen=True)
class IndexAt:
    """A package index (PEP 503) and its address of the moment.

    The name goes into the lock: empty for the machine's default index, the URL as the spec has it for another.
    An empty ``url`` leaves the address to the resolver's own configuration.
    """

    name: str
    url: str = field(compare=False, repr=False)


@dataclass(frozen=True)
class PipRequest:
    """What a pip resolver is asked for one platform.

    ``python_version`` is full (``3.11.7``). ``indexes`` begin with the main one (none: only ``find_links`` serve).
    ``provided`` are the projects that conda installs: they satisfy requirements that their version meets, and
    forbid all others. ``built`` maps projects to wheels that are at hand, because they were built for this lock or
    are a workspace's own: they are taken, whatever the indexes have. ``keep`` maps projects to old pins, preferred
    where they still fit. ``from_source`` are the projects whose sdist is looked for in place of wheels, since they
    have none. ``root`` is the folder that relative paths start from. ``exclude_newer`` is in UTC. ``asked`` says that
    a server has asked for credentials, so that the keyring is looked into.
    """

    platform: str
    python_version: str
    virtual_packages: tuple[VirtualPackage, ...]
    requirements: tuple[PipRequirement, ...]
    constraints: tuple[PipRequirement, ...] = ()
    options: PipOptions = PipOptions()
    indexes: tuple[IndexAt, ...] = (IndexAt("", ""),)
    provided: tuple[Provided, ...] = ()
    built: Mapping[str, Path] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    exclude_newer: datetime | None = None
    from_source: tuple[str, ...] = ()
    root: Path = field(default=Path(), compare=False)
    offline: bool = field(default=False, compare=False)
    asked: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class PipAnswer:
    """What a pip resolver found.

    ``wheels`` are sorted by name, without categories; a size of 0 means that the index does not tell it. Built
    wheels are among them. ``sources`` must be built to wheels, and the question asked again. ``addresses``
    (sha256 -> URL) and ``satisfied`` (projects that are required and that conda provides) are for the run at hand,
    not for the lock.
    """

    wheels: tuple[Wheel, ...] = ()
    sources: tuple[SourceBuild, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    satisfied: tuple[str, ...] = ()


class PipResolver(Protocol):
    """What can resolve pip requirements. One object serves all platforms of a lock, at the same time."""

    async def resolve(self, request: PipRequest) -> PipAnswer:
        """Give the wheels that meet a request.

        Raises UnsatisfiableError (NeedsSourceError, PythonRefusedError where that is why), NetworkError,
        CredentialsError or OfflineError, each in the user's terms.
        """


class NeedsSourceError(UnsatisfiableError):
    """Some projects have no wheel that fits: ``names`` says which could be built from source instead."""

    def __init__(self, message: str, names: tuple[str, ...], **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # place and remedy, as the base has them
        self.names = names


class PythonRefusedError(UnsatisfiableError):
    """The requirements do not admit this version of Python."""
