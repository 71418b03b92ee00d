"""Make a lock from another tool's lockfile: conda-lock.yml, pixi.lock, pylock.toml, an @EXPLICIT list."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic import conda-lock.yml              becomes lockfiles/default.lock.json
  hermetic import explicit.txt --name train"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("file", help="the lockfile to read")
    parser.add_argument("--name", metavar="NAME", default="default", help="the environment (default: %(default)s)")
    parser.add_argument(
        "--platform", metavar="P", action="append", default=[], dest="platforms",
        help="import this platform only (default: all that the file locks)",
    )  # fmt: skip
    parser.add_argument(
        "--from-environment",
        metavar="ENV",
        default="default",
        help="the environment of a pixi.lock (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing lock")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Import."""
    from hermetic.project.exchange import import_lockfile

    path = import_lockfile(
        arguments.project,
        arguments.file,
        arguments.name,
        force=arguments.force,
        platforms=arguments.platforms,
        environment=arguments.from_environment,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(f"wrote {path}", {"lock": str(path.absolute()), "name": arguments.name})
    return 0
