"""What Alembic runs: the steps on the connection, and in the transaction, that it was given (schema.py)."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="hermetic_schema")
context.run_migrations()
