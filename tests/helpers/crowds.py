"""Runs registering_crowd.py: many real processes at one workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hermetic.workspace_config import WorkspaceAddress

HELPERS = Path(__file__).parent


def crowd(address: WorkspaceAddress, *words: object) -> list[str]:
    """Run helpers/registering_crowd.py; give its lines."""
    with started(address, *words) as process:
        out, _ = process.communicate()
    assert not process.returncode
    return out.splitlines()


def started(address: WorkspaceAddress, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HELPERS / "registering_crowd.py"), str(address.folder), address.database,
         *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(HELPERS)},
    )  # fmt: skip
