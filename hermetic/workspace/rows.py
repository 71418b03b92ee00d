"""From rows to values and back: what is asked of the tables of environments, in one statement each."""

from __future__ import annotations

import json
from itertools import starmap
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from hermetic.workspace.database.tables import environments, images, labels, versions
from hermetic.workspace.model import LATEST, Definition, EnvironmentSummary, EnvironmentVersion, ImageRecord
from hermetic.workspace.stamps import storable

_named = (
    select(func.aggregate_strings(labels.c.label, ","))
    .where(labels.c.environment == versions.c.environment, labels.c.version == versions.c.version)
    .correlate(versions)
    .scalar_subquery()
    .label("labels")
)
_joined = environments.outerjoin(versions, versions.c.environment == environments.c.id)


def select_version(number: ColumnElement[int]) -> Select[Any]:
    """Give the statement for one version of each environment; version columns are null where there is none."""
    at = and_(versions.c.environment == environments.c.id, versions.c.version == number)
    return _columns().select_from(environments.outerjoin(versions, at))


def select_versions() -> Select[Any]:
    """Give the statement for all versions of environments."""
    return _columns().select_from(_joined).where(versions.c.version.is_not(None))


def _columns() -> Select[Any]:
    return select(
        environments.c.id,
        environments.c.name,
        environments.c.latest,
        environments.c.versions,
        environments.c.archived.label("hidden"),
        versions.c.version,
        versions.c.archived,
        versions.c.digest,
        versions.c.spec,
        versions.c.lock,
        versions.c.created_at,
        versions.c.created_by,
        versions.c.origin,
        versions.c.packages,
        versions.c.files,
        _named,
    )


def version_of(row: Row[Any]) -> EnvironmentVersion:
    """Give the version of a row of one of the statements above."""
    names = [LATEST] if row.version == row.latest else []
    names += sorted(row.labels.split(",")) if row.labels else []
    return EnvironmentVersion(
        name=row.name,
        version=row.version,
        definition=Definition(
            name=row.name,
            digest=row.digest,
            files=json.loads(row.files),
            spec=row.spec,
            packages=tuple(json.loads(row.packages)),
            origin=row.origin,
        ),
        created_at=row.created_at,
        created_by=row.created_by,
        lock=row.lock,
        labels=tuple(names),
        archived=bool(row.archived or row.hidden),
    )


def select_summaries() -> Select[Any]:
    """Give the statement for the lines of a list, in the order of ``EnvironmentSummary``."""
    one = environments.c
    hidden = one.archived | (one.active == 0)
    return select(one.name, one.latest, one.versions, one.created_at, one.created_by, hidden.label("archived"))


def listed() -> ColumnElement[bool]:
    """Give the condition that an environment is not archived, as a whole or version by version."""
    return environments.c.archived.is_(False) & (environments.c.active > 0)


def summary_of(row: Row[Any]) -> EnvironmentSummary:
    """Give a line of a list."""
    return EnvironmentSummary(*cast("tuple[Any, ...]", row))


def listed_summaries(connection: Connection) -> list[EnvironmentSummary]:
    """Give the lines of all environments that are listed, sorted by name.

    The driver's own tuples are taken: SQLAlchemy's rows would cost more than the database does.
    """
    one = environments.c
    columns = select(one.name, one.latest, one.versions, one.created_at, one.created_by)
    cursor: Any = connection.execute(columns.where(listed()).order_by(one.name)).cursor
    return list(starmap(EnvironmentSummary, cursor.fetchall()))


def definition_values(definition: Definition) -> dict[str, str]:
    """Give what a row of ``versions`` keeps of a definition."""
    return {
        "digest": definition.digest,
        "spec": definition.spec,
        "origin": storable(definition.origin),
        "packages": json.dumps(list(definition.packages)),
        "files": json.dumps(dict(definition.files), sort_keys=True),
    }


def select_images(environment: int, version: int | None) -> Select[Any]:
    """Give the statement for the images of an environment, the newest first."""
    wanted = select(images).where(images.c.environment == environment)
    if version is not None:
        wanted = wanted.where(images.c.version == version)
    return wanted.order_by(images.c.version.desc(), images.c.id.desc())


def image_of(row: Row[Any], name: str) -> ImageRecord:
    """Give an image of a row."""
    return ImageRecord(
        name,
        row.version,
        row.platform,
        row.reference,
        row.digest,
        bool(row.pushed),
        row.created_at,
        row.created_by,
    )


def insert_unless_there(connection: Connection, table: Any, **values: object) -> bool:
    """Insert a row; False if one with its unique values is there, or was made by another at the same time."""
    from sqlalchemy.dialects import postgresql, sqlite

    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return bool(connection.execute(insert(table).values(**values).on_conflict_do_nothing()).rowcount > 0)
