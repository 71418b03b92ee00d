"""Named environments: versions that never change, labels that move, and what was locked and built of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import ColumnElement, Connection, delete, insert, literal, select, update

from hermetic.errors import MissingError, UsageError
from hermetic.workspace import registering
from hermetic.workspace.database.tables import environments, images, labels, versions
from hermetic.workspace.model import LATEST, Definition, EnvironmentSummary, EnvironmentVersion, ImageRecord
from hermetic.workspace.naming import check_label, check_name, check_not_reserved, near_names
from hermetic.workspace.rows import (
    image_of,
    insert_unless_there,
    listed,
    listed_summaries,
    select_images,
    select_summaries,
    select_version,
    select_versions,
    summary_of,
    version_of,
)
from hermetic.workspace.stamps import now, user

if TYPE_CHECKING:
    from hermetic.workspace.workspace import Workspace

_CHUNK = 200
"""Environments that are asked for at once where many are wanted."""
_HIGHEST = 2**31 - 1


class Environments:
    """The environments of a workspace. Every call is one transaction; safe for any number of processes at once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._database = workspace.database

    def register(self, definition: Definition, *, lock: bytes | None = None) -> EnvironmentVersion:
        """Register a definition: the version that it is already, or the next one. It becomes the latest.

        ``lock`` is kept with the version unless it has one. Nothing is solved. Raises UsageError for a name that is
        none, or reserved.
        """
        check_not_reserved(check_name(definition.name))
        sha256 = self._keep(lock, definition.name) if lock is not None else ""
        with self._database.read() as connection:
            found = registering.find_latest(connection, definition)
        if not found:
            with self._database.write() as connection:
                found = registering.register(connection, definition, sha256)
        if lock is not None and not found.lock:
            self.attach_lock(definition.name, found.version, lock, expected="")
            return self.get(definition.name, found.version)
        return found

    def get(self, name: str, version: int | str | None = None, label: str | None = None) -> EnvironmentVersion:
        """Give a version: by its number, by a label, else the latest.

        Raises MissingError, which tells what there is instead, and UsageError for both a version and a label.
        """
        if version is not None and label is not None:
            raise UsageError(
                f"{name}: a version and a label are given, and either is enough", remedy="leave one of them out"
            )
        number = None if version is None else check_version(version, name)
        with self._database.read() as connection:
            row = connection.execute(_wanted(name, number, label)).first()
            if row is None or row.version is None:
                self._refuse(connection, name, number, label)
            if number is None and label in {None, LATEST} and (row.hidden or row.archived):
                raise MissingError(
                    f"the environment {name!r} is archived",
                    remedy=f"restore it, or name one of its versions, 1 to {row.versions}",
                )
            return version_of(row)

    def find(self, name: str) -> EnvironmentSummary | None:
        """Give what a list tells of an environment, archived or not; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute(select_summaries().where(environments.c.name == name)).first()
        return summary_of(row) if row else None

    def names(self, *, archived: bool = False) -> list[str]:
        """Give the environments' names, sorted; with those of the archived ones if asked for."""
        wanted = select(environments.c.name).order_by(environments.c.name)
        with self._database.read() as connection:
            return list(connection.execute(wanted if archived else wanted.where(listed())).scalars())

    def list(self, *, archived: bool = False) -> list[EnvironmentSummary]:
        """Give all environments, sorted by name; with the archived ones if asked for."""
        with self._database.read() as connection:
            if archived:
                return [summary_of(row) for row in connection.execute(select_summaries().order_by(environments.c.name))]
            return listed_summaries(connection)

    def latest_many(self, names: Iterable[str]) -> Iterator[EnvironmentVersion]:
        """Give the latest versions of many environments, some hundred at a time; what is not there is left out."""
        waiting = iter(names)
        while chunk := list(islice(waiting, _CHUNK)):
            wanted = select_version(environments.c.latest).where(environments.c.name.in_(chunk), listed())
            with self._database.read() as connection:
                rows = connection.execute(wanted).all()
            found = {row.name: version_of(row) for row in rows}
            yield from (found[name] for name in chunk if name in found)

    def versions(self, name: str) -> Sequence[EnvironmentVersion]:
        """Give all versions of an environment, the oldest first, archived ones too. Raises MissingError."""
        wanted = select_versions().where(environments.c.name == name).order_by(versions.c.version)
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
            if not rows:
                self._refuse(connection, name, None, None)
        return [version_of(row) for row in rows]

    def label(self, name: str, version: int | str, labels: Sequence[str]) -> None:
        """Put labels on a version; they leave the version that had them. Raises UsageError, MissingError."""
        wanted = [check_label(label) for label in _several(labels)]
        number = check_version(version, name)
        with self._database.write() as connection:
            environment = self._held(connection, name, number)
            self._unlabel(connection, environment, wanted)
            for label in dict.fromkeys(wanted):
                connection.execute(_labels().values(environment=environment, label=label, version=number))

    def unlabel(self, name: str, labels: Sequence[str]) -> None:
        """Take labels away; those that are not there are passed over. Raises UsageError, MissingError."""
        wanted = [check_label(label) for label in _several(labels)]
        with self._database.write() as connection:
            self._unlabel(connection, self._held(connection, name), wanted)

    def archive(self, name: str, version: int | str | None = None, *, restore: bool = False) -> None:
        """Archive an environment, or one version of it, or take it back.

        What is archived is not listed and never the latest; by name and version it is still found. Registering it
        anew restores it. Raises MissingError.
        """
        number = None if version is None else check_version(version, name)
        with self._database.write() as connection:
            environment = self._held(connection, name, number)
            of = versions.c.environment == environment
            if number is not None:
                change = update(versions).where(of, versions.c.version == number)
                connection.execute(change.values(archived=not restore))
                registering.settle(connection, environment)
                return
            active = select(versions.c.version).where(of, versions.c.archived.is_(False)).limit(1)
            if restore and connection.execute(active).first() is None:  # they were archived one by one
                connection.execute(update(versions).where(of).values(archived=False))
            registering.settle(connection, environment, archived=not restore)

    def attach_lock(self, name: str, version: int | str, lock: bytes, *, expected: str) -> str:
        """Keep a version's lock if the one that it has now is ``expected`` (a sha256; empty: none).

        Gives the sha256 of the lock that holds from now on: this one, or what another has attached meanwhile. Raises
        UsageError for a lock that takes back what ``expected`` holds, LockFileError for what is none, MissingError.
        """
        found = self.get(name, check_version(version, name))
        if found.lock != expected:
            return found.lock
        shown = f"{name}:{found.version}"
        if expected:
            from hermetic.workspace.lock_objects import check_grown, kept_lock

            check_grown(kept_lock(self._workspace.objects, expected, shown), lock, shown)
        sha256 = self._keep(lock, shown)
        with self._database.write() as connection:
            environment = self._held(connection, name, found.version)
            at = (versions.c.environment == environment) & (versions.c.version == found.version)
            connection.execute(update(versions).where(at, versions.c.lock == expected).values(lock=sha256))
            return str(connection.execute(select(versions.c.lock).where(at)).scalar_one())

    def lock_bytes(self, name: str, version: int | str) -> bytes | None:
        """Give a version's lockfile, None while it has none. Raises IntegrityError for other bytes than were kept."""
        found = self.get(name, check_version(version, name))
        if not found.lock:
            return None
        from hermetic.workspace.lock_objects import kept_lock

        return kept_lock(self._workspace.objects, found.lock, f"{name}:{found.version}")

    def add_image(self, record: ImageRecord) -> None:
        """Write down an image that was built of a version; once more changes only whether it was pushed."""
        values = {
            "version": record.version,
            "platform": record.platform,
            "reference": record.reference,
            "digest": record.digest,
        }
        with self._database.write() as connection:
            values["environment"] = self._held(connection, record.name, record.version)
            who = {"created_at": record.created_at or now(), "created_by": record.created_by or user()}
            new = insert_unless_there(connection, images, **values, **who, pushed=record.pushed)
            if not new and record.pushed:
                same = [images.c[column] == value for column, value in values.items()]
                connection.execute(update(images).where(*same).values(pushed=True))

    def images(self, name: str, version: int | str | None = None) -> Sequence[ImageRecord]:
        """Give the images of an environment, or of one version, the newest first. Raises MissingError."""
        number = None if version is None else check_version(version, name)
        with self._database.read() as connection:
            row = connection.execute(_wanted(name, number, None)).first()
            if row is None or row.version is None:
                self._refuse(connection, name, number, None)
            rows = connection.execute(select_images(row.id, number)).all()
        return [image_of(row, name) for row in rows]

    def _keep(self, lock: bytes, name: str) -> str:
        from hermetic.workspace.lock_objects import keep_lock

        return keep_lock(self._workspace.objects, lock, name)

    def _held(self, connection: Connection, name: str, version: int | None = None) -> int:
        """Hold an environment until the transaction ends; give its number. Raises MissingError."""
        row = registering.hold(connection, name)
        if row is None or (version is not None and version > row.versions):
            self._refuse(connection, name, version, None)
        return int(row.id)

    @staticmethod
    def _unlabel(connection: Connection, environment: int, names: Sequence[str]) -> None:
        connection.execute(delete(labels).where(labels.c.environment == environment, labels.c.label.in_(names)))

    def _refuse(self, connection: Connection, name: str, version: int | None, label: str | None) -> NoReturn:
        """Say that something is not there, and what there is."""
        row = connection.execute(select(environments).where(environments.c.name == name)).first()
        if row is None:
            self._refuse_name(connection, name)
        if label is not None:
            there = connection.execute(select(labels.c.label).where(labels.c.environment == row.id)).scalars()
            known = ", ".join([LATEST, *sorted(there)][:10])
            raise MissingError(f"no version of {name!r} has the label {label!r}", remedy=f"its labels are: {known}")
        count = f"versions 1 to {row.versions}" if row.versions > 1 else "version 1 only"
        raise MissingError(f"the environment {name!r} has no version {version}", remedy=f"it has {count}")

    def _refuse_name(self, connection: Connection, name: str) -> NoReturn:
        near = near_names(name, connection.execute(select(environments.c.name)).scalars().all())
        remedy = "'hermetic environment list' shows those that there are"
        if near:
            remedy = f"did you mean {' or '.join(map(repr, near))}? {remedy}"
        raise MissingError(f"the workspace {self._workspace.name!r} has no environment {name!r}", remedy=remedy)


def check_version(version: object, name: str) -> int:
    """Give the number of a version, which may be given as text. Raises UsageError for what is none."""
    if isinstance(version, str) and version.isascii() and version.isdecimal():
        version = int(version)
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version <= _HIGHEST:
        return version
    raise UsageError(
        f"{name}: {str(version)[:80]!r} is no version",
        remedy="versions are 1, 2, 3 ...; for names of versions use label",
    )


def _wanted(name: str, version: int | None, label: str | None) -> Any:
    number: ColumnElement[int] = environments.c.latest
    if version is not None:
        number = literal(version)
    elif label not in {None, LATEST}:
        number = (
            select(labels.c.version)
            .where(labels.c.environment == environments.c.id, labels.c.label == label)
            .scalar_subquery()
        )
    return select_version(number).where(environments.c.name == name)


def _labels() -> Any:
    return insert(labels)


def _several(names: object) -> list[str]:
    """Give names as a list; one text is one name."""
    return [names] if isinstance(names, str) else list(names)  # type: ignore[call-overload]
