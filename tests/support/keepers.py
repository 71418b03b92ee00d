"""Keepers of a workspace's artefacts that sign addresses, each of the real kind, behind a pipe that sees all requests.

with keeper("s3", tmp_path) as found:
    url = found.keep(wheel)         # the stable URL of a wheel that is kept there now
    found.artefacts, found.environment
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from unittest import mock

from hermetic.spec.private_urls import parse_private, private_url
from hermetic.store.objects import open_objects
from hermetic.workspace_config import WorkspaceAddress
from support.azurite import azurite
from support.gcs import gcs_server
from support.pipe import Pipe, pipe
from support.s3 import s3_server

KINDS = ("s3", "azure", "gcs", "served")


def _no_clock(_seconds: float) -> None:
    raise AssertionError("the clock of this keeper is the machine's")


@dataclass
class Keeper:
    """Where artefacts are kept. ``later`` sets the keeper's clock ahead; ``secrets`` are what proves who we are."""

    artefacts: str
    environment: Mapping[str, str]
    pipe: Pipe
    place: Callable[[str, Path], object]
    later: Callable[[float], None] = _no_clock
    secrets: tuple[str, ...] = ()
    kept: list[str] = field(default_factory=list)

    def keep(self, wheel: Path) -> str:
        """Keep a wheel; give its stable URL."""
        url = private_url("team", sha256(wheel.read_bytes()).hexdigest(), wheel.name)
        self.place(parse_private(url).key, wheel)
        self.kept.append(url)
        return url


@contextmanager
def keeper(kind: str, folder: Path) -> Iterator[Keeper]:
    """Run a keeper while the block runs, with its data in ``folder``."""
    folder.mkdir(parents=True)
    with {"s3": _s3, "azure": _azure, "gcs": _gcs, "served": _served}[kind](folder) as found:
        yield found


def _uploading(folder: Path, artefacts: str, environment: Mapping[str, str]) -> Callable[[str, Path], object]:
    def place(key: str, path: Path) -> None:
        with mock.patch.dict(os.environ, environment):
            objects = open_objects(WorkspaceAddress("team", folder, artefacts=artefacts))
            objects.put(key, path, sha256=sha256(path.read_bytes()).hexdigest())

    return place


@contextmanager
def _s3(folder: Path) -> Iterator[Keeper]:
    with s3_server() as server, pipe(server.environment["AWS_ENDPOINT_URL_S3"]) as seen:
        bucket = f"team-{token_hex(8)}"  # moto's memory outlives its servers
        server.make_bucket(bucket)
        there = f"s3://{bucket}/artefacts"
        environment = {**server.environment, "AWS_ENDPOINT_URL_S3": seen.url}
        place = _uploading(folder, there, environment)
        yield Keeper(there, environment, seen, place, server.later, (environment["AWS_SECRET_ACCESS_KEY"],))


@contextmanager
def _azure(folder: Path) -> Iterator[Keeper]:
    with azurite(folder) as server, pipe(server.url) as seen:
        server.make_container("team")
        there = "az://team1/team/artefacts"
        environment = {name: text.replace(server.url, seen.url) for name, text in server.environment.items()}
        yield Keeper(there, environment, seen, _uploading(folder, there, environment))


@contextmanager
def _gcs(folder: Path) -> Iterator[Keeper]:
    with gcs_server(folder) as server, pipe(server.environment["STORAGE_EMULATOR_HOST"]) as seen:
        server.buckets["team"] = {}
        there = "gs://team/artefacts"
        environment = {**server.environment, "STORAGE_EMULATOR_HOST": seen.url}
        yield Keeper(there, environment, seen, _uploading(folder, there, environment), server.later)


@contextmanager
def _served(folder: Path) -> Iterator[Keeper]:
    import time

    from hermetic.workspace.serving.keys import KeyFile
    from hermetic.workspace.serving.run import Serving, Settings

    keys = KeyFile(folder)
    ahead = [0.0]
    server = Serving(folder / "artefacts", keys, Settings(port=0), clock=lambda: time.time() + ahead[0])
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    key = keys.add("a test").text()

    def place(name: str, path: Path) -> None:
        target = folder / "artefacts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)

    def later(seconds: float) -> None:
        ahead[0] = seconds

    try:
        with pipe(server.address) as seen:
            secret = key.partition(":")[2]
            yield Keeper(seen.url, {"HERMETIC_WORKSPACE_KEY": key}, seen, place, later, (secret,))
    finally:
        server.stop()
        thread.join()
