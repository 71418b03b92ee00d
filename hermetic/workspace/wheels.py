"""A workspace's own wheels: kept by their bytes, known by their file names, read by signed addresses.

The artefacts are the one truth; the database knows nothing of wheels. A wheel is ``wheels/<sha256>/<file name>``. What
a list shows stands in small documents that are made after it: ``wheel-records/<project>/<file name>/first.json`` for
the bytes that had a file name first (of two at once one wins), ``.../<sha256>.json`` for other bytes of that name,
which are kept beside them when somebody says so. So what is listed is there, and every URL keeps its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from hermetic.digest import canonical_json
from hermetic.errors import ExistsError, IntegrityError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.spec.private_urls import PrivateUrl, is_private, parse_private, private_url
from hermetic.store.objects.model import MissingObjectError, ObjectStore, check_expiry, missing
from hermetic.store.objects.private import EXPIRES
from hermetic.workspace.model import PrivateWheel
from hermetic.workspace.stamps import now, user
from hermetic.workspace.wheel_files import WheelFile, read_wheel
from hermetic.workspace_config import WorkspaceAddress

Listed = list[PrivateWheel]
RECORDS = "wheel-records/"
_FIRST = "first.json"
_FIELDS: dict[str, Any] = {
    "name": str,
    "version": str,
    "file_name": str,
    "sha256": str,
    "size": int,
    "created_at": str,
    "created_by": str,
}
_JOBS = 10
"""Records that are read at once: a cloud answers slowly but many; its clients keep ten connections."""


class _Keeper(Protocol):
    @property
    def address(self) -> WorkspaceAddress: ...

    @property
    def objects(self) -> ObjectStore: ...


class Wheels:
    """The private wheels of a workspace, of which only its name and its artefacts are used."""

    def __init__(self, workspace: _Keeper) -> None:
        self._workspace = workspace.address.name.lower()
        self._objects = workspace.objects

    def add(self, path: Path | str, *, exist_ok: bool = False, reporter: Reporter = SILENT) -> PrivateWheel:
        """Keep a wheel; give it with its stable URL.

        The same bytes again give the same URL, and nothing is uploaded. Raises ExistsError if another wheel has this
        file name, unless ``exist_ok``: then both are kept, each under its own URL. Raises UsageError or IntegrityError
        for a file that is no sound wheel.
        """
        file = read_wheel(Path(path), reporter=reporter)
        known = self._known(file, exist_ok=exist_ok)
        url = parse_private(private_url(self._workspace, file.sha256, file.file_name))
        self._objects.put(url.key, file.path, sha256=file.sha256, reporter=reporter)
        if known:
            return known
        wheel = PrivateWheel(file.name, file.version, file.file_name, file.sha256, file.size, str(url), now(), user())
        folder = _folder(file.name, file.file_name)
        if self._objects.put_bytes(folder + _FIRST, _document(wheel)):
            return wheel
        if not (known := self._known(file, exist_ok=exist_ok)):  # somebody else was first meanwhile
            self._objects.put_bytes(f"{folder}{file.sha256}.json", _document(wheel))
        return known or self._of_name(folder, file.sha256) or wheel

    def list(self) -> Listed:
        """Give all wheels, sorted by name, version and file name, the earlier of one name first."""
        return self._read(self._objects.keys(RECORDS))

    def get(self, wheel: str, version: str | None = None) -> PrivateWheel:
        """Give one wheel: by its URL, or by its project's name, and its version (default: the newest).

        Raises MissingObjectError for one that is not there, UsageError if several are meant.
        """
        if is_private(wheel):
            return self._by_url(self._own(wheel))
        found = self._read(self._objects.keys(f"{RECORDS}{_project(wheel)}/"))
        if not found:
            names = sorted({key.split("/")[1] for key in self._objects.keys(RECORDS)})
            raise MissingObjectError(
                f"the workspace has no wheel of {wheel!r}", remedy=f"it has wheels of: {', '.join(names) or 'nothing'}"
            )
        wanted = _version(version) if version is not None else _version(found[-1].version)
        chosen = [one for one in found if _version(one.version) == wanted]
        if len(chosen) == 1:
            return chosen[0]
        if not chosen:
            raise MissingObjectError(
                f"the workspace has no wheel of {wheel} {version}",
                remedy=f"it has: {', '.join(dict.fromkeys(one.version for one in found))}",
            )
        listed = "\n".join(f"    {one.url}" for one in chosen)
        raise UsageError(f"{wheel} {chosen[0].version} is several wheels", remedy=f"name one by its URL:\n{listed}")

    def sign(self, url: str, expires: int = EXPIRES) -> str:
        """Give an address that reads a wheel for some seconds, and nothing else. Raises MissingObjectError."""
        private = self._own(url)
        check_expiry(expires)
        if self._objects.size(private.key) is None:
            raise missing(private.key, self._objects.where)
        return self._objects.signed_url(private.key, expires=expires)

    def _own(self, url: str) -> PrivateUrl:
        private = parse_private(url)
        if private.workspace == self._workspace:
            return private
        raise UsageError(
            f"the wheel belongs to the workspace {private.workspace!r}, and this one is {self._workspace!r}",
            remedy="open that workspace",
        )

    def _by_url(self, private: PrivateUrl) -> PrivateWheel:
        from packaging.utils import parse_wheel_filename

        name, version, _, _ = parse_wheel_filename(private.file_name)
        if known := self._of_name(_folder(str(name), private.file_name), private.sha256):
            return known
        size = self._objects.size(private.key)
        if size is None:
            raise missing(private.key, self._objects.where)
        return PrivateWheel(str(name), str(version), private.file_name, private.sha256, size, str(private))

    def _known(self, file: WheelFile, *, exist_ok: bool) -> PrivateWheel | None:
        """Give the wheel if it is kept. Raises ExistsError if only others have its name, unless ``exist_ok``."""
        folder = _folder(file.name, file.file_name)
        known = self._of_name(folder, file.sha256)
        if known or exist_ok:
            return known
        first = self._record_at(folder + _FIRST)
        if first:
            raise _exists(file, first)
        return None

    def _of_name(self, folder: str, sha256: str) -> PrivateWheel | None:
        """Give the wheel of these bytes among those of one file name."""
        first = self._record_at(folder + _FIRST)
        if first is None or first.sha256 == sha256:
            return first
        return self._record_at(f"{folder}{sha256}.json")

    def _record_at(self, key: str) -> PrivateWheel | None:
        try:
            return self._record(key)
        except MissingObjectError:
            return None

    def _read(self, keys: Iterable[str]) -> Listed:
        from hermetic.store.threads import side_by_side

        found: Listed = []
        wanted = [key for key in keys if key.endswith(".json")]
        if len(wanted) == 1:
            found = [self._record(wanted[0])]
        else:
            side_by_side(lambda key: found.append(self._record(key)), wanted, _JOBS, Event())
        return sorted(found, key=lambda one: (one.name, _version(one.version), one.file_name, one.created_at, one.url))

    def _record(self, key: str) -> PrivateWheel:
        data = self._objects.get_bytes(key)
        try:
            values: Any = json.loads(data)
            stated = {name: kind(values[name]) for name, kind in _FIELDS.items()}
            return PrivateWheel(url=private_url(self._workspace, stated["sha256"], stated["file_name"]), **stated)
        except (ValueError, KeyError, TypeError):
            raise IntegrityError(
                f"{self._objects.where}: {key} is no record of a wheel",
                remedy="somebody wrote it by other means than hermetic: remove it, and add its wheel again",
            ) from None


def _folder(name: str, file_name: str) -> str:
    return f"{RECORDS}{name}/{file_name}/"


def _document(wheel: PrivateWheel) -> bytes:
    values = asdict(wheel)
    del values["url"]  # the workspace's name may change, and its wheels are what they are
    return canonical_json(values)


def _exists(file: WheelFile, first: PrivateWheel) -> ExistsError:
    by = f" by {first.created_by}" if first.created_by else ""
    return ExistsError(
        f"another wheel is called {file.file_name}: added {first.created_at}{by}, with sha256 {first.sha256}",
        remedy="give yours another version, or say exist_ok=True (--exist-ok): both are kept, each with its own URL",
    )


def _project(text: str) -> str:
    from packaging.utils import InvalidName, canonicalize_name

    try:
        return str(canonicalize_name(text, validate=True))
    except InvalidName:
        raise UsageError(f"{text[:80]!r} is no name of a project", remedy="give a name or a wheel's URL") from None


def _version(text: str) -> Any:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{text[:80]!r} is no version", remedy="give one as 1.0 or 2.1.post1") from None
