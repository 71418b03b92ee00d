"""Which schema a database has, and how it gets the newest one: in one transaction, by one process at a time.

Alembic is loaded only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, column, insert, select, table, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from hermetic.errors import ExistsError, Place, UsageError
from hermetic.workspace.database.engine import Database
from hermetic.workspace.database.errors import no_such_table
from hermetic.workspace.database.tables import workspace
from hermetic.workspace.stamps import now, user

HEAD = "0001"
"""The newest schema."""
VERSION_TABLE = "hermetic_schema"
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6865726D
"""The number of PostgreSQL's advisory lock that is held while the schema changes."""
_version = table(VERSION_TABLE, column("version_num"))


def create_schema(database: Database, name: str, *, exist_ok: bool, migrations: Path = MIGRATIONS) -> bool:
    """Make the tables, and write down whose they are; False if they are there. Raises ExistsError, UsageError."""
    with database.write() as connection:
        _alone(connection)
        if found := read_name(connection):
            _check_name(database, found, name)
            if not exist_ok:
                raise ExistsError(
                    f"the workspace {found!r} is there already: {database.where}",
                    remedy="use it (exist_ok=True, or --exist-ok), or choose another place",
                )
        upgrade_schema(database, connection, migrations)
        if found:
            return False
        connection.execute(insert(workspace).values(id=1, name=name, created_at=now(), created_by=user()))
    return True


def check_schema(database: Database, name: str, *, place: Place | None = None, migrations: Path = MIGRATIONS) -> None:
    """Bring an older schema up to date.

    Raises UsageError if there is no workspace in the database, another one, or one that a newer hermetic made.
    """
    with database.read() as connection:
        found = read_name(connection)
        revision = _revision(connection) if found else None
    if not found:
        raise not_created(name, database.where, place)
    _check_name(database, found, name)
    if revision != HEAD or migrations != MIGRATIONS:
        with database.write() as connection:
            _alone(connection)
            upgrade_schema(database, connection, migrations)


def not_created(name: str, where: str, place: Place | None = None) -> UsageError:
    """Give the error that a workspace is named, but was never made."""
    return UsageError(
        f"the workspace {name!r} is not there yet: {where}", place=place, remedy="create it: hermetic workspace init"
    )


def upgrade_schema(database: Database, connection: Connection, migrations: Path, to: str = "head") -> None:
    """Take the steps that are missing, in the transaction at hand. Raises UsageError for a newer schema."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    current = _revision(connection)
    try:
        if current:
            ScriptDirectory.from_config(config).get_revision(current)
    except CommandError:
        raise UsageError(
            f"{database.where} was made by a newer hermetic (its schema is {current}, here the newest is {HEAD})",
            remedy="install that version of hermetic, or a later one",
        ) from None
    command.upgrade(config, to)


def read_name(connection: Connection) -> str:
    """Give the name of the workspace that a database holds; empty if it holds none."""
    return _one(connection, select(workspace.c.name)) or ""


def _revision(connection: Connection) -> str | None:
    return _one(connection, select(_version.c.version_num))


def _one(connection: Connection, statement: object) -> str | None:
    """Give a value; None too where its table is not there, which ends a PostgreSQL transaction but for a savepoint."""
    try:
        with connection.begin_nested():
            value = connection.execute(statement).scalar()  # type: ignore[call-overload]
    except IntegrityError:
        raise
    except DBAPIError as error:
        if no_such_table(error):
            return None
        raise
    return None if value is None else str(value)


def _alone(connection: Connection) -> None:
    """Wait until no other process changes the schema; SQLite's writers are alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _check_name(database: Database, found: str, name: str) -> None:
    """Refuse another workspace's database: the name stands in the URLs of its wheels."""
    if found.lower() != name.lower():
        raise UsageError(
            f"{database.where} holds the workspace {found!r}, not {name!r}",
            remedy="mend the name or the address; a database (or a schema of one) holds one workspace",
        )
