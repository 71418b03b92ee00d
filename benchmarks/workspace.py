"""A large workspace: ``python benchmarks/workspace.py [--environments 10000] [--versions 20] [--runs 200]``.

Fills a workspace on SQLite and one on a real PostgreSQL (both write to the disk before they say that something is
kept), then times what people wait for, call by call in one process: median, 95th percentile and the slowest, and how
much of it the process itself computed (the median; the rest is the server, the disk, and others on the machine).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import insert, text

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.postgres import postgresql

from hermetic.digest import sha256_bytes
from hermetic.workspace.database.tables import environments, versions
from hermetic.workspace.model import Definition
from hermetic.workspace.workspace import Workspace
from hermetic.workspace_config import WorkspaceAddress, address_in

LIMIT = 0.050
PACKAGES = tuple(f"package-{number}={number}.{number % 7}" for number in range(40))


def definition(name: str, number: int) -> Definition:
    """Give a definition of the size that real ones have: some forty requirements, 3 kB of text."""
    lines = "\n".join(f"  - {package}" for package in (*PACKAGES, f"own={number}"))
    files = {
        "azureml_environment.json": json.dumps({"name": name, "python": {"userManagedDependencies": False}}, indent=4)
        * 8,
        "conda_dependencies.yml": f"channels:\n  - conda-forge\ndependencies:\n{lines}\n",
    }
    return Definition(name, sha256_bytes(f"{name} {number}".encode()), files, "0" * 64, PACKAGES, "environment.yml")


def fill(workspace: Workspace, count: int, each: int) -> None:
    """Write many environments at once, as rows: registering them one by one would take an hour of fsync."""
    began = time.perf_counter()
    when = "2026-01-01T00:00:00.000000Z"
    packages = json.dumps(PACKAGES)
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        with workspace.database.write() as connection:
            connection.execute(
                insert(environments),
                [
                    {"id": n + 1, "name": f"environment-{n:05}", "versions": each, "active": each, "latest": each,
                     "registrations": each, "archived": False, "created_at": when, "created_by": "ada"}
                    for n in numbers
                ],
            )  # fmt: skip
            rows = []
            for n in numbers:
                for version in range(1, each + 1):
                    one = definition(f"environment-{n:05}", version)
                    rows.append(
                        {"environment": n + 1, "version": version, "registration": version, "archived": False,
                         "digest": one.digest, "spec": one.spec, "lock": "", "created_at": when, "created_by": "ada",
                         "origin": one.origin, "packages": packages, "files": json.dumps(dict(one.files))}
                    )  # fmt: skip
            connection.execute(insert(versions), rows)
    with workspace.database.write() as connection:
        if workspace.database.kind == "postgresql":
            connection.execute(text("SELECT setval(pg_get_serial_sequence('environments', 'id'), :n)"), {"n": count})
    if workspace.database.kind == "postgresql":
        with workspace.database.write() as connection:
            connection.execute(text("ANALYZE"))
    print(f"  filled in {time.perf_counter() - began:.0f} s")


def measure(title: str, runs: int, call: Callable[[int], object]) -> bool:
    """Time a call, told apart by a number; tell whether its slowest twentieth is below the limit."""
    walls, cpus = [], []
    for number in range(runs):
        began, cpu = time.perf_counter(), time.process_time()
        call(number)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    low, high = statistics.median(walls), statistics.quantiles(walls, n=20)[-1]
    print(
        f"  {title:44}  {low * 1e3:8.2f} ms  {high * 1e3:8.2f} ms  {max(walls) * 1e3:8.2f} ms"
        f"  {statistics.median(cpus) * 1e3:8.2f} ms",
        flush=True,
    )
    return high < LIMIT


def run(address: WorkspaceAddress, count: int, each: int, runs: int) -> bool:
    workspace = Workspace.create(address)
    fill(workspace, count, each)
    found = workspace.environments
    chosen = random.Random(1)

    def name() -> str:
        return f"environment-{chosen.randrange(count):05}"

    print(f"  {'':44}  {'median':>11}  {'95 %':>11}  {'slowest':>11}  {'processor':>11}")
    good = [
        measure(f"list: {count:,} environments", max(runs // 5, 20), lambda _: found.list()),
        measure("get: the latest", runs, lambda _: found.get(name())),
        measure("get: a version", runs, lambda _: found.get(name(), chosen.randrange(1, each + 1))),
        measure("register: a new environment", runs, lambda n: found.register(definition(f"new-{n}", 1))),
        measure("register: a new version", runs, lambda n: found.register(definition(name(), each + 1 + n))),
        measure("register: an old version again", runs, lambda _: found.register(definition(name(), 1))),
        measure("register: nothing new", runs, lambda n: found.register(definition(f"new-{n}", 1))),
    ]
    measure("names", max(runs // 5, 20), lambda _: found.names())
    measure(f"versions: {each} with their definitions", runs, lambda _: found.versions(name()))
    measure("label", runs, lambda _: found.label(name(), 1, ["production"]))
    measure("get: a name that is not there", 20, lambda _: missing(found.get))
    workspace.close()
    measure("open, and get", 20, lambda _: opened(address, name()))
    return all(good)


def missing(get: Callable[[str], object]) -> None:
    try:
        get("enviroment-00500")
    except OSError:
        return
    sys.exit("found what is not there")


def opened(address: WorkspaceAddress, name: str) -> None:
    workspace = Workspace.open(address)
    workspace.environments.get(name)
    workspace.close()


def crowd(address: WorkspaceAddress, count: int) -> None:
    """Time processes that register at once, three times each; without their start."""
    helpers = Path(__file__).parent.parent / "tests" / "helpers"
    began = time.perf_counter()
    script = [sys.executable, str(helpers / "registering_crowd.py"), str(address.folder), address.database]
    subprocess.run([*script, "crowd", "1"], stdout=subprocess.DEVNULL, check=True,
                   env={**os.environ, "PYTHONPATH": str(helpers)})  # fmt: skip
    one = time.perf_counter() - began
    began = time.perf_counter()
    subprocess.run([*script, "crowd", str(count)], stdout=subprocess.DEVNULL, check=True,
                   env={**os.environ, "PYTHONPATH": str(helpers)})  # fmt: skip
    wall = time.perf_counter() - began - one
    print(f"  {count} processes at once, {3 * count} registrations: {wall:.2f} s more than one process ({one:.2f} s)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=None, help="where SQLite's file is made (default: /tmp)")
    parser.add_argument("--only", choices=("sqlite", "postgresql"), default=None)
    arguments = parser.parse_args()
    good = True
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        for kind in ("sqlite", "postgresql"):
            if arguments.only not in {None, kind}:
                continue
            values = {}
            if kind == "postgresql":
                values["database"] = stack.enter_context(postgresql(durable=True)).new_schema()
            address = address_in(root / kind, "team", values)
            load = os.getloadavg()[0]
            print(f"{kind}, {arguments.environments:,} environments x {arguments.versions} versions, load {load:.1f}")
            good &= run(address, arguments.environments, arguments.versions, arguments.runs)
            if kind == "sqlite":
                print(f"  the file has {(address.folder / 'workspace.sqlite').stat().st_size / 1e6:.0f} MB")
            crowd(address, 50)
    print("below 50 ms" if good else "NOT below 50 ms")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
