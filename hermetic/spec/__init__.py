"""Specs: what a person declares, read from every kind of file into one ``Spec``."""

from __future__ import annotations

from hermetic.spec.load import LoadedSpec, load, load_spec
from hermetic.spec.model import CondaRequirement, PipOptions, PipRequirement, Spec

__all__ = ["CondaRequirement", "LoadedSpec", "PipOptions", "PipRequirement", "Spec", "load", "load_spec"]
