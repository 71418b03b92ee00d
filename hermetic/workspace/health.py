"""What a workspace consists of, how much there is of it, and whether each part can be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hermetic.config import Config
from hermetic.errors import HermeticError
from hermetic.secrets import redact
from hermetic.workspace_config import WorkspaceAddress


@dataclass(frozen=True)
class Part:
    """A part of a workspace: where it stands, how many things of each kind it holds, and what is wrong with it."""

    name: str
    where: str
    counts: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the part as JSON-ready values."""
        return {"where": self.where, "counts": dict(self.counts), "trouble": self.trouble or None}


@dataclass(frozen=True)
class Health:
    """A workspace as it is now. ``file`` declares it."""

    name: str
    folder: str
    file: str
    parts: tuple[Part, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not any(part.trouble for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON-ready values."""
        parts = {part.name: part.to_dict() for part in self.parts}
        return {"name": self.name, "folder": self.folder, "file": self.file, "good": self.good, "parts": parts}


def look_at(address: WorkspaceAddress, config: Config) -> Health:
    """Ask every part of a workspace. What a part answers in error is told, not raised."""
    parts = [
        _part("database", _database, address),
        _part("artefacts", _artefacts, address),
        Part("registry", redact(address.registry or config.registry)),
        _part("keyvault", _keyvault, address),
    ]
    if not _is_remote(address):
        parts.append(_part("keys of the file server", _keys, address))
    place = address.place
    return Health(address.name, str(address.folder), place.file if place else "", tuple(parts))


def _part(name: str, ask: Callable[[WorkspaceAddress], tuple[str, dict[str, int]]], address: WorkspaceAddress) -> Part:
    try:
        where, counts = ask(address)
    except (HermeticError, OSError) as error:
        said = error.message if isinstance(error, HermeticError) else error.strerror or type(error).__name__
        advice = f" ({error.remedy})" if isinstance(error, HermeticError) and error.remedy else ""
        stated = address.database if name == "database" else address.artefacts if name == "artefacts" else ""
        return Part(name, redact(stated), trouble=redact(said + advice))
    return Part(name, where, counts)


def _database(address: WorkspaceAddress) -> tuple[str, dict[str, int]]:
    from sqlalchemy import func, select

    from hermetic.workspace.database import tables
    from hermetic.workspace.workspace import Workspace

    workspace = Workspace.open(address)
    try:
        with workspace.database.read() as connection:
            kinds = (tables.environments, tables.versions, tables.images, tables.builds)
            counts = {kind.name: int(connection.scalar(select(func.count()).select_from(kind)) or 0) for kind in kinds}
        return workspace.database.where, counts
    finally:
        workspace.close()


def _artefacts(address: WorkspaceAddress) -> tuple[str, dict[str, int]]:
    from hermetic.store.objects import open_objects

    objects = open_objects(address)
    if _is_served(address):
        from hermetic.store.objects.served import check_health

        check_health(objects.where)
        return objects.where, {}
    counts = {kind: sum(1 for _ in objects.keys(f"{kind}/")) for kind in ("wheels", "locks")}
    return objects.where, counts


def _keyvault(address: WorkspaceAddress) -> tuple[str, dict[str, int]]:
    from hermetic.workspace.keyvault.keyvault import Keyvault

    vault = Keyvault(address)
    return vault.kind, {"secrets": len(vault.names())}


def _keys(address: WorkspaceAddress) -> tuple[str, dict[str, int]]:
    from hermetic.workspace.serving.keys import KeyFile

    file = KeyFile(address.folder)
    ring = file.read()
    good = sum(1 for item in ring.keys if item.key)
    counts = {"good": good, "revoked": len(ring.keys) - good, "revoked artefacts": len(ring.revoked)}
    return (str(file.path), counts) if ring.keys or ring.revoked else ("", {})


def _is_remote(address: WorkspaceAddress) -> bool:
    return "://" in address.artefacts or address.artefacts.startswith("${")


def _is_served(address: WorkspaceAddress) -> bool:
    from hermetic.secrets import expand

    return expand(address.artefacts).startswith(("http://", "https://"))
