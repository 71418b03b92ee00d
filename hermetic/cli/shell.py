"""Start a shell in an environment, which is built first if it has to be."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

PRINTS = False

EXAMPLES = """\
examples:
  hermetic shell             the project's environment
  hermetic shell train"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default=None, help="the environment (default: the only one)")
    parser.add_argument(
        "--locked", action="store_true", help="fail if the lock is missing or stale, instead of locking"
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Replace this process by a shell."""
    from hermetic.project.running import run_shell

    return run_shell(
        arguments.project, arguments.name, locked=arguments.locked, offline=arguments.offline, reporter=ui.reporter
    )
