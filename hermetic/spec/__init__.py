"""Specs: what a person declares, read from any of the field's files into one immutable value."""

from hermetic.spec.model import CondaRequirement, PipOptions, PipRequirement, Spec

__all__ = ["CondaRequirement", "PipOptions", "PipRequirement", "Spec"]
