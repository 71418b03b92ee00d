"""The arguments of the command line. Only the verb that was asked for is imported."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import Any, NoReturn

VERBS = {
    "init": "declare an environment: write a hermetic.toml",
    "add": "add requirements to an environment and lock it again",
    "remove": "remove requirements from an environment and lock it again",
    "lock": "resolve environments to lockfiles, or check them",
    "build": "build a locked environment on disk",
    "run": "run a command in an environment",
    "shell": "start a shell in an environment",
    "verify": "prove a built environment against its lock, file by file",
    "export": "write a lock in another format",
    "import": "make a lock from another tool's lockfile",
    "tree": "show the packages of an environment as a tree",
    "why": "show why a package is in an environment",
    "diff": "show what differs between two locks",
    "channel": "make a conda channel from the running Python",
    "store": "look at the store, or check it",
    "completion": "print a shell completion script",
}

EXIT_STATUS = """\
exit status:
  0  done, or nothing to do     3  unsatisfiable requirements
  1  drift or findings          4  network or credentials
  2  usage or bad input         5  integrity: bytes are not what the lock says
  6  this machine refused: full disk, permission, a command that failed"""

OVERVIEW = """\
examples:
  hermetic init && hermetic add python=3.12 numpy      declare and lock an environment
  hermetic build                                       build it under .hermetic/envs/
  hermetic run default -- python -c 'import numpy'     run a command in it
  hermetic lock --check                                in CI: exit status 1 if the lock is stale"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as it is written, as wide as the terminal; argparse's own look-up of the width imports six modules."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width() - 2)


def _terminal_width() -> int:
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors say where to find help."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": HelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        """Print the error and a pointer to ``--help``, and end with the usage status."""
        self.exit(2, f"hermetic: {message}\n  see '{self.prog} --help'\n")


def _version() -> str:
    from importlib.metadata import version

    return version("hermetic")


class _Version(argparse.Action):
    """``--version``, looked up only when it is asked for: reading package metadata takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        parser.exit(0, f"hermetic {_version()}\n")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every verb has."""
    group = parser.add_argument_group("options of every verb")
    group.add_argument(
        "--project", "-C", metavar="DIR", default=None, help="the project's folder (default: found upwards)"
    )
    group.add_argument("--offline", action="store_true", help="use nothing but the store and the caches")
    group.add_argument("--json", action="store_true", help="print the result as one JSON document")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    group.add_argument(
        "-v", "--verbose", action="count", default=0, help="print more; with an internal error, its traceback"
    )
    group.add_argument("--no-progress", action="store_true", help="draw no progress bars")


def make_parser(verb: str | None = None) -> Parser:
    """Make the parser. With a verb only that verb's arguments are complete; without, all of them are."""
    parser = Parser(
        prog="hermetic",
        description="Reproducible machine-learning environments: lock once, build the same bytes anywhere.",
        epilog=f"{OVERVIEW}\n\n{EXIT_STATUS}",
    )
    parser.add_argument("--version", nargs=0, action=_Version, help="print the version")
    verbs = parser.add_subparsers(
        prog="hermetic", dest="verb", metavar="VERB", title="verbs", required=True, parser_class=Parser
    )
    for name, summary in VERBS.items():
        if verb in (None, name):
            module = import_module(f"hermetic.cli.{name}_" if name == "import" else f"hermetic.cli.{name}")
            sub = verbs.add_parser(
                name,
                help=summary,
                description=module.__doc__,
                epilog=f"{module.EXAMPLES}\n\n{EXIT_STATUS}",
            )
            module.add_arguments(sub)
            sub.set_defaults(run=getattr(module, "run", None))
            if not getattr(module, "NESTED", False):
                add_common(sub)
        else:
            verbs.add_parser(name, help=summary)
    return parser


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the arguments. Raises SystemExit with status 0 for help, 2 for a usage error."""
    verb = next((word for word in argv if not word.startswith("-")), None)
    return make_parser(verb or "").parse_args(argv or ["--help"])
