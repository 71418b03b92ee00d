"""The tables, as the newest migration leaves them (a test compares both).

``environments`` repeats of each environment's latest version what a list shows, so that a list reads one table only.
``registration`` numbers an environment's registrations: the version with the highest is the latest, so the same
definition registered again is the latest again, and no clock has a say. Nothing is deleted: versions count from 1
without gaps. ``lock`` is a sha256, empty while a version has none. Times and names of users are texts for people.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
ByteOrder = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that sorts and compares by its bytes in either database, as Python does."""


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


workspace = Table(
    "workspace",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("name"),
    _text("created_at"),
    _text("created_by"),
    CheckConstraint("id = 1", name="one_workspace"),
)
environments = Table(
    "environments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", ByteOrder, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("active", Integer, nullable=False),  # versions that are not archived
    Column("latest", Integer, nullable=False),
    Column("registrations", Integer, nullable=False),
    Column("archived", Boolean, nullable=False),
    _text("created_at"),  # of the latest version
    _text("created_by"),
    UniqueConstraint("name", name="environments_name"),
)
versions = Table(
    "versions",
    metadata,
    Column("environment", Integer, ForeignKey("environments.id", name="versions_environment"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("registration", Integer, nullable=False),
    Column("archived", Boolean, nullable=False),
    _text("digest"),
    _text("spec"),
    _text("lock"),
    _text("created_at"),
    _text("created_by"),
    _text("origin"),
    _text("packages"),  # JSON
    _text("files"),  # JSON
    PrimaryKeyConstraint("environment", "version", name="versions_key"),
    UniqueConstraint("environment", "digest", name="versions_digest"),
    CheckConstraint("version >= 1", name="versions_from_one"),
)
labels = Table(
    "labels",
    metadata,
    Column("environment", Integer, nullable=False),
    Column("label", ByteOrder, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("environment", "label", name="labels_key"),
    ForeignKeyConstraint(
        ["environment", "version"], ["versions.environment", "versions.version"], name="labels_version"
    ),
)
images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("environment", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    _text("platform"),
    _text("reference"),
    _text("digest"),
    Column("pushed", Boolean, nullable=False),
    _text("created_at"),
    _text("created_by"),
    UniqueConstraint("environment", "version", "platform", "reference", "digest", name="images_once"),
    ForeignKeyConstraint(
        ["environment", "version"], ["versions.environment", "versions.version"], name="images_version"
    ),
)
builds = Table(
    "builds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", ByteOrder, nullable=False),
    Column("version", Integer, nullable=False),
    _text("target"),
    _text("state"),
    _text("created_at"),
    _text("created_by"),
    Column("started", BigInteger, nullable=False),  # milliseconds by the database's clock, as those that follow
    Column("finished", BigInteger, nullable=False),
    Column("heartbeat", BigInteger, nullable=False),
    _text("machine"),
    _text("builder"),
    Column("cancel", Boolean, nullable=False),
    _text("lock"),
    _text("result"),  # JSON
    _text("error"),  # JSON
    Index("builds_of", "name", "version"),
)
Index(  # of one version and target one build at a time is under way: whoever comes second joins it
    "builds_under_way",
    builds.c.name,
    builds.c.version,
    builds.c.target,
    unique=True,
    sqlite_where=text("state IN ('queued', 'running')"),
    postgresql_where=text("state IN ('queued', 'running')"),
)
build_log = Table(
    "build_log",
    metadata,
    Column("build", Integer, ForeignKey("builds.id", name="build_log_build"), nullable=False),
    Column("number", Integer, nullable=False),
    _text("text"),
    PrimaryKeyConstraint("build", "number", name="build_log_key"),
)
