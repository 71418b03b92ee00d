"""Where a workspace's database is, and what is told of one that does not do what it should."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.postgres import PASSWORD, Postgres
from workspace_samples import definition

from hermetic.errors import (
    CredentialsError,
    ExistsError,
    HermeticError,
    IntegrityError,
    MachineError,
    NetworkError,
    UsageError,
)
from hermetic.workspace.database import engine
from hermetic.workspace.database.address import database_url, public_name
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress, address_in


def at(tmp_path: Path, database: str = "") -> WorkspaceAddress:
    return address_in(tmp_path / "workspace", "team", {"database": database} if database else {})


class TestAddress:
    def test_the_default_is_a_file_in_the_folder(self, tmp_path: Path) -> None:
        assert database_url(at(tmp_path)).database == str(tmp_path / "workspace" / "workspace.sqlite")

    def test_another_file(self, tmp_path: Path) -> None:
        assert database_url(at(tmp_path, "sqlite:///db/x.sqlite")).database == str(tmp_path / "workspace/db/x.sqlite")
        assert database_url(at(tmp_path, "sqlite:////srv/x.sqlite")).database == "/srv/x.sqlite"

    @pytest.mark.parametrize("database", ["sqlite://", "sqlite:///:memory:"])
    def test_memory_keeps_nothing(self, tmp_path: Path, database: str) -> None:
        with pytest.raises(UsageError, match="keeps nothing"):
            database_url(at(tmp_path, database))

    @given(user=st.text(min_size=1), password=st.text(min_size=1))
    def test_a_variable_holds_any_password_as_it_is(self, tmp_path_factory, user: str, password: str) -> None:
        environ = pytest.MonkeyPatch()
        try:
            environ.setenv("DB_USER", user.replace("\0", "").encode("utf-8", "replace").decode() or "x")
            environ.setenv("DB_PASSWORD", password.replace("\0", "").encode("utf-8", "replace").decode() or "x")
            url = database_url(
                WorkspaceAddress("team", Path("/w"), "postgresql://${DB_USER}:${DB_PASSWORD}@db.example.org:77/team")
            )
            assert (url.username, url.password) == (os.environ["DB_USER"], os.environ["DB_PASSWORD"])
            assert (url.host, url.port, url.database) == ("db.example.org", 77, "team")
        finally:
            environ.undo()

    def test_variables_stand_anywhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WHERE", "db.example.org:77")
        monkeypatch.setenv("PW", "a b%")
        url = database_url(at(tmp_path, "postgresql://me:x${PW}y%20z@${WHERE}/team?sslmode=require"))
        assert (url.password, url.host, url.port) == ("xa b%y z", "db.example.org", 77)
        assert url.query == {"sslmode": "require"}

    def test_a_variable_may_be_the_whole_address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEAM_DATABASE", f"postgresql://me:{quote(PASSWORD, safe='')}@db.example.org/team")
        url = database_url(at(tmp_path, "${TEAM_DATABASE}"))
        assert url.password == PASSWORD
        assert public_name(url) == "postgresql://db.example.org/team"

    def test_a_variable_that_is_not_set(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DB_PASSWORD", raising=False)
        with pytest.raises(UsageError, match="DB_PASSWORD"):
            database_url(at(tmp_path, "postgresql://me:${DB_PASSWORD}@db.example.org/team"))

    @pytest.mark.parametrize(
        "database", ["postgresql://me:geheim@db.example.org:port/team", "postgresql:/me:geheim@x", "${OTHER}"]
    )
    def test_what_is_none_is_refused_without_the_password(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
    ) -> None:
        monkeypatch.setenv("OTHER", "mysql://me:geheim@db.example.org/team")
        with pytest.raises(UsageError) as caught:
            database_url(at(tmp_path, database))
        assert "geheim" not in str(caught.value)


class TestOpening:
    def test_what_was_never_created(self, address: WorkspaceAddress) -> None:
        with pytest.raises(UsageError, match="not there yet") as caught:
            Workspace.open(address)
        assert "hermetic workspace init" in (caught.value.remedy or "")
        assert not address.folder.exists()

    def test_an_empty_file_is_no_workspace(self, tmp_path: Path) -> None:
        address = at(tmp_path)
        address.folder.mkdir()
        (address.folder / "workspace.sqlite").touch()
        with pytest.raises(UsageError, match="not there yet"):
            Workspace.open(address)
        assert Workspace.create(address).environments.names() == []

    def test_creating_twice(self, address: WorkspaceAddress) -> None:
        Workspace.create(address).environments.register(definition())
        with pytest.raises(ExistsError, match="there already"):
            Workspace.create(address)
        assert Workspace.create(address, exist_ok=True).environments.names() == ["train"]

    def test_a_database_holds_one_workspace(self, address: WorkspaceAddress) -> None:
        Workspace.create(address)
        other = replace(address, name="other")
        for act in (Workspace.open, Workspace.create):
            with pytest.raises(UsageError, match="holds the workspace 'team', not 'other'"):
                act(other)
        assert Workspace.open(replace(address, name="TEAM")).name == "TEAM"  # as hosts, names have no case in URLs

    def test_the_embedded_workspace_stays_out_of_the_projects_history(self, tmp_path: Path) -> None:
        Workspace.create(at(tmp_path))
        assert (tmp_path / "workspace" / ".gitignore").read_text() == "*\n"

    def test_a_folder_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "workspace").write_text("a file")
        with pytest.raises(MachineError, match="cannot make the workspace's folder"):
            Workspace.create(at(tmp_path))

    @pytest.mark.parametrize(
        ("code", "absent"),
        [
            ("import hermetic.workspace.workspace", "sqlalchemy"),
            (
                "from hermetic.workspace.workspace import Workspace; Workspace.open(address).environments.list()",
                "alembic",
            ),
        ],
    )
    def test_what_is_not_needed_is_not_loaded(self, tmp_path: Path, code: str, absent: str) -> None:
        Workspace.create(at(tmp_path))
        before = "from hermetic.workspace_config import address_in; import sys; from pathlib import Path;"
        before += f"address = address_in(Path({str(tmp_path / 'workspace')!r}), 'team');"
        after = f"; sys.exit({absent!r} in sys.modules)"
        subprocess.run([sys.executable, "-c", before + code + after], check=True)


class TestDamage:
    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        address = at(tmp_path)
        address.folder.mkdir()
        (address.folder / "workspace.sqlite").write_text("this is text " * 1000)
        with pytest.raises(IntegrityError, match="damaged") as caught:
            Workspace.open(address)
        assert caught.value.place is not None
        assert caught.value.place.file.endswith("workspace.sqlite")

    def test_a_folder_that_went_away_is_not_made_anew(self, tmp_path: Path) -> None:
        workspace = Workspace.create(at(tmp_path))
        workspace.close()
        (workspace.address.folder / "workspace.sqlite").unlink()
        with pytest.raises(MachineError, match="unable to open"):
            workspace.environments.register(definition())
        assert not (workspace.address.folder / "workspace.sqlite").exists()

    @pytest.mark.parametrize("name", ["a b", "per%cent", "quest?ion", "hash#", "ü"])
    def test_folders_of_any_name(self, tmp_path: Path, name: str) -> None:
        workspace = Workspace.create(at(tmp_path / name))
        assert workspace.environments.register(definition()).version == 1
        assert (tmp_path / name / "workspace" / "workspace.sqlite").stat().st_size

    def test_damaged_pages(self, tmp_path: Path) -> None:
        workspace = Workspace.create(at(tmp_path))
        for number in range(50):
            workspace.environments.register(definition(f"e{number}", "x" * 2000))
        workspace.close()
        file = workspace.address.folder / "workspace.sqlite"
        data = bytearray(file.read_bytes())
        data[8192:] = b"\x55" * (len(data) - 8192)
        file.write_bytes(data)
        with pytest.raises(IntegrityError):
            Workspace.open(workspace.address).environments.list()

    def test_a_full_disk_changes_nothing(self, tmp_path: Path) -> None:
        workspace = Workspace.create(at(tmp_path))
        workspace.environments.register(definition())
        with workspace.database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(MachineError, match="disk is full"):
            workspace.environments.register(definition(content="x" * 100_000))
        assert [one.version for one in workspace.environments.versions("train")] == [1]

    def test_somebody_who_holds_the_database_for_ever(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "WAIT", 0.05)
        workspace = Workspace.create(at(tmp_path))
        other = sqlite3.connect(workspace.address.folder / "workspace.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MachineError, match="another process"):
            workspace.environments.register(definition())
        assert workspace.environments.names() == []  # who reads waits for nobody
        other.execute("ROLLBACK")
        other.close()
        assert workspace.environments.register(definition()).version == 1


class TestServer:
    def test_errors_hold_no_password(self, postgres: Postgres, tmp_path: Path) -> None:
        there = postgres.new_schema()
        for database, kind, text in (
            (there.replace(quote(PASSWORD, safe=""), "wrong-geheim"), CredentialsError, "refuses the user"),
            (postgres.url("no-such", password=PASSWORD), UsageError, "no such database"),
            (there.replace(f":{postgres.port}", ":1"), NetworkError, "does not answer"),
            (f"{there}&connect_timeout=soon", UsageError, "connect_timeout"),
            (f"{there}&no_such_option=1", UsageError, "no_such_option"),
        ):
            with pytest.raises(kind, match=text) as caught:
                Workspace.open(at(tmp_path, database))
            told = f"{caught.value} {caught.value.to_dict()}"
            assert "geheim" not in told
            assert PASSWORD not in told
            assert quote(PASSWORD, safe="") not in told
            assert "127.0.0.1" in told

    def test_a_user_without_rights(self, postgres: Postgres, tmp_path: Path) -> None:
        where = postgres.new_database("reading")
        Workspace.create(at(tmp_path, where)).close()
        postgres.execute("CREATE ROLE reader LOGIN PASSWORD 'geheim'")
        postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", "reading")
        workspace = Workspace.open(at(tmp_path, postgres.url("reading", user="reader", password="geheim")))
        assert workspace.environments.list() == []
        with pytest.raises(CredentialsError, match="permission denied") as caught:
            workspace.environments.register(definition())
        assert "grant" in (caught.value.remedy or "")
        workspace.close()

    def test_a_replica_is_told_from_a_server(self, postgres: Postgres, tmp_path: Path) -> None:
        where = postgres.new_schema()
        Workspace.create(at(tmp_path, where)).close()
        only = Workspace.open(at(tmp_path, f"{where}%20-cdefault_transaction_read_only%3Don"))
        assert only.environments.names() == []
        with pytest.raises(MachineError, match="read-only"):
            only.environments.register(definition())
        only.close()

    def test_somebody_who_holds_an_environment_for_ever(
        self, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "WAIT", "0.05")
        workspace = Workspace.create(at(tmp_path, postgres.new_schema()))
        workspace.environments.register(definition())
        with workspace.database.write() as other:
            other.exec_driver_sql("SELECT * FROM environments FOR UPDATE")
            with pytest.raises(NetworkError, match="another client has held"):
                workspace.environments.register(definition(content="x"))
            assert workspace.environments.register(definition("another")).version == 1  # only that one is held
        assert workspace.environments.register(definition(content="x")).version == 2
        workspace.close()

    def test_a_restarted_server_is_met_again(self, tmp_path: Path) -> None:
        from support.postgres import postgresql

        with postgresql() as server:
            workspace = Workspace.create(at(tmp_path, server.new_schema()))
            workspace.environments.register(definition())
            server.stop(at_once=True)
            with pytest.raises(NetworkError, match="does not answer"):
                workspace.environments.list()
            server.start()
            assert workspace.environments.names() == ["train"]
            assert workspace.environments.register(definition(content="x")).version == 2
            workspace.close()

    def test_a_connection_that_is_cut_leaves_nothing_half(self, postgres: Postgres, tmp_path: Path) -> None:
        workspace = Workspace.create(at(tmp_path, postgres.new_schema()))

        def change() -> None:
            with workspace.database.write() as connection:
                connection.exec_driver_sql("UPDATE workspace SET name = 'changed'")
                own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                postgres.execute(f"SELECT pg_terminate_backend({own})")
                connection.exec_driver_sql("SELECT 1")

        with pytest.raises(NetworkError):
            change()
        assert Workspace.open(workspace.address).environments.register(definition()).version == 1
        workspace.close()

    def test_tables_of_others_are_left_alone(self, postgres: Postgres, tmp_path: Path) -> None:
        where = postgres.new_database("taken")
        postgres.execute("CREATE TABLE versions (x int)", "taken")
        with pytest.raises(HermeticError, match="already exists"):
            Workspace.create(at(tmp_path, where))
        assert postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "taken") == [
            ("versions",)
        ]


class TestManyUsers:
    def test_a_forked_child_has_connections_of_its_own(self, workspace: Workspace) -> None:
        workspace.environments.register(definition())
        child = os.fork()
        if not child:
            status = 1
            try:
                found = workspace.environments.register(definition(content="child"))
                status = 0 if found.version in {2, 3} else 2
            finally:
                os._exit(status)
        version = workspace.environments.register(definition(content="parent")).version
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert version in {2, 3}
        assert len(workspace.environments.versions("train")) == 3

    def test_threads_share_a_workspace(self, workspace: Workspace) -> None:
        found: list[int] = []

        def work(number: int) -> None:
            for part in range(4):
                found.append(workspace.environments.register(definition(content=f"{number}.{part}")).version)
                workspace.environments.list()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == list(range(1, 33))
