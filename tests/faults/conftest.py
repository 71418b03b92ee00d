"""A locked project on tiny real goods, made once; each test has its own machine, and servers that misbehave."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.desk import Desk, make_goods, take
from support.faulty import FaultyServer, faulty


@pytest.fixture(scope="session")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel and a folder of wheels. Read only."""
    return make_goods(tmp_path_factory.mktemp("goods"))


@pytest.fixture(scope="session")
def locked(goods: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its lock, which names no address. Read only."""
    desk = Desk(tmp_path_factory.mktemp("locked"))
    desk.declare("python", "app", pip=("tool",))
    with faulty(goods / "wheels", index=True) as index:
        desk.shops(goods / "channel", index.url)
        desk("lock")
    return desk.project


@pytest.fixture
def own_goods(goods: Path, tmp_path: Path) -> Path:
    """A copy of the goods that the test may spoil."""
    return shutil.copytree(goods, tmp_path / "goods")


@pytest.fixture
def channel(own_goods: Path) -> Iterator[FaultyServer]:
    """The channel on a server."""
    with faulty(own_goods / "channel") as server:
        yield server


@pytest.fixture
def index(own_goods: Path) -> Iterator[FaultyServer]:
    """The index on a server."""
    with faulty(own_goods / "wheels", index=True) as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, channel: FaultyServer, index: FaultyServer) -> Desk:
    """A machine with an empty project, and the addresses of channel and index."""
    desk = Desk(tmp_path)
    desk.shops(channel.url, index.url)
    return desk


@pytest.fixture
def at_build(desk: Desk, locked: Path) -> Desk:
    """A machine with the locked project, which was never built."""
    return take(locked, desk)
