"""Run a command in an environment, which is built first if it has to be. The exit status is the command's.

With --image it runs in a container of the environment's image, with the project's folder at its own path.
Options stand before the command; everything after -- is the command's own.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermetic.cli.parser import Parser
    from hermetic.cli.ui import UI

PRINTS = False

EXAMPLES = """\
examples:
  hermetic run -- python -c 'import numpy; print(numpy.__version__)'
  hermetic run train --locked -- jupyter lab
  hermetic run train --image -- python train.py"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default=None, help="the environment (default: the only one)")
    parser.add_argument(
        "--locked", action="store_true", help="fail if the lock is missing or stale, instead of locking"
    )
    parser.add_argument(
        "--clean-env",
        action="store_true",
        help="pass on nothing of the calling shell's variables but HOME, TERM and LANG",
    )
    image = parser.add_argument_group("images")
    image.add_argument("--image", action="store_true", help="run it in a container of the environment's image")
    image.add_argument("--no-mount", action="store_true", help="do not put the project's folder into the container")
    image.add_argument("--user", metavar="UID[:GID]", default="", help="whom it runs as (default: as the image says)")
    image.add_argument("--network", metavar="NAME", default="", help="the container's network (default: the engine's)")
    parser.add_argument("command", nargs="*", metavar="-- CMD", help="the command and its arguments")


def split(words: Sequence[str], parser: Parser) -> tuple[list[str], list[str]]:
    """Part our arguments from the command's, which begin behind ``--`` or at the second word that is no option."""
    at, names = 1, 0
    while at < len(words) and words[at] != "--":
        if not words[at].startswith("-"):
            names += 1
            if names > 1:
                return list(words[:at]), list(words[at:])
        elif parser.takes_value(words[at]):
            at += 1
        at += 1
    return list(words[:at]), list(words[at + 1 :])


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Replace this process by the command."""
    from hermetic.errors import UsageError

    if not arguments.command:
        command = arguments.name or "python"
        raise UsageError("no command to run", remedy=f"write it after --, as in: hermetic run -- {command}")
    if arguments.image:
        from hermetic.project.imaging import run_in_image

        return run_in_image(
            arguments.project,
            arguments.name,
            arguments.command,
            mount=not arguments.no_mount,
            user=arguments.user,
            network=arguments.network,
            locked=arguments.locked,
            offline=arguments.offline,
            reporter=ui.reporter,
        )
    for option in ("no_mount", "user", "network"):
        if getattr(arguments, option):
            raise UsageError(f"--{option.replace('_', '-')} is for images", remedy="run it in one with --image")
    from hermetic.project.running import run_command

    return run_command(
        arguments.project,
        arguments.name,
        arguments.command,
        locked=arguments.locked,
        clean=arguments.clean_env,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
