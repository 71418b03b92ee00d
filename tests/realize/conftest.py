from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefix_samples import config, from_channel, lock_of
from support.needs import require

from hermetic.config import Config
from hermetic.errors import MachineError
from hermetic.lock.model import PlatformLock
from hermetic.lock.source import BuildRequirements, BuiltWheel, SourceBuild
from hermetic.outputs.prefix.building import source_builder
from hermetic.platforms import current_platform
from hermetic.realize.sandbox import usable_backend
from hermetic.realize.source_build import SourceBuilder
from hermetic.spec.model import PipRequirement
from hermetic.store import Store

SHARED = ("build-environment", "conda", "pyc")


@dataclass(frozen=True)
class Workshop:
    """A builder with a store of its own, and a Python of a real channel."""

    builder: SourceBuilder
    environment: PlatformLock
    elsewhere: Callable[[], Workshop]
    """Gives a workshop on another machine: nothing was ever built there."""

    @property
    def store(self) -> Store:
        return self.builder.store

    def build(
        self, source: SourceBuild, *found: BuildRequirements, asked: list[tuple[PipRequirement, ...]] | None = None
    ) -> BuiltWheel:
        """Build; what the build requires is answered by ``found``, one after the other, and noted in ``asked``."""
        answers = list(found)

        def requirements(wanted: tuple[PipRequirement, ...]) -> BuildRequirements:
            if asked is not None:
                asked.append(tuple(wanted))
            return answers.pop(0)

        built = self.builder(source, self.environment, requirements)
        assert not answers, "fewer questions than answers"
        return built


@pytest.fixture(scope="session")
def python_environment(channel: Path) -> PlatformLock:
    """A lock of the channel's Python and all that it depends on."""
    names = ["python"]
    for name in names:
        (package,) = lock_of(from_channel(channel, name)).conda
        names += [d for match in package.depends if not (d := match.split()[0]).startswith("__") and d not in names]
    return lock_of(from_channel(channel, *names), platform=current_platform())


@pytest.fixture(scope="session")
def made_environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the environments that builds need: making one takes seconds, so all workers share them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "build-environments"
    for kind in SHARED:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    return folder


def share_environments(store: Path, made: Path) -> Path:
    """Let a store have the environments of all others: they are named by keys over all that is in them."""
    (store / "trees").mkdir(parents=True)
    for kind in SHARED:
        (store / "trees" / kind).symlink_to(made / kind)
    return store


@pytest.fixture
def workshop(channel: Path, python_environment: PlatformLock, made_environments: Path, tmp_path: Path) -> Workshop:
    try:
        usable_backend()
    except MachineError as error:
        require(False, error.message)
    settings: Config = config(channel)
    numbers = iter(range(100))

    def elsewhere() -> Workshop:
        store = Store.open(share_environments(tmp_path / f"store-{next(numbers)}", made_environments))
        return Workshop(source_builder(store, settings), python_environment, elsewhere)

    return elsewhere()
