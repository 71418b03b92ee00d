"""Prefixes: conda environments on disk, built from a lock, proved against it, and activated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hermetic.outputs.prefix.activation import activation_environment
    from hermetic.outputs.prefix.build import BuildResult, build_prefix
    from hermetic.outputs.prefix.state import State, is_current, read_state
    from hermetic.outputs.prefix.verify import Finding, verify_prefix

__all__ = [
    "BuildResult",
    "Finding",
    "State",
    "activation_environment",
    "build_prefix",
    "is_current",
    "read_state",
    "verify_prefix",
]

_MODULES = {
    "BuildResult": "build",
    "Finding": "verify",
    "State": "state",
    "activation_environment": "activation",
    "build_prefix": "build",
    "is_current": "state",
    "read_state": "state",
    "verify_prefix": "verify",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: a no-op build reads a state and must not pay for a build."""
    if name not in _MODULES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
