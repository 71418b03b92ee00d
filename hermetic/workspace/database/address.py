"""Where a workspace's database is, as SQLAlchemy takes it; passwords are put in here and hidden from then on."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hermetic.errors import UsageError
from hermetic.secrets import expand, hide
from hermetic.workspace_config import WorkspaceAddress

SQLITE = "workspace.sqlite"
_REMEDY = "write postgresql://user:${PASSWORD}@host/name, or leave it out for SQLite"


def database_url(address: WorkspaceAddress) -> URL:
    """Give the URL of a workspace's database, with its ``${VAR}`` put in. Raises UsageError.

    A variable in the user part holds its text as it is: what would need quoting in a URL is quoted here.
    """
    text = address.database
    if not text:
        return sqlite_url(address.folder / SQLITE)
    if text.startswith("${"):
        text = expand(text)  # a whole address in one variable
    scheme, _, rest = text.partition("://")
    part = re.match(r"[^/?#]*", rest)
    authority = part[0] if part else ""
    user, at, host = authority.rpartition("@")
    kept = "".join(f"\0{number}\0" if number % 2 else piece for number, piece in enumerate(_split(user)))
    try:
        # The variables of the user part stay out of the URL until it is taken apart: a password may hold any character.
        url = make_url(f"{scheme}://{kept}{at}{expand(host + rest[len(authority) :])}")
    except (ArgumentError, ValueError):
        raise UsageError(  # what is no URL cannot be told without its password
            f"workspace {address.name}: what 'database' holds is no address of one", place=address.place, remedy=_REMEDY
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise UsageError("a database in memory keeps nothing", place=address.place, remedy=_REMEDY)
        return sqlite_url(address.folder / Path(url.database).expanduser())
    if backend != "postgresql":
        raise UsageError(f"{backend!r} is no database that hermetic knows", place=address.place, remedy=_REMEDY)
    pieces = _split(user)
    name, password = _filled(url.username, pieces), _filled(url.password, pieces)
    if password:
        hide(password)
    return url.set(drivername="postgresql+psycopg", username=name, password=password)


def sqlite_url(path: Path) -> URL:
    """Give the URL of an SQLite file."""
    return URL.create("sqlite+pysqlite", database=str(path))


def public_name(url: URL) -> str:
    """Give a database's name as people may see it: a path, or host, port and name without credentials."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or str(url.query.get("host", "localhost"))
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def _split(user: str) -> list[str]:
    """Give the user part in pieces; every second one is a ``${...}``."""
    return re.split(r"(\$\{[^}]*\})", user)


def _filled(text: str | None, pieces: list[str]) -> str | None:
    return re.sub(r"\0(\d+)\0", lambda found: expand(pieces[int(found[1])]), text) if text else text
