"""A workspace: named versions of environments, wheels, secrets and builds, wherever its parts stand.

Importing this module costs nothing: a part is loaded when it is used first.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from hermetic.errors import MachineError, Place
from hermetic.workspace_config import WorkspaceAddress

if TYPE_CHECKING:
    from hermetic.store.objects.model import ObjectStore
    from hermetic.workspace.builds.builds import Builds
    from hermetic.workspace.database import Database
    from hermetic.workspace.environments import Environments
    from hermetic.workspace.keyvault.keyvault import Keyvault
    from hermetic.workspace.wheels import Wheels


class Workspace:
    """A workspace that is there. It holds no connection open until something is asked, and then a few."""

    def __init__(self, address: WorkspaceAddress, database: Database) -> None:
        self.address = address
        self.database = database

    @classmethod
    def create(cls, address: WorkspaceAddress, *, exist_ok: bool = False) -> Workspace:
        """Make a workspace: its folder and its tables. Raises ExistsError if it is there, unless ``exist_ok``.

        Two processes that create one workspace make one.
        """
        from hermetic.workspace.database.engine import Database
        from hermetic.workspace.database.schema import create_schema

        database = Database.of(address)
        try:
            address.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"cannot make the workspace's folder: {error.strerror}",
                place=Place(str(address.folder)),
                remedy="check its permissions, or name another as 'path'",
            ) from None
        database.make_file()
        create_schema(database, address.name, exist_ok=exist_ok)
        _ignore(address)
        return cls(address, database)

    @classmethod
    def open(cls, address: WorkspaceAddress) -> Workspace:
        """Give a workspace that was created; an older one is brought up to date.

        Raises UsageError if it is not there, or was made by a newer hermetic.
        """
        from hermetic.workspace.database.engine import Database
        from hermetic.workspace.database.schema import check_schema, not_created

        database = Database.of(address)
        if database.file and not database.file.exists():
            raise not_created(address.name, database.where, address.place)
        check_schema(database, address.name, place=address.place)
        return cls(address, database)

    @property
    def name(self) -> str:
        """The workspace's name."""
        return self.address.name

    @cached_property
    def environments(self) -> Environments:
        """Named environments and their versions."""
        from hermetic.workspace.environments import Environments

        return Environments(self)

    @cached_property
    def objects(self) -> ObjectStore:
        """The store of the workspace's artefacts. Raises UsageError, CredentialsError."""
        from hermetic.store.objects.opening import open_objects

        return open_objects(self.address)

    @cached_property
    def wheels(self) -> Wheels:
        """The workspace's private wheels. Raises UsageError, CredentialsError."""
        from hermetic.workspace.wheels import Wheels

        return Wheels(self)

    @cached_property
    def builds(self) -> Builds:
        """Builds of the workspace's environments."""
        from hermetic.workspace.builds.builds import Builds

        return Builds(self)

    def keyvault(self) -> Keyvault:
        """Give the workspace's secrets."""
        from hermetic.workspace.keyvault.keyvault import Keyvault

        return Keyvault(self.address)

    def close(self) -> None:
        """Let go of the connections to the database; the next use opens them again."""
        self.database.close()


def _ignore(address: WorkspaceAddress) -> None:
    """Keep the embedded workspace out of the project's history: it holds a database, and perhaps a vault."""
    if not os.path.lexists(address.folder / ".gitignore"):
        from hermetic.files import write_whole

        write_whole(address.folder / ".gitignore", "*\n")
