"""Specs: what a person declares, read from every kind of file into one ``Spec``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hermetic.spec.model import CondaRequirement, PipOptions, PipRequirement, Spec

if TYPE_CHECKING:
    from hermetic.spec.load import LoadedSpec, load_spec

__all__ = ["CondaRequirement", "LoadedSpec", "PipOptions", "PipRequirement", "Spec", "load_spec"]


def __getattr__(name: str) -> Any:
    """Import the readers when they are asked for: most rooms need only the values."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("hermetic.spec.load"), name)
