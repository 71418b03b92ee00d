"""A process that is killed in the middle of an upload: nobody ever sees a part of it, and the next one succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from object_contract import WHEEL, written
from support.azurite import ACCOUNT, azurite
from support.forwarding import Fault, forwarding
from support.gcs import gcs_server
from support.s3 import s3_server

from hermetic.store.objects import open_objects
from hermetic.store.objects.reading import PART
from hermetic.workspace_config import WorkspaceAddress

UPLOAD = """
import sys
from pathlib import Path
from hermetic.store.objects import open_objects
from hermetic.workspace_config import WorkspaceAddress
address = WorkspaceAddress("team", Path("/nonexistent"), artefacts=sys.argv[1])
print(open_objects(address).put(sys.argv[2], Path(sys.argv[3]), sha256=sys.argv[4]))
"""


@contextmanager
def keeper(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, str], list[Fault]]]:
    """Run a keeper of objects; give the address, the environment, and the list of what spoils its requests."""
    with ExitStack() as stack:
        if kind == "s3":
            s3 = stack.enter_context(s3_server())
            s3.make_bucket(f"crash-{os.getpid()}")
            yield f"s3://crash-{os.getpid()}/x", s3.environment, s3.faults
        elif kind == "gcs":
            gcs = stack.enter_context(gcs_server(folder))
            gcs.buckets["crash"] = {}
            yield "gs://crash/x", gcs.environment, gcs.faults
        else:
            server = stack.enter_context(azurite(folder))
            server.make_container("crash")
            way = stack.enter_context(forwarding(server.url.partition("://")[2]))
            text = server.connection_string.replace(server.url, way.url)
            yield f"az://{ACCOUNT}/crash/x", {"AZURE_STORAGE_CONNECTION_STRING": text}, way.faults


LAST: dict[str, Callable[[str, str], bool]] = {
    "s3": lambda method, path: method == "POST" and "uploadId" in path,
    "azure": lambda method, path: "comp=blocklist" in path,
    "gcs": lambda method, path: method == "PUT" and "upload_id" in path,
}
"""The request that would make the object, or for GCS the first of those that carry it."""


@pytest.mark.parametrize("kind", LAST)
def test_a_killed_upload_leaves_nothing_to_see(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, digest = written(tmp_path, os.urandom(2 * PART + 1))
    data = tmp_path / "data"
    data.mkdir()
    with keeper(kind, data) as (address, environment, faults):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        killed: list[int] = []

        def kill(method: str, target: str) -> str | None:
            if not LAST[kind](method, target) or killed:
                return None
            killed.append(running.pid)
            os.kill(running.pid, signal.SIGKILL)
            return "drop"

        faults.append(kill)
        command = [sys.executable, "-c", UPLOAD, address, WHEEL, str(path), digest]
        running = subprocess.Popen(command)
        assert running.wait() == -signal.SIGKILL
        assert killed
        objects = open_objects(WorkspaceAddress("team", tmp_path, artefacts=address))
        assert objects.size(WHEEL) is None
        assert list(objects.keys("")) == []
        again = subprocess.run(command, capture_output=True, text=True, check=True)
        assert again.stdout.strip() == "True"
        assert objects.size(WHEEL) == 2 * PART + 1
