"""Connections to a workspace's database: one transaction to read, one to write, for SQLite and PostgreSQL alike.

What is committed stays, after a power cut too. SQLite writes to a log beside the file (WAL), so readers and the one
writer do not wait for each other, and writers take their turn before they read (BEGIN IMMEDIATE), so that none has
to start again. PostgreSQL runs at READ COMMITTED, and whoever changes an environment locks its row.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event

from hermetic.errors import MachineError, Place, UsageError
from hermetic.workspace.database.address import database_url, public_name
from hermetic.workspace.database.errors import translated
from hermetic.workspace_config import WorkspaceAddress

WAIT = 60
"""Seconds that a writer waits for the others."""
_CONNECT = 10
"""Seconds that a server may take to answer at all."""


class Database:
    """A workspace's database. Nothing is opened before it is needed; safe to use from any thread, and after a fork."""

    def __init__(self, url: URL, *, place: Place | None = None) -> None:
        self._url = url
        self._place = place
        self.kind = url.get_backend_name()
        """``sqlite`` or ``postgresql``."""
        self.where = public_name(url)
        """Where it is, without credentials: for messages."""

    @classmethod
    def of(cls, address: WorkspaceAddress) -> Database:
        """Give the database of a workspace. Raises UsageError for an address that is none."""
        return cls(database_url(address), place=address.place)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(str(self._url.database)) if self.kind == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for one look at the data. Raises HermeticErrors."""
        with translated(self._url, self._place), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection for one change: kept as a whole when the block ends well, else not at all.

        Raises HermeticErrors, and SQLAlchemy's IntegrityError for what a constraint forbids.
        """
        with translated(self._url, self._place), self._writer.begin() as connection:
            yield connection

    def make_file(self) -> None:
        """Make SQLite's file and its folder, if they are not there. Raises MachineError."""
        if not self.file:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch()
        except OSError as error:
            raise MachineError(
                f"cannot make the workspace's database: {error.strerror}",
                place=Place(str(self.file)),
                remedy="check its permissions, or choose another",
            ) from None
        with translated(self._url, self._place), self._engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Let go of all connections; the next use opens them again."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        engine = _sqlite(self._url) if self.kind == "sqlite" else _postgresql(self._url)
        _forget_in_children(engine)
        return engine

    @cached_property
    def _writer(self) -> Engine:
        return self._engine.execution_options(writes=True)


def _sqlite(url: URL) -> Engine:
    present = url.set(database=f"file:{quote(str(url.database))}", query={"mode": "rw", "uri": "true"})  # never made
    engine = create_engine(
        present, connect_args={"timeout": WAIT}, poolclass=QueuePool, max_overflow=45, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver's own idea of when to begin is none of ours
        for setting in ("foreign_keys = ON", "synchronous = FULL", "cache_size = -16384"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    settings: dict[str, Any] = {
        "connect_timeout": _CONNECT,
        "application_name": "hermetic",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    settings = {name: value for name, value in settings.items() if name not in url.query}
    settings["prepare_threshold"] = None  # poolers between us and the server know nothing of prepared statements
    try:
        engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # a server that was restarted meanwhile is met again without a word
            max_overflow=15,
            hide_parameters=True,
            connect_args=settings,
        )
    except ImportError:
        raise UsageError(
            "PostgreSQL needs psycopg, which is not installed", remedy="pip install 'hermetic[postgres]'"
        ) from None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):  # not for the session: a pooler would give it to others
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT}s'")

    return engine


def _forget_in_children(engine: Engine) -> None:
    """See that a forked child opens connections of its own: two processes on one would mix up their answers."""
    known = weakref.ref(engine)

    def forget() -> None:
        if alive := known():
            alive.dispose(close=False)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
