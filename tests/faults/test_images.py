"""Image builds on full disks, killed at any moment, and several at once: nothing half-made, and the same digest."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.desk import Desk
from support.mounts import Room, room
from support.registries import Registry, registry

MB = 1 << 20


@pytest.fixture
def imaged(at_build: Desk) -> Desk:
    """The machine with the locked project, whose image stands on nothing."""
    manifest = at_build.project / "hermetic.toml"
    manifest.write_text(manifest.read_text() + 'base = "scratch"\n')
    at_build("base", "pin")
    return at_build


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as found:
        yield found


def build(desk: Desk, folder: Path) -> str:
    """Write the image to a folder, and give its digest."""
    return str(json.loads(desk("build", "--oci-layout", str(folder), "--json").stdout)["digest"])


def whole(folder: Path) -> bool:
    """Tell whether another reader takes a layout, every blob included."""
    ran = subprocess.run(
        ["skopeo", "copy", f"oci:{folder}", f"dir:{folder}.copy"], capture_output=True, text=True, check=False
    )
    shutil.rmtree(f"{folder}.copy", ignore_errors=True)
    return ran.returncode == 0


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_a_full_disk(imaged: Desk, share: float) -> None:
    with room() as place:
        desk = replace(imaged, within=place.within(imaged.project))
        for disk in (desk.store.parent, desk.root / "images"):
            place.small(disk, 16 * MB)
        digest = build(desk, desk.root / "images" / "one")
        for disk, gone in ((desk.root / "images", "one"), (desk.store.parent, "store")):
            _fill_and_mend(desk, place, disk, gone, share, digest)


def _fill_and_mend(desk: Desk, place: Room, disk: Path, gone: str, share: float, digest: str) -> None:
    needed = shutil.disk_usage(place.seen(disk)).used
    shutil.rmtree(place.seen(disk / gone))
    shutil.rmtree(place.seen(desk.root / "images" / "one"), ignore_errors=True)
    filler = place.fill(disk, leaving=int(needed * share))
    result = desk("build", "--oci-layout", str(desk.root / "images" / "one"), status=6)
    assert "no space" in result.stderr.lower(), result.stderr
    assert str(disk) in result.stderr
    assert len(result.stderr.strip().splitlines()) >= 2, "no remedy"
    assert not place.seen(desk.root / "images" / "one").exists()
    filler.unlink()
    assert build(desk, desk.root / "images" / "one") == digest
    desk("store", "verify")


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(imaged: Desk, hub: Registry, seed: int) -> None:
    digest = build(imaged, imaged.root / "image")
    start = time.monotonic()
    arguments = ("build", "--image", f"{hub.host}/app:1", "--push", "--oci-layout", str(imaged.root / "out"))
    shutil.rmtree(imaged.store)
    imaged(*arguments)
    full = time.monotonic() - start
    for number in range(3):
        shutil.rmtree(imaged.store)
        shutil.rmtree(imaged.root / "out", ignore_errors=True)
        hub.stop()
        shutil.rmtree(hub.storage)
        hub.start()
        process = imaged.start(*arguments)
        moment = full * (number + random.Random(seed).random()) / 3
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (imaged.root / "out").exists() or whole(imaged.root / "out")
        assert json.loads(imaged(*arguments, "--json").stdout)["digest"] == digest
        assert whole(imaged.root / "out")
        assert hub.inspect("app:1")["Digest"] == digest
        imaged("store", "verify")


def test_several_at_once(imaged: Desk, hub: Registry) -> None:
    running = [
        imaged.start("build", "--image", f"{hub.host}/app:{n}", "--push", "--oci-layout", str(imaged.root / f"out{n}"))
        for n in range(3)
    ]
    for process in running:
        said, errors = process.communicate(timeout=120)
        assert process.returncode == 0, said + errors
    assert len({hub.inspect(f"app:{n}")["Digest"] for n in range(3)}) == 1
    assert all(whole(imaged.root / f"out{n}") for n in range(3))
    imaged("store", "verify")
