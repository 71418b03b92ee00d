"""What tests of packs share: a store that is warm from earlier runs, and packages with all that holds a prefix."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from prefix_samples import from_channel, lock_of
from support import channel as hand
from support.wheels import make_wheel

import hermetic
from hermetic.lock.model import PlatformLock
from hermetic.store import Store

BASE = "python python_abi prefix-probe"
SHEBANGS = {
    "bin/tool": f"#!{hand.PLACEHOLDER}/bin/python\nprint('{hand.PLACEHOLDER}')\n",
    "bin/versioned": f"#!{hand.PLACEHOLDER}/bin/python3.11 -u\n",
    "bin/shell": f"#!{hand.PLACEHOLDER}/bin/bash -e\necho {hand.PLACEHOLDER}\n",
    "bin/spaced": f"#! {hand.PLACEHOLDER}/bin/perl -w -T\n",
    "bin/env": f"#!/usr/bin/env python\nprint('{hand.PLACEHOLDER}')\n",
    "bin/one-line": f"#!{hand.PLACEHOLDER}/bin/python",
    "bin/argument": f"#!/usr/bin/env {hand.PLACEHOLDER}/bin/python3\n",
    "bin/other": f"#!/bin/sh {hand.PLACEHOLDER}/bin/python3\n",
    "lib/strings.bin": "\0PREFIX/a:PREFIX/b\0tail\0PREFIX\0\0PREFIX/end".replace("PREFIX", hand.PLACEHOLDER),
    "share/many.txt": f"{hand.PLACEHOLDER}:{hand.PLACEHOLDER}/lib\n" * 3 + hand.PLACEHOLDER,
}


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Store:
    """A store that the tests of all runs share while the code that fills it stays the same."""
    digest = hashlib.sha256()
    for room in ("plan", "realize", "store"):
        for source in sorted((Path(hermetic.__file__).parent / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return Store.open(Path(request.config.cache.mkdir("prefix-stores")) / digest.hexdigest()[:16])


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, channel: Path) -> tuple[list[Path], list[Path]]:
    """A real Python, entry points, scripts, and files of every kind that hold a prefix: archives and wheels."""
    folder = tmp_path_factory.mktemp("packages")
    hand.write_package(folder, "shebangs", "1.0", files=SHEBANGS)
    hand.write_package(
        folder, "points", "1.0", noarch="python", depends=["python"],
        entry_points=["points = points:main", "points-sub = points:Sub.run"],
        files={"site-packages/points.py": f"PREFIX = '{hand.PLACEHOLDER}'\n\ndef main():\n    print(PREFIX)\n"},
    )  # fmt: skip
    tool = make_wheel(
        folder,
        "my-tool",
        scripts={"my-tool": "my_tool:main"},
        files={"my_tool.py": "def main():\n    print('hello')\n"},
    )
    other = make_wheel(folder, "other", data={"scripts/raw": "#!python\nprint('raw')\n"})
    libraries = [path.name.rpartition("-")[0].rpartition("-")[0] for path in (channel / "linux-64").glob("sys-*.conda")]
    made = sorted(folder.rglob("*.conda"))
    return [*from_channel(channel, *BASE.split(), *libraries), *made], [tool, other]


@pytest.fixture(scope="session")
def lock(packages: tuple[list[Path], list[Path]]) -> PlatformLock:
    """The environment of those packages."""
    return lock_of(*packages, variables={"A": "1"})
