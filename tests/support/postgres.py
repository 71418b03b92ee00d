"""A real PostgreSQL on loopback, on a free port, with a password; one for a test process, gone with it.

    def test_something(postgres: Postgres) -> None:
        url = postgres.new_schema()        # postgresql://user:password@127.0.0.1:PORT/postgres?options=..., empty
        url = postgres.new_database()      # the same with a database of its own, which costs a second

Whoever runs the tests as root gets a server that runs as ``postgres``: it refuses to be root.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.needs import require

USER = "hermetic tests"
PASSWORD = "p@ss:w/rd%${x}#?"
"""It has every character that a URL would be taken apart at."""

_START = 60.0
_numbers = count()


@dataclass
class Postgres:
    """A running server."""

    folder: Path
    programs: Path
    port: int = 0
    durable: bool = False
    process: subprocess.Popen[bytes] | None = None

    def new_schema(self) -> str:
        """Make an empty schema; give the URL that leads into it."""
        name = f"schema_{next(_numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}?options=-csearch_path%3D{name}"

    def new_database(self, name: str = "") -> str:
        """Make an empty database; give its URL."""
        name = name or f"db_{next(_numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.url(name)

    def url(self, database: str, *, password: str = PASSWORD, user: str = USER) -> str:
        """Give a database's URL."""
        return f"postgresql://{quote(user)}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement, outside of a transaction."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start the server and wait until it answers; on the same port if it had one."""
        data, log = self.folder / "data", self.folder / "log"
        for _ in range(10):
            port = self.port or _free_port()
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    [*_demoted("INT"), str(self.programs / "postgres"), "-D", str(data), "-p", str(port),
                     "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c",
                     f"fsync={'on' if self.durable else 'off'}",
                     "-c", "max_connections=120", "-c", "shared_buffers=32MB", "-c", "lc_messages=C"],
                    cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                )  # fmt: skip
            until = time.monotonic() + _START
            while time.monotonic() < until and self.process.poll() is None:
                with suppress(OSError, IndexError):
                    if (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                        self.port = port
                        return
                time.sleep(0.01)
            self.stop()  # another program took the port in between
        raise AssertionError(f"PostgreSQL did not start:\n{log.read_text()}")

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server; ``at_once`` is as a crash."""
        if self.process:
            self.process.send_signal(3 if at_once else 2)
            try:
                self.process.wait(_START)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[Postgres]:
    """Give a running server; skip or fail where PostgreSQL is not installed. ``durable`` is for measuring."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major)
    binary = str(found[-1]) if found else shutil.which("postgres")
    require(binary, "no PostgreSQL server is installed")
    assert binary
    folder = Path(tempfile.mkdtemp(prefix="hermetic-postgres-", dir="/tmp"))
    server = Postgres(folder, Path(binary).resolve().parent, durable=durable)
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            shutil.chown(folder / "password", "postgres")
        made = subprocess.run(
            [*_demoted("KILL"), str(server.programs / "initdb"), "-D", str(folder / "data"), "-U", USER,
             "--pwfile", str(folder / "password"), "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8",
             "--locale=C.UTF-8"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not made.returncode, made.stderr
        server.start()
        yield server
    finally:
        server.stop(at_once=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for this test process."""
    with postgresql() as server:
        yield server


def _demoted(signal: str) -> list[str]:
    """Give the words before a program that end it with us, and make it another user's if we are root."""
    tied = ["setpriv", f"--pdeathsig={signal}"] if shutil.which("setpriv") else []
    if os.geteuid():
        return tied
    require(tied, "setpriv (util-linux) is not installed")
    return [*tied, "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _major(path: Path) -> int:
    found = re.search(r"(\d+)", path.parts[-3])
    return int(found[1]) if found else 0
