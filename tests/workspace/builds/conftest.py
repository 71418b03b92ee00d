"""A yard for each test: see ``support.yard``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support import channel as hand
from support.postgres import PASSWORD, postgres  # noqa: F401  a fixture
from support.yard import Yard, builders, until


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A channel, a store and a folder to work in; no Docker Engine and no registry, unless a test names one."""
    found = Yard(tmp_path, monkeypatch)
    hand.write_package(found.channel, "base", "1.0", files={"share/base.txt": "base\n"})
    hand.write_package(found.channel, "app", "1.0", depends=["base"], files={"bin/app": "#!/bin/sh\n"})
    hand.index(found.channel)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in [name for name in os.environ if name.startswith("HERMETIC_") and name != "HERMETIC_REQUIRE_ALL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HERMETIC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HERMETIC_CHANNELS", f"shop={found.channel}")
    monkeypatch.setenv("HERMETIC_HTTP_RETRIES", "0")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    try:
        yield found
        until(lambda: not builders(tmp_path))
    finally:
        for process in builders(tmp_path):
            os.kill(process, signal.SIGKILL)


@pytest.fixture(params=["sqlite", "postgresql"])
def yards(request: pytest.FixtureRequest, yard: Yard) -> Yard:
    """A yard for either database."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
        yard.database = url.replace(quote(PASSWORD, safe=""), "${DB_PASSWORD}")
        yard.patch.setenv("DB_PASSWORD", PASSWORD)
    return yard
