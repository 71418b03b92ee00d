"""Many processes that register in one workspace at the same moment; run as a program, so that they are real ones.

    python registering_crowd.py FOLDER DATABASE crowd COUNT       prints per process: number of own, number of shared
    python registering_crowd.py FOLDER DATABASE create COUNT      prints per process: "made" or "there"
    python registering_crowd.py FOLDER DATABASE migrate COUNT MIGRATIONS   prints per process the schema it found
    python registering_crowd.py FOLDER DATABASE lock COUNT        prints per process the sha256 that holds
    python registering_crowd.py FOLDER DATABASE die COUNT         prints "killed" for a child that was killed at its
                                                                  first step of a change, and after a line from its
                                                                  input for the second, and so on, until one survives
    python registering_crowd.py FOLDER DATABASE die-creating COUNT         the same for creating the workspace

DATABASE is empty for SQLite.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, Engine, event
from workspace_samples import definition

from hermetic.errors import ExistsError
from hermetic.workspace.database import schema
from hermetic.workspace.environments import Environments  # noqa: F401  what is loaded here is not loaded 50 times
from hermetic.workspace.kept_locks import keep_lock
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress, address_in


def crowd(address: WorkspaceAddress, number: int) -> str:
    workspace = Workspace.open(address)
    shared = workspace.environments.register(definition(content="shared")).version
    own = workspace.environments.register(definition(content=f"own {number}")).version
    again = workspace.environments.register(definition(content="shared")).version
    return f"{own} {shared if shared == again else 'changed'}"


def create(address: WorkspaceAddress, _: int) -> str:
    try:
        Workspace.create(address)
    except ExistsError:
        return "there"
    return "made"


def migrate(address: WorkspaceAddress, _: int) -> str:
    database = Workspace(address, schema.Database.of(address)).database
    schema.check_schema(database, address.name, migrations=Path(sys.argv[5]))
    with database.read() as connection:
        return str(connection.exec_driver_sql("SELECT version_num FROM hermetic_schema").scalar_one())


def lock(address: WorkspaceAddress, number: int) -> str:
    workspace = Workspace.open(address)
    from lock_samples import LOCK

    mine = replace(LOCK, exclude_newer=f"2026-01-01T00:00:{number:02}Z")
    return keep_lock(workspace.environments, "train", 1, mine)[1]


def at_once(count: int, act: Callable[[int], str]) -> None:
    """Do something in many processes, which all wait for one start."""
    waiting, start = os.pipe()
    children = []
    for number in range(count):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(start)
            os.read(waiting, 1)
            try:
                os.write(writing, act(number).encode())
            except BaseException as error:  # noqa: BLE001  told by the parent
                os.write(writing, f"failed {error!r}".encode())
            os._exit(0)
        os.close(writing)
        children.append((child, reading))
    os.close(start)
    for child, reading in children:
        with os.fdopen(reading, "rb") as answer:
            print(answer.read().decode())
        os.waitpid(child, 0)


def die(address: WorkspaceAddress, most: int, act: Callable[[WorkspaceAddress], object]) -> None:
    """Do something in a child that is killed before a step: a statement of the change, or its commit."""
    for number in range(most):
        child = os.fork()
        if not child:
            act_and_die(address, number, act)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            return
        print("killed", flush=True)
        sys.stdin.readline()


def act_and_die(address: WorkspaceAddress, left: int, act: Callable[[WorkspaceAddress], object]) -> None:
    """Do something, and be killed after some steps."""

    def step(connection: Connection, *_: object) -> None:
        nonlocal left
        if connection.get_execution_options().get("writes"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)
    act(address)
    os._exit(0)


def main() -> None:
    folder, database, what, number = sys.argv[1:5]
    address = address_in(Path(folder), "team", {"database": database} if database else {})
    if what == "die":
        die(address, int(number), lambda one: Workspace.open(one).environments.register(definition(content="new")))
        return
    if what == "die-creating":
        import alembic.command  # noqa: F401  once, not in every child

        die(address, int(number), Workspace.create)
        return
    if what == "lock":
        import lock_samples  # noqa: F401  once, not in every child
    act = {"crowd": crowd, "create": create, "migrate": migrate, "lock": lock}[what]
    at_once(int(number), lambda one: act(address, one))


if __name__ == "__main__":
    main()
