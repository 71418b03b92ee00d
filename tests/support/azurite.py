"""Microsoft's emulator of Azure Blob on loopback: it enforces signatures and their expiry.

with azurite(tmp_path) as server:
    server.environment          # what Azure's clients need to be told
    server.make_container("team")
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.needs import require
from support.registries import _tied

_START = 60.0
ACCOUNT = "team1"
KEY = "aGVybWV0aWMtaGVybWV0aWMtaGVybWV0aWMtaGVybWV0aWM="


@dataclass
class Azurite:
    """A running emulator with one account."""

    url: str

    @property
    def connection_string(self) -> str:
        return f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url}/{ACCOUNT};"

    @property
    def environment(self) -> dict[str, str]:
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string}

    def make_container(self, name: str) -> Any:
        """Make a container, and give Microsoft's own client of it."""
        from azure.storage.blob import ContainerClient

        client = ContainerClient.from_connection_string(self.connection_string, name)
        client.create_container()
        return client


@contextmanager
def azurite(folder: Path, *options: str) -> Iterator[Azurite]:
    """Run the emulator while the block runs, on a free port, with its data in ``folder``."""
    program = os.environ.get("HERMETIC_AZURITE") or shutil.which("azurite-blob")
    require(program, "azurite is not installed (npm install azurite; HERMETIC_AZURITE names its azurite-blob)")
    assert program
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", str(folder), "--disableTelemetry"]
    log = folder / "azurite.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*_tied(), *command, "--skipApiVersionCheck", "--silent", *options],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
        )
    try:
        yield Azurite(_address(process, log))
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listen\w* (?:at|on) (https?://127\.0\.0\.1:[1-9]\d*)", log.read_text()):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"azurite did not start:\n{log.read_text()}")
