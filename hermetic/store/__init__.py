"""The store: content-addressed blobs and the action cache, and everything that writes them."""

from hermetic.store.store import Store

__all__ = ["Store"]
