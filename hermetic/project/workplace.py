"""A project without a manifest of its own: what a Python program, or the build of a registered version, works in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hermetic.config import Config
from hermetic.project.project import Project
from hermetic.spec.manifest import find_manifest, load_manifest
from hermetic.workspace_config import WorkspaceAddress


@dataclass(frozen=True)
class Workplace(Project):
    """A folder that declares nothing itself, as the project that the other rooms know.

    ``addresses`` are those of channels' names. ``workspace`` is known by its name whatever the folder is in, and its
    registry is where images go.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    workspace: WorkspaceAddress | None = None

    @property
    def channels(self) -> Mapping[str, str]:
        """Addresses of channels' names."""
        return self.addresses

    def config(self, *, offline: bool = False) -> Config:
        """Give the configuration of the moment."""
        config = super().config(offline=offline)
        mine = self.workspace
        if mine is None:
            return config
        known = {name: found for name, found in config.workspaces.items() if name.lower() != mine.name.lower()}
        return replace(
            config, workspaces={**known, mine.name: mine}, registry=mine.registry.rstrip("/") or config.registry
        )


def addresses_above(folder: Path) -> dict[str, str]:
    """Give the addresses that the nearest ``hermetic.toml`` of a folder or above it gives to channels' names.

    Paths are absolute. Raises SpecError for a manifest that cannot be understood.
    """
    manifest = find_manifest(folder)
    if manifest is None:
        return {}
    found = load_manifest(manifest)
    return {name: absolute_address(address, found.root) for name, address in found.channels.items()}


def absolute_address(address: str, base: Path) -> str:
    """Give a URL, or what starts as one, as it is, and a path as an absolute one."""
    return address if "://" in address or address.startswith("${") else str(base / address)
