"""What tests of prefixes share: a store that is warm from earlier runs, and a small environment with a real Python."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from prefix_samples import from_channel, lock_of

import hermetic
from hermetic.lock.model import PlatformLock
from hermetic.store import Store

BASE = "python python_abi prefix-probe"


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Store:
    """A store that the tests of all runs share while the code that fills it stays the same."""
    digest = hashlib.sha256()
    for room in ("plan", "realize", "store"):
        for source in sorted((Path(hermetic.__file__).parent / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return Store.open(Path(request.config.cache.mkdir("prefix-stores")) / digest.hexdigest()[:16])


def base_archives(channel: Path) -> list[Path]:
    """Give the archives of a Python that runs."""
    libraries = [path.name.rpartition("-")[0].rpartition("-")[0] for path in (channel / "linux-64").glob("sys-*.conda")]
    return from_channel(channel, *BASE.split(), *libraries)


@pytest.fixture(scope="session")
def archives(channel: Path) -> list[Path]:
    """The archives of a Python that runs, and of a program that knows its prefix."""
    return base_archives(channel)


@pytest.fixture(scope="session")
def python_lock(archives: list[Path]) -> PlatformLock:
    """An environment with a real Python, and a variable."""
    return lock_of(archives, variables={"GREETING": "good morning"})
