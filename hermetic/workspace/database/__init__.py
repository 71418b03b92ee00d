"""A workspace's metadata: SQLite in its folder, or PostgreSQL for a team; one schema, one set of statements."""

from hermetic.workspace.database.engine import Database

__all__ = ["Database"]
