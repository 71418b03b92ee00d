"""What a build is asked for, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.events import SILENT, Reporter
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.state import State

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store

LINK_SCRIPTS = ("refuse", "skip", "run")


@dataclass(frozen=True)
class Order:
    """An environment to build: what is in it, where it will lie, with what, and how.

    ``addresses`` maps digests to addresses known beforehand; ``jobs`` counts processes and threads (None: as the
    machine has processors). See ``build_prefix`` for the rest.
    """

    lock: PlatformLock
    prefix: Path
    store: Store
    config: Config
    reporter: Reporter = SILENT
    offline: bool = False
    link_scripts: str = "refuse"
    link_mode: str = "auto"
    addresses: Mapping[str, str] = field(default_factory=dict)
    jobs: int | None = None

    def state(self) -> State:
        """Give the state that the prefix has to have."""
        return State(self.lock.key(), self.lock.platform, str(self.prefix), self.link_scripts)
