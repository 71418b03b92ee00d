"""The store: content-addressed blobs, the action cache and finished trees, and everything that writes them."""

from hermetic.store.store import Store

__all__ = ["Store"]
