"""``Workspace``: where named environments, private wheels, secrets and builds are kept.

The names are the Azure ML v1 SDK's; what they say of a cloud is taken and changes nothing. What differs, and why:
docs/api.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import ExistsError, MissingError, UsageError
from hermetic.sdk.attributes import Strict, text_argument
from hermetic.sdk.errors import ArgumentError
from hermetic.workspace_config import (
    DEFAULT_FOLDER,
    MADE,
    WorkspaceAddress,
    address_in,
    read_workspace_file,
    refuse_typed,
    workspace_in,
)

if TYPE_CHECKING:
    from hermetic.sdk.builds import EnvironmentBuild
    from hermetic.sdk.environments import Environments
    from hermetic.workspace.keyvault.keyvault import Keyvault
    from hermetic.workspace.workspace import Workspace as Room

_CLOUD = frozenset(
    "auth subscription_id resource_group location create_resource_group sku tags friendly_name storage_account "
    "key_vault app_insights container_registry adb_workspace primary_user_assigned_identity cmk_keyvault "
    "resource_cmk_uri hbi_workspace default_cpu_compute_target default_gpu_compute_target private_endpoint_config "
    "private_endpoint_auto_approval show_output user_assigned_identity_for_cmk_encryption "
    "system_datastores_auth_mode v1_legacy_mode workspace_id cloud _file_name _logger".split()
)
"""Parameters of the v1 SDK that tell which cloud is meant: taken, so that calls need not change."""
_CONFIG = ".azureml/config.json"


class Workspace(Strict):
    """A workspace. It holds an address alone: it can be copied, pickled, and used by many threads and processes.

    By default its parts stand in one folder, with nothing to start. ``Workspace(name)`` gives the one of that name;
    ``create`` makes one, ``from_config`` finds the one that the working folder belongs to.
    """

    _elsewhere = {  # noqa: RUF012
        "delete": "a workspace is a folder, or a database and a bucket: remove those where they are",
        "get_default_datastore": "data stays where it is; private wheels go to add_private_pip_wheel()",
        "compute_targets": "what runs, runs on this machine",
        "subscription_id": "there is no cloud; remove the line",
        "resource_group": "there is no cloud; remove the line",
        "location": "there is no cloud; remove the line",
    }

    def __init__(self, name: str | None = None, *, workspace_name: str | None = None, **cloud: object) -> None:
        _refuse_unknown("Workspace", cloud)
        wanted = name if name is not None else workspace_name
        found = Workspace.get(text_argument("Workspace", "name", wanted))
        self._address: WorkspaceAddress = found._address  # noqa: SLF001  of its own class

    @classmethod
    def _at(cls, address: WorkspaceAddress) -> Workspace:
        made: Workspace = cls.__new__(cls)
        made._address = address
        return made

    @staticmethod
    def create(
        name: str,
        path: str | os.PathLike[str] | None = None,
        *,
        database: str = "",
        artefacts: str = "",
        registry: str = "",
        keyvault: str = "",
        exist_ok: bool = False,
        **cloud: object,
    ) -> Workspace:
        """Make a workspace; with ``exist_ok`` one that is there is given.

        ``path`` is its folder (default: ``.hermetic/workspace`` in the working folder). A shared one has a
        ``database`` (``postgresql://...``), ``artefacts`` (a folder, or ``s3://``, ``az://``, ``gs://``, ``https://``)
        and a ``registry`` for images; ``keyvault`` is ``keyring`` or ``file``. ``${NAME}`` in them stands for an
        environment variable. One in the default folder is found from there by its name; ``write_config`` writes a file
        that may be committed. Raises ExistsError, and UsageError for what cannot be understood.
        """
        from hermetic.workspace.workspace import Workspace as Room

        _refuse_unknown("create", cloud)
        folder = Path.cwd() / (DEFAULT_FOLDER if path is None else os.fspath(path))
        values = {"database": database, "artefacts": artefacts, "registry": registry, "keyvault": keyvault}
        given = {key: text_argument("create", key, value) for key, value in values.items() if value}
        address = address_in(folder, text_argument("create", "name", name), given)
        Room.create(address, exist_ok=exist_ok)
        _leave_name(address)
        return Workspace._at(address)

    @staticmethod
    def from_config(path: str | os.PathLike[str] | None = None, **cloud: object) -> Workspace:
        """Give the workspace that a folder belongs to (default: the working one), or the one that a file names.

        Its name stands in ``hermetic.toml``, in a table ``[workspace]``, or in the v1 SDK's ``config.json``, in the
        folder or above. A file that is not there is looked for in ``.azureml`` beside it, where ``write_config`` puts
        it. One that is named there and not made yet is made, unless it has a database of its own.
        Raises UsageError where no file names one.
        """
        from hermetic.workspace.opening import find_address, opened

        _refuse_unknown("from_config", cloud)
        address: WorkspaceAddress | None = None
        if path is not None:
            start = Path(path if isinstance(path, os.PathLike) else text_argument("from_config", "path", path))
            start = _inner(start)
            if not start.exists():
                raise MissingError(f"from_config: there is no {start}", remedy="give a folder, or a config.json")
            name = cloud.get("_file_name")
            if isinstance(name, str) and start.is_dir():
                inner = start / ".azureml" / name
                start = inner if inner.is_file() else start / name
            if start.is_file():
                address = read_workspace_file(start.absolute())
            else:
                address = workspace_in(start.absolute()) or find_address(start)
        address = address or find_address()
        opened(address)
        return Workspace._at(address)

    @staticmethod
    def get(name: str, **cloud: object) -> Workspace:
        """Give the workspace of a name: one of this machine's configuration, or the one of the working folder.

        Raises UsageError where nothing tells where it is.
        """
        from hermetic.workspace.opening import find_address, opened

        _refuse_unknown("get", cloud)
        address = find_address(name=text_argument("get", "name", name))
        opened(address)
        return Workspace._at(address)

    @property
    def name(self) -> str:
        """The workspace's name."""
        return self._address.name

    @property
    def path(self) -> Path:
        """The workspace's folder on this machine."""
        return self._address.folder

    @property
    def environments(self) -> Environments:
        """The latest version of every environment, by name, with the curated ones: a dictionary that loads lazily."""
        from hermetic.sdk.environments import Environments

        return Environments(self)

    @property
    def builds(self) -> Sequence[EnvironmentBuild]:
        """All builds of environments, the newest first."""
        from hermetic.sdk.builds import EnvironmentBuild

        return EnvironmentBuild.list(self)

    def get_default_keyvault(self) -> Keyvault:
        """Give the workspace's secrets. They are also what references are looked up in from now on."""
        from hermetic.sdk.vaults import use_vault_of

        use_vault_of(self._address)
        vault: Keyvault = self._room.keyvault()
        return vault

    def get_details(self) -> dict[str, str]:
        """Tell where the workspace's parts stand; texts as they are declared, so variables stay unresolved.

        ``registry`` is empty where none is configured: images are then in this machine's Docker Engine. ``keyvault``
        is ``keyring`` or the vault's file.
        """
        from hermetic.config import load_config
        from hermetic.secrets import public_url
        from hermetic.store.objects.opening import FOLDER
        from hermetic.workspace.database.address import SQLITE
        from hermetic.workspace.keyvault.keyvault import FILE

        address = self._address
        artefacts = address.artefacts or str(address.folder / FOLDER)
        kind = self._room.keyvault().kind
        return {
            "name": address.name,
            "path": str(address.folder),
            "database": public_url(address.database) if address.database else str(address.folder / SQLITE),
            "artefacts": public_url(artefacts) if "://" in artefacts else artefacts,
            "registry": address.registry or load_config().registry,
            "keyvault": str(address.folder / FILE) if kind == "file" else kind,
        }

    def write_config(self, path: str | os.PathLike[str] | None = None, file_name: str | None = None) -> None:
        """Write the file by which ``from_config`` finds the workspace: ``.azureml/config.json`` in a folder.

        ``path`` is the folder (default: the working one), ``file_name`` another name for the file in ``.azureml``.
        Where a file of the folder names this workspace already, that one is rewritten, and a ``hermetic.toml`` that
        does is left as it is. What stands there comes first, so a file that names another workspace is an error.
        """
        from hermetic.files import write_whole

        folder = Path.cwd() / ("" if path is None else os.fspath(path))
        refuse_typed(self._address)
        values: dict[str, object] = {**_values(self._address, folder)}
        found = workspace_in(folder) if folder.is_dir() else None
        there = Path(found.place.file) if found and found.place else None
        if found and there and there.suffix == ".toml" and _whole(found) != _whole(self._address):
            raise ExistsError(f"{found.place} names the workspace {found.name} already", remedy="change it there")
        if file_name is not None:
            file = folder / ".azureml" / text_argument("write_config", "file_name", file_name)
        elif found and there and there != folder / _CONFIG:
            if found.name != self.name:  # it is found before the one in .azureml
                raise ExistsError(f"{found.place} names the workspace {found.name} already", remedy="change it there")
            if there.suffix == ".toml":
                return
            file, values = there, _rewritten(there, values)
        else:
            file = folder / _CONFIG
        write_whole(file, _config_text(values))

    @property
    def _room(self) -> Room:
        """The workspace's own room, opened once in a process."""
        from hermetic.workspace.opening import opened

        return opened(self._address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workspace) and _whole(other._address) == _whole(self._address)

    def __hash__(self) -> int:
        return hash(_whole(self._address))

    def __repr__(self) -> str:
        return f"Workspace(name={self.name!r}, path={str(self.path)!r})"


def workspace_at(start: str | None = None, name: str = "") -> Workspace:
    """Give the workspace of a folder (default: the working one), or the one of a name. Raises UsageError."""
    from hermetic.workspace.opening import find_address, opened

    address = find_address(start, name)
    opened(address)
    return Workspace._at(address)  # noqa: SLF001


def room_of(workspace: object, function: str) -> Room:
    """Give the room of a workspace that was given as an argument. Raises ArgumentError for what is none."""
    return checked_workspace(workspace, function)._room  # noqa: SLF001


def checked_workspace(workspace: object, function: str) -> Workspace:
    """Give an argument back if it is a Workspace. Raises ArgumentError."""
    if isinstance(workspace, Workspace):
        return workspace
    raise ArgumentError(
        f"{function}: workspace is a Workspace, not {'None' if workspace is None else type(workspace).__name__}",
        remedy="give what Workspace.from_config() or Workspace.create() gives",
    )


def _whole(address: WorkspaceAddress) -> tuple[object, ...]:
    return address.name, address.folder, address.database, address.artefacts


def _inner(file: Path) -> Path:
    """Give a file as it was named; where there is none, the one of that name in a folder that the v1 SDK writes to."""
    found = [] if file.exists() else [file.parent / name / file.name for name in (".azureml", "aml_config")]
    return next((path for path in found if path.is_file()), file)


def _rewritten(file: Path, values: Mapping[str, object]) -> dict[str, object]:
    """Give what a config.json will say: of a cloud what it says now, of the workspace what is to be said."""
    document = json.loads(file.read_text(encoding="utf-8"))
    ours = {"name", "workspace_name", "path", "database", "artefacts", "registry", "keyvault"}
    return {**{name: value for name, value in document.items() if name not in ours}, **values}


def _leave_name(address: WorkspaceAddress) -> None:
    """Leave the name in the default folder, so that its workspace is found before somebody commits a file."""
    from hermetic.files import write_whole

    root = address.folder.parent.parent
    if address.folder != root / DEFAULT_FOLDER:
        return
    try:
        refuse_typed(address)
    except UsageError:  # a password is written nowhere: write_config() tells the way out
        return
    write_whole(root / MADE, _config_text(_values(address, root)))


def _config_text(values: Mapping[str, object]) -> str:
    return json.dumps(values, indent=4, ensure_ascii=False) + "\n"


def _values(address: WorkspaceAddress, folder: Path) -> dict[str, str]:
    """Give what a config.json says; paths within its folder are relative, so that the folder may move."""
    values = {
        "workspace_name": address.name,
        "path": _near(address.folder, folder),
        "database": address.database,
        "artefacts": address.artefacts if "://" in address.artefacts else _near(Path(address.artefacts), folder),
        "registry": address.registry,
        "keyvault": address.keyvault,
    }
    if not address.artefacts:
        values["artefacts"] = ""
    return {name: value for name, value in values.items() if value}


def _near(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _refuse_unknown(function: str, cloud: dict[str, object]) -> None:
    for name in cloud:
        if name not in _CLOUD:
            raise ArgumentError(
                f"{function}: no parameter {name!r}",
                remedy="remove it: docs/api.md tells which there are",
            )
