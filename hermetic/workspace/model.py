"""What a workspace keeps, as values: the rooms below hand them out, the Python API and the command line show them.

Times are RFC 3339 in UTC to the microsecond (``2026-01-31T12:00:00.000000Z``); they and the names of users are told
to people and enter no lock, key or output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LATEST = "latest"
"""The label that every environment has: what was registered last."""


@dataclass(frozen=True)
class Definition:
    """An environment as it is registered: the texts of its files, by name, and what they mean.

    ``files`` are those of an Azure ML directory (spec/azureml.py), without a version. ``digest`` is the sha256 over
    their meaning, so the order of requirements and comments do not count, and ``spec`` that of the Spec alone.
    ``packages`` are its requirements as people write them, for lists. ``origin`` names the file it was made from.
    """

    name: str
    digest: str
    files: Mapping[str, str]
    spec: str = ""
    packages: tuple[str, ...] = ()
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class EnvironmentVersion:
    """One registered version: its definition, never changed, and what is known of it.

    ``lock`` is the sha256 of the version's lockfile, empty while it has none; ``labels`` hold LATEST too.
    """

    name: str
    version: int
    definition: Definition
    created_at: str
    created_by: str
    lock: str = ""
    labels: tuple[str, ...] = ()
    archived: bool = False

    def __repr__(self) -> str:
        notes = [f"lock {self.lock[:12]}" if self.lock else "no lock", *self.labels]
        notes += ["archived"] if self.archived else []
        return f"<EnvironmentVersion {self.name}:{self.version}: {', '.join(notes)}>"


class EnvironmentSummary(NamedTuple):  # no dataclass: ten thousand of them are made at once
    """One line of a list: an environment, the version that LATEST means, and how many versions there are."""

    name: str
    latest: int
    versions: int
    created_at: str
    created_by: str
    archived: bool = False


@dataclass(frozen=True)
class ImageRecord:
    """An image that was built of a version: where it is known by which name and digest."""

    name: str
    version: int
    platform: str
    reference: str
    digest: str
    pushed: bool
    created_at: str
    created_by: str


@dataclass(frozen=True)
class PrivateWheel:
    """A wheel of the workspace's own. ``url`` is its stable URL, without a signature; ``size`` counts bytes."""

    name: str
    version: str
    file_name: str
    sha256: str
    size: int
    url: str
    created_at: str = ""
    created_by: str = ""
