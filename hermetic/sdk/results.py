"""What building gives: an environment on disk, or an image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hermetic.lock.model import Lock
from hermetic.workspace_config import WorkspaceAddress


@dataclass(frozen=True)
class LocalBuild:
    """An environment on this machine's disk.

    ``key`` is the sha256 over what determines its bytes; ``changed`` is False where it was there already.
    ``workspace`` tells where secrets are looked up (None: where the process's working folder says).
    """

    prefix: Path
    key: str
    changed: bool
    lock: Lock = field(repr=False)
    lock_path: Path | None = None
    warnings: tuple[str, ...] = field(default=(), repr=False)
    workspace: WorkspaceAddress | None = field(default=None, repr=False, compare=False)

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.prefix / ("python.exe" if os.name == "nt" else "bin/python")

    def environment_variables(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the variables that a process in the environment gets, on top of ``base`` (default: this process's).

        Secrets that they refer to are put in. Raises CredentialsError for one that is not there.
        """
        from hermetic.outputs.prefix.activation import activation_environment
        from hermetic.sdk.vaults import lookup_in, use_vault_of

        use_vault_of(None)
        lookup = lookup_in(self.workspace) if self.workspace else None
        return activation_environment(self.prefix, os.environ if base is None else base, lookup)


@dataclass(frozen=True)
class LocalImage:
    """An image of an environment: ``reference`` is its name, ``image_id`` what the Docker Engine knows it by.

    ``digest`` is that of its manifest, by which a registry knows it; ``pushed`` tells whether one has it.
    ``changed`` is False where everything was there already.
    """

    reference: str
    digest: str
    image_id: str
    changed: bool
    pushed: bool
    lock: Lock = field(repr=False)
    lock_path: Path | None
    warnings: tuple[str, ...] = field(default=(), repr=False)
