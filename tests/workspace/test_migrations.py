"""From every schema there was to the newest: nothing is lost, and one process at a time changes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from crowds import crowd
from sqlalchemy import CheckConstraint, inspect, text
from workspace_samples import definition

from hermetic.errors import HermeticError, UsageError
from hermetic.workspace.database import schema
from hermetic.workspace.database.engine import Database
from hermetic.workspace.database.tables import metadata
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress

SCRIPTS = ScriptDirectory(str(schema.MIGRATIONS))
REVISIONS = [one.revision for one in reversed(list(SCRIPTS.walk_revisions()))]

NEXT = '''"""A step that only this test knows."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("environments", sa.Column("note", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE environments SET note = 'was ' || name")
    {then}
'''


@pytest.fixture
def newer(tmp_path: Path):
    """Make a copy of the migrations with one step more, which ends with a statement of the test's."""

    def make(then: str = "pass") -> Path:
        folder = tmp_path / "migrations"
        shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "r9999_note.py").write_text(NEXT.format(head=schema.HEAD, then=then))
        return folder

    return make


def test_the_newest_schema_is_the_one_that_the_code_expects() -> None:
    assert [SCRIPTS.get_current_head()] == [schema.HEAD] == REVISIONS[-1:]
    assert sorted(REVISIONS) == REVISIONS


def test_the_tables_are_what_the_code_says(workspace: Workspace) -> None:
    with workspace.database.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": schema.VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        for table in metadata.tables.values():  # Alembic does not compare these
            assert {one["name"] for one in found.get_check_constraints(table.name)} == {
                one.name for one in table.constraints if isinstance(one, CheckConstraint)
            }
            partial = {one["name"] for one in found.get_indexes(table.name) if one.get("dialect_options")}
            assert ("builds_under_way" in partial) == (table.name == "builds")


OLD = """
INSERT INTO workspace (id, name, created_at, created_by) VALUES (1, 'team', 'then', 'ada');
INSERT INTO environments (name, versions, active, latest, registrations, archived, created_at, created_by)
    VALUES ('old', 2, 2, 1, 3, false, 'then', 'ada');
INSERT INTO versions (environment, version, registration, archived, digest, spec, lock, created_at, created_by, origin,
    packages, files)
    VALUES (1, 1, 3, false, 'd1', 's', '', 'then', 'ada', 'environment.yml', '["numpy"]', '{"a": "b"}'),
    (1, 2, 2, false, 'd2', 's', '', 'then', 'ada', 'environment.yml', '["numpy"]', '{"a": "b"}');
INSERT INTO labels (environment, label, version) VALUES (1, 'prod', 2)""".split(";")
"""An environment of two versions and a label, as the first schema keeps it."""


def at_revision(address: WorkspaceAddress, revision: str) -> Database:
    """Make a workspace as an older hermetic made it."""
    database = Database.of(address)
    database.make_file()
    with database.write() as connection:
        schema.upgrade_schema(database, connection, schema.MIGRATIONS, revision)
        for statement in OLD:
            connection.execute(text(statement))
    return database


@pytest.mark.parametrize("revision", REVISIONS)
def test_from_every_revision(address: WorkspaceAddress, revision: str) -> None:
    at_revision(address, revision).close()
    workspace = Workspace.open(address)
    first, second = workspace.environments.versions("old")
    assert (first.labels, second.labels) == (("latest",), ("prod",))
    assert (first.created_by, first.definition.packages, first.definition.files) == ("ada", ("numpy",), {"a": "b"})
    assert workspace.environments.register(definition("old")).version == 3
    workspace.close()


def test_an_older_workspace_is_brought_up_to_date(workspace: Workspace, newer) -> None:
    workspace.environments.register(definition())
    schema.check_schema(workspace.database, "team", migrations=newer())
    with workspace.database.read() as connection:
        assert connection.execute(text("SELECT note FROM environments")).scalar_one() == "was train"
    assert workspace.environments.get("train").definition == definition()


def test_a_workspace_of_a_newer_hermetic_is_refused(workspace: Workspace, newer) -> None:
    schema.check_schema(workspace.database, "team", migrations=newer())
    with pytest.raises(UsageError, match="a newer hermetic") as caught:
        Workspace.open(workspace.address)
    assert "install" in (caught.value.remedy or "")


@pytest.mark.parametrize("then", ["op.execute('SELECT * FROM nothing_at_all')", "raise RuntimeError('no')"])
def test_a_step_that_fails_changes_nothing(workspace: Workspace, newer, then: str) -> None:
    workspace.environments.register(definition())
    with pytest.raises((HermeticError, RuntimeError)):
        schema.check_schema(workspace.database, "team", migrations=newer(then))
    assert Workspace.open(workspace.address).environments.get("train").definition == definition()
    with workspace.database.read() as connection:
        assert "note" not in {one["name"] for one in inspect(connection).get_columns("environments")}


def test_a_process_that_dies_in_a_step_changes_nothing(workspace: Workspace, newer) -> None:
    workspace.environments.register(definition())
    folder = newer("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert crowd(workspace.address, "migrate", 1, folder) == [""]
    assert Workspace.open(workspace.address).environments.get("train").definition == definition()


def test_many_processes_migrate_at_once(workspace: Workspace, newer) -> None:
    workspace.environments.register(definition())
    workspace.close()
    assert crowd(workspace.address, "migrate", 6, newer()) == ["9999"] * 6
    with workspace.database.read() as connection:
        assert connection.execute(text("SELECT note FROM environments")).scalars().all() == ["was train"]
    workspace.close()


def test_the_migrations_are_part_of_the_package() -> None:
    """Alembic reads the steps from files, so they must be where setuptools looks for modules."""
    for folder in (schema.MIGRATIONS, schema.MIGRATIONS / "versions"):
        assert (folder / "__init__.py").is_file()
