"""The arguments of the command line. Only the verb that was asked for is imported."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

VERBS = {
    "init": "declare an environment: write a hermetic.toml",
    "add": "add requirements to an environment and lock it again",
    "remove": "remove requirements from an environment and lock it again",
    "lock": "resolve environments to lockfiles, or check them",
    "build": "build a locked environment on disk",
    "run": "run a command in an environment",
    "shell": "start a shell in an environment",
    "pack": "put an environment into one file that unpacks itself",
    "verify": "prove a built environment against its lock, file by file",
    "export": "write a lock in another format",
    "import": "make a lock from another tool's lockfile",
    "tree": "show the packages of an environment as a tree",
    "why": "show why a package is in an environment",
    "diff": "show what differs between two locks",
    "base": "know, pin and update what images stand on",
    "ci": "check a project in CI, and tell it in the CI system's own way",
    "channel": "make a conda channel from the running Python",
    "workspace": "make, show and serve a workspace that a team shares, or one person has",
    "environment": "keep named, numbered environments in the workspace, and look at them",
    "wheel": "keep wheels of one's own in the workspace, behind signed addresses",
    "secret": "keep passwords and tokens that environments refer to",
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
  hermetic run -- python -c 'import numpy'             run a command in it
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
    """An argument parser whose errors say where to find help. Options are written in full: scripts outlive new ones."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": HelpFormatter, "allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError that points to ``--help``."""
        self.refuse(message)

    def refuse(self, message: str, hint: str = "") -> NoReturn:
        """Raise a UsageError with a hint, if there is one, and a pointer to ``--help``."""
        from hermetic.errors import UsageError

        raise UsageError(message, remedy=f"{f'{hint}; ' if hint else ''}see '{self.prog} --help'")

    def refuse_unknown(self, words: Sequence[str]) -> NoReturn:
        """Raise a UsageError for words that mean nothing here, with what may have been meant."""
        options = [option for option in words if option.startswith("-")]
        if not options:
            self.refuse(f"one word too many: {words[0]}")
        option = options[0].partition("=")[0]
        near = _near(option, self._option_string_actions)
        if not near and any(action.dest == "command" for action in self._actions):
            near = "write -- before the command"
        self.refuse(f"no option {option}", near)

    def takes_value(self, option: str) -> bool:
        """Tell whether the word after an option belongs to it."""
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs != 0

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        what = {"verb": "verb", "action": "action"}.get(action.dest) or "/".join(action.option_strings) or action.dest
        message = f"no {what} {value!r}" if what in {"verb", "action"} else f"{what} cannot be {value!r}"
        self.refuse(message, _near(str(value), action.choices) or f"there are: {', '.join(map(str, action.choices))}")


def _near(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = list(known)
    begun = [one for one in known if len(word) > 1 and one.startswith(word)]  # env: environment
    near = get_close_matches(word, known, 1, 0.6) or (begun if len(begun) == 1 else [])
    return f"did you mean {near[0]!r}?" if near else ""


def _version() -> str:
    from importlib.metadata import version

    return version("hermetic")


class _Version(argparse.Action):
    """``--version``, looked up only when it is asked for: reading package metadata takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        print(f"hermetic {_version()}")
        parser.exit()


def add_common(parser: argparse.ArgumentParser, *, prints: bool = True) -> None:
    """Add the options that every verb has. One that ``prints`` nothing of its own has only its errors as JSON."""
    group = parser.add_argument_group("options of every verb")
    group.add_argument(
        "--project", "-C", metavar="DIR", default=None, help="the project's folder (default: found upwards)"
    )
    group.add_argument("--offline", action="store_true", help="use nothing but the store and the caches")
    result = "print the result as one JSON document, an error as one on standard error"
    own = "print an error as one JSON document; what the command prints is its own"
    group.add_argument("--json", action="store_true", help=result if prints else own)
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    group.add_argument(
        "-v", "--verbose", action="count", default=0, help="print more; with an internal error, its traceback"
    )
    group.add_argument("--no-progress", action="store_true", help="draw no progress bars")


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, Parser]:
    """Give the parsers of a parser's verbs, by name; none for one without verbs."""
    for action in parser._actions:  # noqa: SLF001  argparse shows its sub-parsers in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _module(verb: str) -> ModuleType:
    return import_module(f"hermetic.cli.{verb}_" if verb == "import" else f"hermetic.cli.{verb}")


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
            module = _module(name)
            sub = verbs.add_parser(
                name,
                help=summary,
                description=module.__doc__,
                epilog=f"{module.EXAMPLES}\n\n{EXIT_STATUS}",
            )
            module.add_arguments(sub)
            sub.set_defaults(run=getattr(module, "run", None))
            if not getattr(module, "NESTED", False):
                add_common(sub, prints=getattr(module, "PRINTS", True))
        else:
            verbs.add_parser(name, help=summary)
    return parser


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the arguments. Raises SystemExit with status 0 for help, UsageError for what makes no sense.

    Options of every verb may stand before it. A verb's module may have a ``split``, which takes away what is another
    program's.
    """
    words = _verb_first(argv)
    verb = words[0] if words else ""
    parser = make_parser(verb)
    found = verbs_of(parser).get(verb)
    split = getattr(_module(verb), "split", None) if found else None
    words, command = split(words, found) if split else (words, [])
    arguments, unknown = parser.parse_known_args(words or ["--help"])
    asked = found or parser
    asked = verbs_of(asked).get(getattr(arguments, "action", ""), asked)
    if unknown:
        asked.refuse_unknown(unknown)
    if split:
        arguments.command = command
    _check_numbers(arguments, asked)
    return arguments


def wants_json(argv: Sequence[str]) -> bool:
    """Tell whether a call that may not even be understood asks for JSON."""
    return "--json" in (argv[: argv.index("--")] if "--" in argv else argv)


def _verb_first(argv: list[str]) -> list[str]:
    """Put options that stand before the verb, as ``-C DIR`` does by other programs' habit, behind it."""
    common = Parser(add_help=False)
    add_common(common)
    at = 0
    while at < len(argv) and argv[at].partition("=")[0] in common._option_string_actions:  # noqa: SLF001
        at += 2 if "=" not in argv[at] and common.takes_value(argv[at]) else 1
    if not 0 < at < len(argv) or argv[at].startswith("-"):
        return argv
    nested = argv[at] in VERBS and getattr(_module(argv[at]), "NESTED", False)
    after = at + (2 if nested else 1)
    return [*argv[at:after], *argv[:at], *argv[after:]]


def _check_numbers(arguments: argparse.Namespace, parser: Parser) -> None:
    for name, least in (("jobs", 1), ("depth", 0)):
        number = getattr(arguments, name, None)
        if number is not None and number < least:
            parser.refuse(f"--{name} is at least {least}, not {number}")
    for name in ("prefix", "project"):
        if getattr(arguments, name, None) == "":  # --prefix "$UNSET"
            parser.refuse(f"--{name} is empty", "give a folder")
