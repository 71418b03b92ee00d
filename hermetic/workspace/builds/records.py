"""Builds in the database: the only statements on its tables ``builds`` and ``build_log``.

A build's row is written by the one builder whose word stands in it, and only while the build is under way; whoever
finds that builder dead ends the build in its place. Times are the database's own, so that clocks may differ.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Update, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from hermetic.errors import UsageError
from hermetic.workspace.builds.model import ACTIVE, QUEUED, RUNNING, Build
from hermetic.workspace.database import Database
from hermetic.workspace.database.tables import build_log, builds
from hermetic.workspace.stamps import user

_CLOCK = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
_CHUNKS = 16
"""Chunks of a log that are read at once."""


class Records:
    """The builds of a workspace's database. Raises what the database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(
        self, name: str, version: int, target: str, machine: str, hold: Callable[[int, str], int]
    ) -> tuple[Build, int] | None:
        """Write a new build down; None if one of this version and target is under way.

        ``hold`` takes hold of it, given its number and its builder's word, before anybody sees it; what it gives is
        given back. If it raises, nothing is written.
        """
        values = {
            "name": name, "version": version, "target": target, "state": QUEUED, "created_by": user(),
            "machine": machine, "builder": secrets.token_hex(8), "started": 0, "finished": 0,
            "cancel": False, "lock": "", "result": "", "error": "",
        }  # fmt: skip
        try:
            with self._database.write() as connection:
                now = _now(connection)
                added = insert(builds).values(heartbeat=now, created_at=_stamp(now), **values).returning(*builds.c)
                build = _build(connection.execute(added).one(), now)
                return build, hold(build.id, build.builder)
        except IntegrityError:
            return None

    def under_way(self, name: str, version: int, target: str) -> Build | None:
        """Give the build of a version and target that is under way."""
        where = [builds.c.name == name, builds.c.version == version, builds.c.target == target]
        found = self._select(*where, builds.c.state.in_(ACTIVE))
        return found[0] if found else None

    def get(self, build: int) -> Build:
        """Give a build. Raises UsageError if there is none of this number."""
        found = self._select(builds.c.id == build)
        if not found:
            raise UsageError(f"there is no build {build}", remedy="see 'hermetic environment builds'")
        return found[0]

    def find(
        self, name: str | None = None, version: int | None = None, *, active: bool = False, limit: int | None = None
    ) -> list[Build]:
        """Give builds, the newest first."""
        where = [builds.c.name == name] if name is not None else []
        where += [builds.c.version == version] if version is not None else []
        where += [builds.c.state.in_(ACTIVE)] if active else []
        return self._select(*where, limit=limit)

    def now(self) -> int:
        """Give the database's time, in milliseconds since 1970."""
        with self._database.read() as connection:
            return _now(connection)

    def claim(self, build: int, builder: str) -> bool:
        """Begin a build that is queued; False if it is not so any more."""
        with self._database.write() as connection:
            now = _now(connection)
            begun = _mine(build, builder).where(builds.c.state == QUEUED)
            return connection.execute(begun.values(state=RUNNING, started=now, heartbeat=now)).rowcount == 1

    def beat(self, build: int, builder: str) -> bool:
        """Say that the builder is alive; False if the build was ended without it."""
        with self._database.write() as connection:
            return connection.execute(_mine(build, builder).values(heartbeat=_now(connection))).rowcount == 1

    def wants_end(self, build: int, builder: str) -> bool:
        """Tell whether the builder is to stop: somebody cancelled the build, or ended it."""
        wanted = select(builds.c.id).where(
            builds.c.id == build, builds.c.builder == builder, builds.c.state == RUNNING, builds.c.cancel.is_(False)
        )
        with self._database.read() as connection:
            return connection.execute(wanted).first() is None

    def end(
        self,
        build: int,
        builder: str,
        state: str,
        *,
        lock: str = "",
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write down what came of a build; False if it has ended already."""
        with self._database.write() as connection:
            values = {"lock": lock, "result": _json(result), "error": _json(error)}
            done = _mine(build, builder).values(state=state, finished=_now(connection), **values)
            return connection.execute(done).rowcount == 1

    def cancel(self, build: int) -> bool:
        """Ask a build's builder to stop; False if the build has ended."""
        wanted = update(builds).where(builds.c.id == build, builds.c.state.in_(ACTIVE)).values(cancel=True)
        with self._database.write() as connection:
            return connection.execute(wanted).rowcount == 1

    def append(self, build: int, number: int, chunk: str) -> None:
        """Write a chunk of a build's log; the same number again replaces it."""
        added: Any
        if self._database.kind == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as or_update

            added = or_update(build_log)
        else:
            from sqlalchemy.dialects.sqlite import insert as or_replace

            added = or_replace(build_log)
        added = added.values(build=build, number=number, text=chunk)
        with self._database.write() as connection:
            connection.execute(added.on_conflict_do_update(index_elements=["build", "number"], set_={"text": chunk}))

    def next_chunk(self, build: int) -> int:
        """Give the number of the chunk that a build's log is to have next."""
        with self._database.read() as connection:
            last = connection.execute(select(func.max(build_log.c.number)).where(build_log.c.build == build)).scalar()
        return 0 if last is None else int(last) + 1

    def chunks(self, build: int, after: int = -1) -> list[tuple[int, str]]:
        """Give the next chunks of a build's log with their numbers; none where there are no more so far."""
        wanted = (
            select(build_log.c.number, build_log.c.text)
            .where(build_log.c.build == build, build_log.c.number > after)
            .order_by(build_log.c.number)
            .limit(_CHUNKS)
        )
        with self._database.read() as connection:
            return [(int(number), str(text)) for number, text in connection.execute(wanted)]

    def _select(self, *where: Any, limit: int | None = None) -> list[Build]:
        with self._database.read() as connection:
            found = connection.execute(select(builds).where(*where).order_by(builds.c.id.desc()).limit(limit)).all()
            now = _now(connection)
        return [_build(row, now) for row in found]


def _mine(build: int, builder: str) -> Update:
    return update(builds).where(builds.c.id == build, builds.c.builder == builder, builds.c.state.in_(ACTIVE))


def _now(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(
            connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one()
        )
    return time.time_ns() // 1_000_000  # whoever uses an SQLite file is on one machine


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True) if value else ""


def _build(row: Row[Any], now: int) -> Build:
    found = row._mapping  # noqa: SLF001  SQLAlchemy's own name for it
    plain: Sequence[str] = ("id", "name", "version", "target", "state", "created_at", "created_by", "machine", "lock")
    started, finished = found["started"], found["finished"]
    return Build(
        **{name: found[name] for name in plain},
        started_at=_stamp(started),
        finished_at=_stamp(finished),
        seconds=max((finished or now) - started, 0) / 1000 if started else 0.0,
        cancelling=found["cancel"],
        result=json.loads(found["result"] or "{}"),
        error=json.loads(found["error"] or "{}"),
        builder=found["builder"],
        heartbeat=found["heartbeat"],
    )


def _stamp(milliseconds: int) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
