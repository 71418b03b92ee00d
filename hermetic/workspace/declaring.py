"""Declaring a workspace: a table in a project's ``hermetic.toml``, or a ``config.json`` where there is no manifest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermetic.errors import ExistsError, MissingError, Place, UsageError
from hermetic.files import write_whole
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import (
    CONFIG_FILES,
    DEFAULT_FOLDER,
    MANIFEST,
    TABLE,
    WorkspaceAddress,
    address_in,
    find_workspace,
    workspace_in,
)

KEYS = ("path", "database", "artefacts", "registry", "keyvault")
"""What a workspace's table holds beside its name."""


@dataclass(frozen=True)
class Declared:
    """A workspace that is declared and there: the file that says so, and what was done now."""

    address: WorkspaceAddress
    file: Path
    written: bool
    created: bool


def declare_workspace(folder: str | None, name: str, values: Mapping[str, str]) -> Declared:
    """Declare a workspace in a folder (default: the project that the working folder is in), and make it.

    ``values`` are those of the table that are not the defaults; paths are the caller's. Of a workspace that is declared
    already only what is missing is made. A shared one that is there is joined. Raises ExistsError if another one is
    declared, UsageError for values that cannot be, with nothing written.
    """
    root = _root(folder)
    values = {key: _from(root, text) if key in {"path", "artefacts"} else text for key, text in values.items() if text}
    _refuse_secrets(values)
    if found := workspace_in(root) if folder else find_workspace(root, declared=True):
        _compare(found, name, values, root)
        assert found.place
        return Declared(found, Path(found.place.file), written=False, created=_make(found))
    address = _checked(root, name or re.sub(r"[^A-Za-z0-9._-]", "-", root.name).strip("-._") or "workspace", values)
    file = _file(root)
    text = _text(file, {"name": address.name, **values})
    created = _make(address)
    write_whole(file, text)
    return Declared(address, file, written=True, created=created)


def _root(folder: str | None) -> Path:
    here = Path(folder or ".").absolute()
    if not here.is_dir():
        raise MissingError(f"{folder} is no folder", remedy="make it first")
    if folder:
        return here
    return next((above for above in (here, *here.parents) if (above / MANIFEST).is_file()), here)


def _from(root: Path, text: str) -> str:
    """Give a path of the caller's relative to the folder, as files hold paths; a URL as it is."""
    if "://" in text or text.startswith(("${", "~")) or Path(text).is_absolute():
        return text
    return os.path.relpath(Path(text).absolute(), root).replace(os.sep, "/")


def _refuse_secrets(values: Mapping[str, str]) -> None:
    from hermetic.spec.passwords import url_holds_password

    for key, text in values.items():
        if url_holds_password(text):
            raise UsageError(
                f"--{key} holds a password, and the file is to be committed",
                remedy="write ${VARIABLE} in its place, in single quotes, and set that when you run hermetic",
            )


def _checked(root: Path, name: str, values: Mapping[str, str]) -> WorkspaceAddress:
    """Give the address that the table will have. Raises UsageError."""
    path = root / Path(values.get("path") or DEFAULT_FOLDER).expanduser()
    others = {key: value for key, value in values.items() if key != "path"}
    if "artefacts" in others and "://" not in others["artefacts"] and not others["artefacts"].startswith("${"):
        others["artefacts"] = str(root / Path(others["artefacts"]).expanduser())
    return address_in(Path(os.path.abspath(path)), name, others)  # noqa: PTH100  as the file is read


def _compare(found: WorkspaceAddress, name: str, values: Mapping[str, str], root: Path) -> None:
    """Raise ExistsError unless what is declared is what is asked for."""
    wanted = _checked(root, name or found.name, values)
    asked = {"name": bool(name), **{key: key in values for key in KEYS}}
    for key, given in asked.items():
        attribute = "folder" if key == "path" else key
        there = getattr(found, attribute)
        if given and getattr(wanted, attribute) != there:
            raise ExistsError(
                f"the workspace {found.name!r} is declared already, with another {key}",
                place=found.place,
                remedy="edit the file, or leave the option out to use that workspace",
            )


def _make(address: WorkspaceAddress) -> bool:
    """Make a workspace; False if it was there."""
    try:
        Workspace.create(address).close()
    except ExistsError:
        Workspace.open(address).close()
        return False
    return True


def _file(root: Path) -> Path:
    """Give the file to write to: the manifest, else one of the v1 SDK's places that nobody uses."""
    if (root / MANIFEST).exists():
        return root / MANIFEST
    free = next((root / name for name in CONFIG_FILES if not os.path.lexists(root / name)), None)
    if free is None:
        raise ExistsError(
            f"{' and '.join(CONFIG_FILES)} are there already, and name no workspace",
            place=Place(str(root)),
            remedy=f"start a {MANIFEST} with 'hermetic init', or remove one of them",
        )
    return free


def _text(file: Path, values: Mapping[str, str]) -> str:
    if file.name != MANIFEST:
        # 'path' tells such a file from another program's; it is relative to the folder that .azureml is in
        return json.dumps({"path": DEFAULT_FOLDER, **values}, indent=4, sort_keys=True) + "\n"
    import tomlkit

    from hermetic.spec.toml_file import parse_toml

    old = file.read_text(encoding="utf-8")
    parse_toml(old, file)  # for its error, with the line
    document: Any = tomlkit.parse(old)
    table = tomlkit.table()
    table.update(values)
    if document.body and not old.endswith("\n\n"):
        document.add(tomlkit.nl())
    document[TABLE] = table
    return tomlkit.dumps(document)
