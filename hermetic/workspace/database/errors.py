"""What databases complain of, in hermetic's words: what is wrong, where, what to do; never a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hermetic.errors import (
    CredentialsError,
    HermeticError,
    MachineError,
    NetworkError,
    Place,
    UsageError,
)
from hermetic.errors import IntegrityError as DamagedError
from hermetic.secrets import redact
from hermetic.workspace.database.address import public_name


@contextmanager
def translated(url: URL, place: Place | None = None) -> Iterator[None]:
    """Raise what a database complains of as a HermeticError.

    A broken constraint passes as SQLAlchemy's IntegrityError: whoever wrote knows what it means. ``place`` is where
    the database's address stands.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise _explained(url, place, error) from None
    except PoolTimeoutError:
        raise NetworkError(
            f"{public_name(url)}: too many threads of this program use the database at once",
            remedy="use fewer threads",
        ) from None
    except SQLAlchemyError as error:
        raise DamagedError(f"{public_name(url)}: {_first_line(error)}") from None


def no_such_table(error: DBAPIError) -> bool:
    """Tell whether a statement failed because a table is not there."""
    return getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)


def _explained(url: URL, place: Place | None, error: DBAPIError) -> HermeticError:
    if url.get_backend_name() == "sqlite":
        return _sqlite(str(url.database), error)
    return _postgresql(public_name(url), place, error)


def _sqlite(path: str, error: DBAPIError) -> HermeticError:
    name = getattr(error.orig, "sqlite_errorname", "") or ""
    place = Place(path)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return MachineError(
            "another process has held the workspace's database for a minute",
            place=place,
            remedy="end that process; for many machines at once use PostgreSQL",
        )
    if name == "SQLITE_FULL":
        return MachineError("the disk is full", place=place, remedy="make room, and run the command again")
    if name.startswith("SQLITE_READONLY"):
        return MachineError("the workspace's database cannot be written", place=place, remedy="check its permissions")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR", "SQLITE_AUTH")):
        return MachineError(
            f"cannot use the workspace's database: {_first_line(error.orig)}",
            place=place,
            remedy="check the permissions of its folder, and the disk",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DamagedError(
            f"the workspace's database is damaged: {_first_line(error.orig)}",
            place=place,
            remedy="put a backup in its place, or save what 'sqlite3 FILE .recover' can read",
        )
    return DamagedError(f"the workspace's database: {_first_line(error.orig)}", place=place)


def _postgresql(where: str, place: Place | None, error: DBAPIError) -> HermeticError:
    state = getattr(error.orig, "sqlstate", None) or ""
    text = _first_line(error.orig)
    if state.startswith("28") or "password authentication failed" in text or "no password supplied" in text:
        return CredentialsError(
            f"{where} refuses the user or the password",
            place=place,
            remedy="check the address's user and the variable that holds the password (or PGPASSWORD, ~/.pgpass)",
        )
    if state == "3D000" or ('database "' in text and "does not exist" in text):
        return UsageError(f"{where}: there is no such database", place=place, remedy="create it: createdb NAME")
    if not state and ("connection option" in text or text.startswith("bad value for")):
        return UsageError(f"{where}: {text}", place=place, remedy="mend what stands behind ? in the address")
    if state == "42501":
        return CredentialsError(f"{where}: {text}", place=place, remedy="grant the user the right to do so")
    if state == "25006":
        return MachineError(
            f"{where} is read-only", place=place, remedy="name the primary server: replicas cannot be written"
        )
    if state.startswith("53"):
        return MachineError(f"{where}: {text}", place=place, remedy="the server lacks room, memory or connections")
    if state == "55P03":
        return NetworkError(
            f"{where}: another client has held an environment for a minute",
            place=place,
            remedy="run the command again; look for stuck sessions in pg_stat_activity",
        )
    if not state or state.startswith(("08", "57")):
        return NetworkError(
            f"{where} does not answer: {text}", place=place, remedy="check the address, and that the server runs"
        )
    return DamagedError(f"{where}: {text}", place=place)


def _first_line(error: object) -> str:
    return redact(str(error).strip().partition("\n")[0])
