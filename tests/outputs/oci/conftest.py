"""What tests of images share: a store that is warm from earlier runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

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
