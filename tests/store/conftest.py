"""What the store's tests share: an empty store, patience in milliseconds, and files worth downloading."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import Good
from support.faulty import FaultyServer, faulty

from hermetic.store import Store
from hermetic.store.http import Client, Policy

PROXIES = "http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY".split()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, proxies or configuration of the person who runs the tests."""
    for name in [*PROXIES, "NETRC", "RATTLER_AUTH_FILE", "HERMETIC_STORE", "HERMETIC_CONFIG", "HERMETIC_CHANNELS"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def client() -> Client:
    return Client(Policy(timeout=5, retries=2, backoff=0.001))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    with faulty(folder) as running:
        yield running


@pytest.fixture
def goods(server: FaultyServer, tmp_path: Path) -> list[Good]:
    """Three files of 300 kB, always the same, on the server."""
    found = []
    for name in ("one.conda", "two.conda", "three.whl"):
        data = random.Random(name).randbytes(300_000)
        (tmp_path / "served" / name).write_bytes(data)
        found.append(Good(name, data, hashlib.sha256(data).hexdigest(), server))
    return found


@pytest.fixture
def good(goods: list[Good]) -> Good:
    return goods[0]
