"""The first schema: environments and their versions, labels and images, builds and their logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_FIXED = "environment, version, digest, spec, origin, packages, files, created_at, created_by"
_UNDER_WAY = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "workspace",
        sa.Column("id", sa.Integer, autoincrement=False),
        *_texts("name", "created_at", "created_by"),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("id = 1", name="one_workspace"),
    )
    op.create_table(
        "environments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _BYTES, nullable=False),
        *_numbers("versions", "active", "latest", "registrations"),
        sa.Column("archived", sa.Boolean, nullable=False),
        *_texts("created_at", "created_by"),
        sa.UniqueConstraint("name", name="environments_name"),
    )
    op.create_table(
        "versions",
        *_numbers("environment", "version", "registration"),
        sa.Column("archived", sa.Boolean, nullable=False),
        *_texts("digest", "spec", "lock", "created_at", "created_by", "origin", "packages", "files"),
        sa.ForeignKeyConstraint(["environment"], ["environments.id"], name="versions_environment"),
        sa.PrimaryKeyConstraint("environment", "version", name="versions_key"),
        sa.UniqueConstraint("environment", "digest", name="versions_digest"),
        sa.CheckConstraint("version >= 1", name="versions_from_one"),
    )
    op.create_table(
        "labels",
        *_numbers("environment"),
        sa.Column("label", _BYTES, nullable=False),
        *_numbers("version"),
        sa.PrimaryKeyConstraint("environment", "label", name="labels_key"),
        _of_version("labels_version"),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer, primary_key=True),
        *_numbers("environment", "version"),
        *_texts("platform", "reference", "digest"),
        sa.Column("pushed", sa.Boolean, nullable=False),
        *_texts("created_at", "created_by"),
        sa.UniqueConstraint("environment", "version", "platform", "reference", "digest", name="images_once"),
        _of_version("images_version"),
    )
    op.create_table(
        "builds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _BYTES, nullable=False),
        *_numbers("version"),
        *_texts("target", "state", "created_at", "created_by"),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("started", "finished", "heartbeat")),
        *_texts("machine", "builder"),
        sa.Column("cancel", sa.Boolean, nullable=False),
        *_texts("lock", "result", "error"),
    )
    op.create_index("builds_of", "builds", ["name", "version"])
    op.create_index(
        "builds_under_way",
        "builds",
        ["name", "version", "target"],
        unique=True,
        sqlite_where=_UNDER_WAY,
        postgresql_where=_UNDER_WAY,
    )
    op.create_table(
        "build_log",
        *_numbers("build", "number"),
        *_texts("text"),
        sa.ForeignKeyConstraint(["build"], ["builds.id"], name="build_log_build"),
        sa.PrimaryKeyConstraint("build", "number", name="build_log_key"),
    )
    _keep_definitions()


def _keep_definitions() -> None:
    """Have the database itself refuse to change or lose what was registered."""
    if op.get_bind().dialect.name == "sqlite":
        for event in (f"UPDATE OF {_FIXED}", "DELETE"):
            op.execute(
                f"CREATE TRIGGER versions_no_{event.split()[0].lower()} BEFORE {event} ON versions "
                "BEGIN SELECT RAISE(ABORT, 'a registered version never changes'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION versions_never_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'a registered version never changes' USING ERRCODE = 'restrict_violation'; END $$"
    )
    for event in (f"UPDATE OF {_FIXED}", "DELETE", "TRUNCATE"):
        word = event.split()[0]
        op.execute(
            f"CREATE TRIGGER versions_no_{word.lower()} BEFORE {event} ON versions "
            f"FOR EACH {'STATEMENT' if word == 'TRUNCATE' else 'ROW'} EXECUTE FUNCTION versions_never_change()"
        )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer, nullable=False) for name in names]


def _of_version(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["environment", "version"], ["versions.environment", "versions.version"], name=name)
