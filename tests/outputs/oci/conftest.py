"""What tests of images share: a store that is warm from earlier runs, and a real registry with a proxy before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.registries import Registry, registry
from support.registry_proxy import Proxy, proxy

import hermetic
from hermetic.store import Store


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Store:
    """A store that the tests of all runs share while the code that fills it stays the same."""
    digest = hashlib.sha256()
    for room in ("plan", "realize", "store", "outputs"):
        for source in sorted((Path(hermetic.__file__).parent / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return Store.open(Path(request.config.cache.mkdir("image-stores")) / digest.hexdigest()[:16])


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as found:
        yield found


@pytest.fixture
def middle(real: Registry) -> Iterator[Proxy]:
    with proxy(real.host) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no settings of this machine's user, and little patience."""
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.setenv("HOME", str(found))
    for name in ("DOCKER_CONFIG", "NETRC", "HERMETIC_CONFIG", "XDG_CONFIG_HOME", "RATTLER_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "2")
    monkeypatch.setenv("HERMETIC_HTTP_TIMEOUT", "10")
    return found
