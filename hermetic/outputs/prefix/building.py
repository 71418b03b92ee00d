"""Wheels from source for prefixes: the builder that the lock and the prefix share, with environments made here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.events import SILENT, Reporter
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.build import make
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.order import Order
from hermetic.realize.source_build import SourceBuilder

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store


def source_builder(
    store: Store, config: Config, *, reporter: Reporter = SILENT, offline: bool = False
) -> SourceBuilder:
    """Give what builds wheels from source: ``resolve(build_wheel=...)`` takes it, and ``rebuild`` builds again."""

    def make_prefix(lock: PlatformLock, folder: Path, prefix: Path) -> None:
        order = Order(lock, prefix, store, config, offline=offline)
        make(order, obtain(order), folder)

    return SourceBuilder(store, config, make_prefix=make_prefix, reporter=reporter, offline=offline)
