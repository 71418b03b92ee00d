"""The embedded base on full disks, killed at any moment, and made by several processes at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deb_samples import apt_environment, base_debs, write_archive
from support.mounts import room
from support.needs import require
from support.servers import serve

CODE = """
import sys
from pathlib import Path
from hermetic.errors import HermeticError
from hermetic.outputs.oci.bases.embedded import *
from hermetic.store import Store
try:
    store = Store.open(Path(sys.argv[1]))
    image = open_embedded(pin_embedded("linux-64", store=store), "linux-64", store=store)
    print(image.digest)
except HermeticError as error:
    print(error.code, error.message, error.remedy, sep="\\n", file=sys.stderr)
    sys.exit(error.exit_status)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a machine whose only mirror is an archive on loopback."""
    require(shutil.which("apt-get"), "there is no apt here")
    packages = base_debs()
    folder = tmp_path / "archive"
    write_archive(folder, packages)
    with serve(folder) as server:
        yield {**os.environ, **apt_environment(tmp_path, server.url)}


def made(settings: dict[str, str], store: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", CODE, str(store)]
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


def test_a_full_disk_is_told_and_a_second_try_goes_on(settings: dict[str, str], tmp_path: Path) -> None:
    digest = made(settings, tmp_path / "roomy").stdout
    assert digest.startswith("sha256:")
    with room() as place:
        disk = tmp_path / "disk"
        place.small(disk, 4 << 20)
        failed = 0
        for leaving in (0, 16 << 10, 64 << 10, 160 << 10, 200 << 10, 260 << 10, 320 << 10):
            filler = place.fill(disk, leaving=leaving)
            result = made(settings, disk / "store", *place.within(tmp_path))
            if result.returncode:
                failed += 1
                assert result.returncode == 6, result.stderr
                code, message, remedy = result.stderr.strip().splitlines()[:3]
                assert code == "machine"
                assert str(disk) in message
                assert "space" in remedy
            else:
                assert result.stdout == digest
            filler.unlink()
        assert failed >= 2
        assert made(settings, disk / "store", *place.within(tmp_path)).stdout == digest


def test_killed_at_any_moment_it_is_made_whole_the_next_time(settings: dict[str, str], tmp_path: Path) -> None:
    start = time.monotonic()
    digest = made(settings, tmp_path / "whole").stdout
    whole = time.monotonic() - start
    store = tmp_path / "store"
    moments = random.Random(7)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(store)],
            env=settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(whole * moments.uniform(0.1, 0.9))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert made(settings, store).stdout == digest


def test_several_processes_make_it_at_once(settings: dict[str, str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-c", CODE, str(store)]
    running = [
        subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    results = [process.communicate() for process in running]
    assert {out for out, _ in results} == {made(settings, store).stdout}, results
