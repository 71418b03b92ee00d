"""How a definition becomes a version: the same one keeps its number, another gets the next, whoever else registers.

All of it happens in the caller's transaction, which holds the environment's row (SQLite: the whole database) from the
first look on; so numbers have no gaps, and a process that dies leaves nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, select, update

from hermetic.workspace.database.tables import environments, versions
from hermetic.workspace.model import Definition, EnvironmentVersion
from hermetic.workspace.rows import definition_values, insert_unless_there, select_version, version_of
from hermetic.workspace.stamps import now, user


def find_latest(connection: Connection, definition: Definition) -> EnvironmentVersion | None:
    """Give the version of a definition that is its environment's latest already; None if there is work to do."""
    same = select_version(environments.c.latest).where(
        environments.c.name == definition.name,
        environments.c.archived.is_(False),
        versions.c.digest == definition.digest,
        versions.c.archived.is_(False),
    )
    row = connection.execute(same).first()
    return version_of(row) if row else None


def register(connection: Connection, definition: Definition, lock: str) -> EnvironmentVersion:
    """Register a definition; give its version. A new version has ``lock``, the sha256 of one or nothing."""
    held = hold(connection, definition.name) or _make(connection, definition.name)
    of = versions.c.environment == held.id
    same = of & (versions.c.digest == definition.digest)
    there = connection.execute(
        select(versions.c.version, versions.c.created_at, versions.c.created_by, versions.c.archived).where(same)
    ).first()
    registration = held.registrations + 1
    if there:
        again = update(versions).where(of, versions.c.version == there.version)
        connection.execute(again.values(registration=registration, archived=False))
        number, created_at, created_by, archived = there
    else:
        number, created_at, created_by, archived = held.versions + 1, now(), user(), True
        connection.execute(
            insert(versions).values(
                environment=held.id,
                version=number,
                registration=registration,
                archived=False,
                lock=lock,
                created_at=created_at,
                created_by=created_by,
                **definition_values(definition),
            )
        )
    connection.execute(
        update(environments)
        .where(environments.c.id == held.id)
        .values(
            latest=number,
            versions=max(number, held.versions),
            active=held.active + int(archived),
            registrations=registration,
            archived=False,
            created_at=created_at,
            created_by=created_by,
        )
    )
    row = connection.execute(select_version(literal(number)).where(environments.c.id == held.id)).one()
    return version_of(row)


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
