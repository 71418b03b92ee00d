"""How a definition becomes a version: the same one keeps its number, another gets the next, whoever else registers.

All of it happens in the caller's transaction, which holds the environment's row (SQLite: the whole database) from the
first look on; so numbers have no gaps, and a process that dies leaves nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from hermetic.workspace.database.tables import environments, versions
from hermetic.workspace.model import Definition
from hermetic.workspace.rows import definition_values, insert_unless_there
from hermetic.workspace.stamps import now, user


def is_registered(connection: Connection, definition: Definition) -> int:
    """Give the number of a definition that is its environment's latest version already; 0 if there is work to do."""
    found = connection.execute(
        select(versions.c.version)
        .join(environments, environments.c.id == versions.c.environment)
        .where(
            environments.c.name == definition.name,
            environments.c.archived.is_(False),
            versions.c.digest == definition.digest,
            versions.c.version == environments.c.latest,
            versions.c.archived.is_(False),
        )
    ).scalar()
    return found or 0


def register(connection: Connection, definition: Definition, lock: str) -> int:
    """Register a definition; give its version's number. A new version has ``lock``, the sha256 of one or nothing."""
    held = hold(connection, definition.name) or _make(connection, definition.name)
    of = versions.c.environment == held.id
    there = connection.execute(select(versions.c.version).where(of, versions.c.digest == definition.digest)).scalar()
    registration = held.registrations + 1
    if there:
        again = update(versions).where(of, versions.c.version == there)
        connection.execute(again.values(registration=registration, archived=False))
        number = int(there)
    else:
        number = held.versions + 1
        connection.execute(
            insert(versions).values(
                environment=held.id,
                version=number,
                registration=registration,
                archived=False,
                lock=lock,
                created_at=now(),
                created_by=user(),
                **definition_values(definition),
            )
        )
    settle(connection, held.id, registrations=registration, versions=max(number, held.versions), archived=False)
    return number


def hold(connection: Connection, name: str) -> Row[Any] | None:
    """Give an environment's row, which nobody else changes until this transaction ends; None if there is none."""
    return connection.execute(select(environments).where(environments.c.name == name).with_for_update()).first()


def settle(connection: Connection, environment: int, **values: object) -> None:
    """Write an environment's row anew: which version is the latest now, and what else is given.

    An environment whose versions are all archived has a latest one nevertheless.
    """
    of = versions.c.environment == environment
    latest = connection.execute(
        select(versions.c.version, versions.c.created_at, versions.c.created_by)
        .where(of)
        .order_by(versions.c.archived, versions.c.registration.desc())
        .limit(1)
    ).one()
    active = select(func.count()).select_from(versions).where(of, versions.c.archived.is_(False)).scalar_subquery()
    connection.execute(
        update(environments)
        .where(environments.c.id == environment)
        .values(
            latest=latest.version,
            created_at=latest.created_at,
            created_by=latest.created_by,
            active=active,
            **values,
        )
    )


def _make(connection: Connection, name: str) -> Row[Any]:
    """Give the row of an environment that has no version yet, or that another made in this moment."""
    insert_unless_there(
        connection,
        environments,
        name=name,
        versions=0,
        active=0,
        latest=0,
        registrations=0,
        archived=False,
        created_at="",
        created_by="",
    )
    held = hold(connection, name)
    assert held is not None
    return held
