"""Where a workspace's parts stand: one table, found in a file above the working folder.

Searched upwards from a folder, in each folder first found wins: ``hermetic.toml`` with a table ``[workspace]``, then
``config.json``, ``.azureml/config.json`` and ``aml_config/config.json``, where the Azure ML v1 SDK keeps its own. Where
no folder's file names one, ``.hermetic/workspace/workspace.json`` does, which Python's ``Workspace.create`` writes.

::

    [workspace]
    name = "team"
    path = ".hermetic/workspace"                       # the embedded workspace, and what is this machine's own
    database = "postgresql://${DB_USER}:${DB_PASSWORD}@db.example.org/hermetic"   # default: SQLite in 'path'
    artefacts = "s3://bucket/prefix"                   # default: a folder in 'path'; az://account/container/prefix,
                                                       # gs://bucket/prefix, a folder, https://server
    registry = "registry.example.org/team"             # default: what hermetic is configured for
    keyvault = "keyring"                               # default: the keyring if there is one, else a file in 'path'

In ``config.json`` the same keys stand in a JSON object; ``workspace_name`` is taken for ``name``, and the v1 SDK's
``subscription_id`` and ``resource_group`` are passed over. ``${VAR}`` is put in at the moment of use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermetic.errors import Place, UsageError

DEFAULT_FOLDER = ".hermetic/workspace"
CONFIG_FILES = ("config.json", ".azureml/config.json", "aml_config/config.json")
"""Files of the v1 SDK's kind, relative to a folder, best first."""
MADE = f"{DEFAULT_FOLDER}/workspace.json"
"""What a workspace that no committed file names is known by, relative to the folder that it was made in."""
MANIFEST = "hermetic.toml"
TABLE = "workspace"
KEYVAULTS = ("", "keyring", "file")

_KEYS = ("name", "path", "database", "artefacts", "registry", "keyvault")
_CLOUD = ("subscription_id", "resource_group", "workspace_name", "id", "scope", "location")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_PROMISE = re.compile(r"\$\{[^}]*\}")
_DATABASE = re.compile(r"(postgresql|sqlite)(\+\w+)?:|\$\{")


@dataclass(frozen=True)
class WorkspaceAddress:
    """A workspace's name and where its parts stand.

    ``folder`` is absolute. ``database`` is empty (SQLite in the folder) or a ``postgresql://`` URL; ``artefacts`` is
    empty (a folder in it), an absolute path or a URL; both may hold ``${VAR}``. ``registry`` is as in Config, and
    ``keyvault`` empty, ``keyring`` or ``file``. ``place`` is the file that says so.
    """

    name: str
    folder: Path
    database: str = ""
    artefacts: str = ""
    registry: str = ""
    keyvault: str = ""
    place: Place | None = None


def check_workspace_name(name: str, place: Place | None = None) -> str:
    """Give a workspace's name back if it is one: it stands in the URLs of its wheels. Raises UsageError."""
    if _NAME.match(name):
        return name
    raise UsageError(
        f"{name[:80]!r} is no name of a workspace",
        place=place,
        remedy="use at most 63 letters, digits, '-', '_' and '.', and begin with a letter or digit",
    )


def find_workspace(start: Path | None = None, *, declared: bool = False) -> WorkspaceAddress | None:
    """Find the workspace of a folder (default: the working one), searching upwards; None where there is none.

    ``declared`` asks for one that a file of the project names. Raises UsageError, with file and line where there is
    one, for a file that cannot be understood.
    """
    here = (start or Path.cwd()).absolute()
    folders = (here, *here.parents)
    for folder in folders:
        if found := workspace_in(folder):
            return found
    for folder in () if declared else folders:
        path = folder / MADE
        if path.is_file() and (document := _json(path)) is not None:
            return refuse_typed(_address(document, folder, Place(str(path))))
    return None


def workspace_in(folder: Path) -> WorkspaceAddress | None:
    """Give the workspace that one folder's files name; None if they name none. Raises UsageError."""
    manifest = folder / MANIFEST
    if manifest.is_file():
        table = _toml(manifest).get(TABLE)
        if table is not None:
            line = _line(manifest, rf"\s*\[\s*{TABLE}\s*\]")
            return refuse_typed(_address(table, folder, Place(str(manifest), line)))
    for name in CONFIG_FILES:
        path = folder / name
        if path.is_file() and (document := _json(path)) is not None:
            return refuse_typed(_address(document, folder, Place(str(path))))
    return None


def read_workspace_file(path: Path) -> WorkspaceAddress:
    """Read the workspace that a ``hermetic.toml`` or a JSON file names. Raises UsageError."""
    place = Place(str(path))
    document: Any = _toml(path).get(TABLE) if path.suffix == ".toml" else _json(path)
    if document is None:
        raise UsageError("it names no workspace", place=place, remedy=f'add [{TABLE}] with name = "..."')
    root = path.parent
    return refuse_typed(_address(document, root.parent if root.name in {".azureml", "aml_config"} else root, place))


def refuse_typed(address: WorkspaceAddress) -> WorkspaceAddress:
    """Give an address back if it may stand in a file that is committed: no password is typed into it.

    Raises UsageError, which does not repeat it.
    """
    for key in ("database", "artefacts"):
        user, at, _ = re.split(r"[/?#]", getattr(address, key).partition("://")[2], maxsplit=1)[0].rpartition("@")
        if at and _PROMISE.sub("\0", user).partition(":")[2].strip("\0"):  # a reference has a colon of its own
            raise UsageError(
                f"workspace: {key!r} holds a typed password, and this file is to be committed",
                place=address.place,
                remedy="keep it with 'hermetic secret set NAME' and write ${secret:NAME} in its place, or ${VARIABLE}; "
                "renew it if this file was shared",
            )
    return address


def address_in(folder: Path, name: str, values: Mapping[str, str] | None = None) -> WorkspaceAddress:
    """Give the address of a workspace whose folder is given; ``values`` as in the table. Raises UsageError."""
    return _address({**(values or {}), "name": name, "path": str(folder)}, folder, None)


def table_address(name: str, table: object, file: Path) -> WorkspaceAddress:
    """Give the workspace that a table ``[workspaces.NAME]`` of the user's configuration file names. Raises UsageError.

    Its own folder is beside that file unless the table names another.
    """
    place = Place(str(file), _line(file, rf"\s*\[\s*workspaces\.\"?{re.escape(name)}\"?\s*\]"))
    values = {"path": f"workspaces/{name}", **table} if isinstance(table, Mapping) else table
    return _address({**values, "name": name} if isinstance(values, Mapping) else values, file.parent, place)


def _address(found: Any, root: Path, place: Place | None) -> WorkspaceAddress:
    if not isinstance(found, Mapping):
        raise UsageError("a workspace is a table of texts", place=place, remedy=f"use: {', '.join(_KEYS)}")
    values: dict[str, str] = {}
    for key, value in found.items():
        if key in _KEYS or key == "workspace_name":
            if not isinstance(value, str):
                raise UsageError(f"workspace: {key!r} is no text", place=place, remedy=f'write {key} = "..."')
            values["name" if key == "workspace_name" else key] = value.strip()
        elif key not in _CLOUD:
            raise UsageError(f"workspace: unknown key {key!r}", place=place, remedy=f"use: {', '.join(_KEYS)}")
    if not values.get("name"):
        raise UsageError("the workspace has no name", place=place, remedy='write name = "..."')
    database, artefacts, keyvault = (values.get(key, "") for key in ("database", "artefacts", "keyvault"))
    if database and not _DATABASE.match(database):
        raise UsageError(
            f"workspace: {database.partition('://')[0]!r} is no database that hermetic knows",
            place=place,
            remedy="write postgresql://user:${PASSWORD}@host/name, or leave it out for SQLite",
        )
    if keyvault not in KEYVAULTS:
        raise UsageError(f"workspace: keyvault {keyvault!r} is not known", place=place, remedy="use keyring or file")
    if artefacts and "://" not in artefacts and not artefacts.startswith("${"):
        artefacts = _absolute(artefacts, root)
    return WorkspaceAddress(
        check_workspace_name(values["name"], place),
        Path(_absolute(values.get("path") or DEFAULT_FOLDER, root)),
        database,
        artefacts,
        values.get("registry", ""),
        keyvault,
        place,
    )


def _absolute(path: str, root: Path) -> str:
    return os.path.abspath(root / Path(path).expanduser())  # noqa: PTH100  resolve() would follow the user's links


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_text(path))
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise UsageError(
            f"not TOML: {error}", place=Place(str(path), int(line[1]) if line else None), remedy="mend the file"
        ) from None


def _json(path: Path) -> dict[str, Any] | None:
    """Read a JSON file; None where it is another program's: it names no workspace."""
    import json

    text = _text(path)
    if "name" not in text:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "it is not JSON", place=Place(str(path), getattr(error, "lineno", None)), remedy="mend the file"
        ) from None
    named = isinstance(document, dict) and ("workspace_name" in document or {"name", "path"} <= document.keys())
    return document if named else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError("it is not UTF-8 text", place=Place(str(path)), remedy="mend the file") from None
    except OSError as error:
        raise UsageError(
            f"cannot read it: {error.strerror}", place=Place(str(path)), remedy="check its permissions"
        ) from None


def _line(path: Path, pattern: str) -> int | None:
    lines = _text(path).splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(pattern, line)), None)
