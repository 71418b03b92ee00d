"""Telling where references to secrets reach tools that do not look them up."""

from __future__ import annotations

from hermetic.events import Reporter
from hermetic.lock.model import PlatformLock


def warn_of_secrets(lock: PlatformLock, what: str, reporter: Reporter) -> None:
    """Warn of an environment's variables that refer to secrets; ``what`` tells what becomes of them."""
    if names := [name for name, value in lock.variables if "${secret:" in value]:
        reporter.warn(f"{', '.join(names)}: a reference to a secret, and {what}: whoever uses it sets the value")
