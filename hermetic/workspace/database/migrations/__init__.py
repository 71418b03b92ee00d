"""Steps from each schema of the database to the next (Alembic); the newest is ``schema.HEAD``.

A new step is a module in ``versions`` named ``rNNNN_what.py`` with the next ``revision`` and its ``down_revision``; it
says by itself what changes and imports nothing of ours, since tables.py moves on. It must work on SQLite and
PostgreSQL in one transaction, lose nothing, and needs no way back: a backup is one.
"""
