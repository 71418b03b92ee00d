"""Run a command in an environment, which is built first if it has to be.

The exit status is the command's.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic run default -- python -c 'import numpy; print(numpy.__version__)'
  hermetic run train -- jupyter lab"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", help="the environment")
    parser.add_argument(
        "--locked", action="store_true", help="fail if the lock is missing or stale, instead of locking"
    )
    parser.add_argument(
        "--clean-env",
        action="store_true",
        help="pass on nothing of the calling shell's variables but HOME, TERM and LANG",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Replace this process by the command."""
    from hermetic.errors import UsageError

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("no command to run", remedy="write it after --, as in: hermetic run default -- python")
    from hermetic.project.running import run_command

    return run_command(
        arguments.project,
        arguments.name,
        command,
        locked=arguments.locked,
        clean=arguments.clean_env,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
