"""hermetic: lock once, build the same bytes anywhere.

The public names load on first use, so that ``import hermetic`` costs nothing.
"""
