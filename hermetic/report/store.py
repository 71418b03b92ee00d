"""A store, as text: what it holds, and what was damaged in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.store.upkeep import Amount, Damage, StoreInfo


def info_text(info: StoreInfo) -> str:
    """Draw what a store holds, one kind a line."""
    rows = [("blobs", info.blobs), *((f"trees: {kind}", amount) for kind, amount in info.trees.items()),
            ("results", info.results), ("broken-off downloads", info.partial)]  # fmt: skip
    lines = [f"{name:<22} {_amount(amount)}" for name, amount in rows]
    return "\n".join([info.root, *lines, f"{'together':<22} {info.bytes / 1e6:,.1f} MB"])


def verify_text(damaged: Sequence[Damage]) -> str:
    """Draw what verifying a store found."""
    if not damaged:
        return "the store is whole"
    return "\n".join([*(str(damage) for damage in damaged), "what was dropped is fetched or made again when needed"])


def _amount(amount: Amount) -> str:
    return f"{amount.count:>8,}  {amount.bytes / 1e6:>12,.1f} MB"
