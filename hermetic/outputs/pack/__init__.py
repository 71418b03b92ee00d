"""Packs: an environment in one file that unpacks itself, on machines without a network and without hermetic."""

from __future__ import annotations

from hermetic.outputs.pack.pack import COMPRESSIONS, Pack, pack

__all__ = ["COMPRESSIONS", "Pack", "pack"]
