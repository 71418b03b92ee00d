"""A real-sized answer from real records: 345 packages, and what moves when something is added or updated."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from hermetic.config import Config
from hermetic.lock.file import format_lock
from hermetic.lock.model import CondaPackage, Lock
from hermetic.lock.resolve import resolve
from hermetic.spec.matchspec import canonical_match
from hermetic.spec.model import Spec

SHARED = Path(os.environ.get("HERMETIC_SHARED", Path(__file__).parents[3] / "shared"))
SAMPLE = SHARED / "conda-data" / "repodata" / "conda-forge-sample"
WANTED = ["python 3.11.*", "xarray", "dask", "gdal", "geopandas", "matplotlib", "pyarrow", "jupyterlab"]

pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="the shared repodata is not here")


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "channel"
    for subdir in ("linux-64", "noarch"):
        (folder / subdir).mkdir(parents=True)
        with (
            (SAMPLE / subdir / "repodata.json.zst").open("rb") as packed,
            (folder / subdir / "repodata.json").open("wb") as out,
        ):
            zstandard.ZstdDecompressor().copy_stream(packed, out)
    return folder


def lock(channel: Path, *wanted: str, previous: Lock | None = None, update: list[str] | None = None,
         newest: str | None = None) -> Lock:  # fmt: skip
    spec = Spec(channels=("forge",), conda=tuple(map(canonical_match, wanted)), platforms=("linux-64",))
    config = Config(channels={"forge": str(channel)}, store=channel.parent / "cache")
    return resolve(spec, config=config, previous=previous, update=update, exclude_newer=newest).lock


def packages(found: Lock) -> dict[str, CondaPackage]:
    return {package.name: package for package in found.platforms["linux-64"].conda}


@pytest.fixture(scope="module")
def old(channel: Path) -> Lock:
    """The lock of a day in 2025."""
    return lock(channel, *WANTED, newest="2025-06-01")


def test_the_answer_is_whole_and_the_same_again(channel: Path) -> None:
    found = lock(channel, *WANTED)
    assert len(packages(found)) > 300
    assert format_lock(found) == format_lock(lock(channel, *reversed(WANTED)))


def test_nothing_of_later_is_in_a_lock_of_a_day(old: Lock) -> None:
    latest = max(package.timestamp for package in packages(old).values())
    assert latest <= datetime(2025, 6, 2, tzinfo=UTC).timestamp() * 1000


def test_one_requirement_more_moves_nothing(channel: Path, old: Lock) -> None:
    before, after = packages(old), packages(lock(channel, *WANTED, "flask", previous=old))
    assert "flask" in after.keys() - before.keys()
    assert {name: after[name] for name in before} == before


def test_an_update_moves_what_it_names_and_little_else(channel: Path, old: Lock) -> None:
    before, after = packages(old), packages(lock(channel, *WANTED, previous=old, update=["pandas"], newest="none"))
    moved = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert "pandas" in moved
    assert len(moved) <= 3


def test_what_must_move_moves(channel: Path, old: Lock) -> None:
    before = packages(old)
    after = packages(lock(channel, *WANTED[1:], "python 3.12.*", previous=old))
    assert after["python"].version.startswith("3.12")
    assert sum(before[name] == after[name] for name in before.keys() & after.keys()) > 150
