"""The store: content-addressed blobs and the action cache, and everything that writes them."""
