"""What the store's tests download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.faulty import FaultyServer

from hermetic.store.fetch import Artifact


@dataclass(frozen=True)
class Good:
    """A file on the server."""

    name: str
    data: bytes
    sha256: str
    server: FaultyServer

    def artifact(self, *urls: str, size: int | None = -1) -> Artifact:
        size = len(self.data) if size == -1 else size
        return Artifact(self.name, urls or (f"{self.server.url}/{self.name}",), self.sha256, size)


def names_in(folder: Path) -> list[str]:
    """Give the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
