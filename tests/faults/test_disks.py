"""Disks that are full or read-only: said where and what to do, the old environment stays, and then it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.desk import Desk, snapshot
from support.mounts import Room, room

MB = 1 << 20


@pytest.fixture
def place() -> Iterator[Room]:
    with room() as held:
        yield held


@pytest.fixture
def roomy(at_build: Desk, place: Room) -> Desk:
    """The machine with the locked project, in a room where disks can be put."""
    return replace(at_build, within=place.within(at_build.project))


def old_environment(desk: Desk) -> None:
    """Build app 1.0, and put the lock with app 2.0 back."""
    locked, declared = desk.lock.read_bytes(), (desk.project / "hermetic.toml").read_bytes()
    desk.declare("app <2")
    desk("build")
    desk.lock.write_bytes(locked)
    (desk.project / "hermetic.toml").write_bytes(declared)


def used(place: Room, folder: Path) -> int:
    return shutil.disk_usage(place.seen(folder)).used


def check_told(stderr: str, folder: Path) -> None:
    assert "No space left" in stderr or "no space is left" in stderr, stderr
    assert str(folder) in stderr, stderr
    assert len(stderr.strip().splitlines()) >= 2, "no remedy"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_store_on_a_full_disk(roomy: Desk, place: Room, share: float) -> None:
    disk = roomy.store.parent
    place.small(disk, 8 * MB)
    roomy("build", "--prefix", str(roomy.root / "measured"))
    needed = used(place, disk)
    shutil.rmtree(place.seen(roomy.store))

    old_environment(roomy)
    filler = place.fill(disk, leaving=max(0, int(needed * share) - used(place, disk)))
    result = roomy("build", status=6)
    check_told(result.stderr, roomy.store)
    assert "HERMETIC_STORE" in result.stderr
    assert roomy.says().startswith("app 1.0 on base 1.0")
    filler.unlink()
    roomy("build")
    assert roomy.says().startswith("app 2.0 on base 2.0")
    roomy("verify")
    roomy("store", "verify")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_prefix_on_a_full_disk(roomy: Desk, place: Room, share: float) -> None:
    disk = roomy.root / "other-disk"
    place.small(disk, 8 * MB)
    roomy("build", "--prefix", str(disk / "env"))
    needed = used(place, disk)
    shutil.rmtree(place.seen(disk / "env"))
    filler = place.fill(disk, leaving=int(needed * share))
    result = roomy("build", "--prefix", str(disk / "env"), status=6)
    check_told(result.stderr, disk)
    assert [path.name for path in place.seen(disk).iterdir()] == ["filler"]
    filler.unlink()
    roomy("build", "--prefix", str(disk / "env"))
    roomy("verify", str(disk / "env"))


def test_a_project_on_a_full_disk_keeps_its_lock_and_its_spec(at_build: Desk, place: Room) -> None:
    disk = at_build.root / "other-disk"
    place.small(disk, 8 * MB)
    inside = disk / "project"
    shutil.copytree(at_build.project, place.seen(inside))
    desk = replace(at_build, within=place.within(inside))
    place.fill(disk)
    before = snapshot(place.seen(inside))
    for verb in (
        ("add", "spare"),
        ("lock", "--update", "*"),
        ("init", "other"),
        ("export", "-f", "explicit", "-o", "x"),
    ):
        result = desk(*verb, status=None)
        if verb[0] == "lock":  # nothing moves, so nothing is written
            assert result.returncode == 0
        else:
            assert result.returncode == 6, (verb, result.stderr)
            check_told(result.stderr, inside)
        assert snapshot(place.seen(inside)) == before, verb


def test_caches_on_a_full_disk(roomy: Desk, place: Room) -> None:
    before = snapshot(roomy.project)
    place.small(roomy.store.parent, MB)
    filler = place.fill(roomy.store.parent)
    check_told(roomy("add", "spare", status=6).stderr, roomy.store.parent)
    filler.unlink()
    place.small(roomy.home, MB)
    place.fill(roomy.home)
    result = roomy("add", "spare", status=None)
    if result.returncode:  # the resolver's own cache
        assert result.returncode == 6
        assert "space" in result.stderr
        assert snapshot(roomy.project) == before


def test_a_read_only_place_for_the_prefix(roomy: Desk, place: Room) -> None:
    parent = roomy.root / "fixed"
    place.read_only(parent)
    result = roomy("build", "--prefix", str(parent / "env"), status=6)
    assert "ead-only" in result.stderr
    assert str(parent) in result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2
    place.writable(parent)
    roomy("build", "--prefix", str(parent / "env"))


def test_a_read_only_store(roomy: Desk, place: Room) -> None:
    place.read_only(roomy.store.parent)
    result = roomy("build", status=6)
    assert "ead-only" in result.stderr
    assert "HERMETIC_STORE" in result.stderr
    assert not roomy.prefix.exists()
    place.writable(roomy.store.parent)
    roomy("build")
    place.read_only(roomy.store.parent)
    assert "nothing to do" in roomy("build").stdout
    roomy("run", "default", "--", "app")
    roomy("store", "info")


def test_a_read_only_project_is_built_and_checked(roomy: Desk, place: Room) -> None:
    place.read_only(roomy.project)
    roomy("lock", "--check")
    prefix = roomy.root / "env"
    roomy("build", "--locked", "--prefix", str(prefix))
    roomy("build", "--locked", "--prefix", str(prefix))
    roomy("verify", str(prefix))
    result = roomy("add", "spare", status=6)
    assert "ead-only" in result.stderr
    roomy("build", status=6)  # .hermetic cannot be made
