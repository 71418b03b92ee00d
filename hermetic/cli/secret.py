"""Keep passwords and tokens in the workspace's key vault: the system keyring, or an encrypted file where there is none.

A specification refers to them as ${secret:NAME}, in environment variables and in the addresses of channels, indexes and
registries. The value is looked up when a process starts or a server is asked, and never written to a lock or an image.
Where there is no vault, as in CI, set HERMETIC_SECRET_<NAME>.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI
    from hermetic.workspace.keyvault.keyvault import Keyvault

NESTED = True

EXAMPLES = """\
examples:
  hermetic secret set db-password            asks for the value, which is not shown
  hermetic secret set token < token.txt      reads it from standard input
  hermetic secret list
  hermetic secret get db-password
  hermetic secret delete db-password"""

_ACTIONS = {
    "set": "keep a secret; its value is asked for, or read from standard input",
    "get": "print a secret's value",
    "list": "print the secrets' names",
    "delete": "forget secrets",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for name, summary in _ACTIONS.items():
        action = actions.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=EXAMPLES
        )
        if name == "delete":
            action.add_argument("names", nargs="+", metavar="NAME", help="the secrets")
        elif name != "list":
            action.add_argument("name", metavar="NAME", help="the secret: letters, digits, '-', '_' and '.'")
        if name == "set":
            action.add_argument("typed", nargs="*", help=argparse.SUPPRESS)  # so that no message repeats it
        add_common(action)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Do it."""
    from hermetic.errors import UsageError
    from hermetic.report.secrets import deleted_text, kept_text, names_text

    vault = _vault(arguments.project)
    if arguments.action == "set":
        from hermetic.secrets import check_secret_name

        check_secret_name(arguments.name)  # before anybody types
        if arguments.typed:
            raise UsageError(
                "a value on the command line is shown to every process, and kept by the shell",
                remedy=f"run 'hermetic secret set {arguments.name}' and type it, or pipe it in; renew this one",
            )
        vault.set_secret(arguments.name, _read(arguments.name))
        ui.result(kept_text(arguments.name, vault.kind), {"name": arguments.name, "kept_in": vault.kind})
    elif arguments.action == "get":
        value = vault.get_secret(arguments.name)
        ui.output(f"{value}\n", {"name": arguments.name, "value": value})
    elif arguments.action == "list":
        names = vault.names()
        ui.result(names_text(names), {"kept_in": vault.kind, "names": list(names)}, asked=True)
    else:
        vault.delete_secrets(arguments.names)
        ui.result(deleted_text(arguments.names), {"names": arguments.names})
    return 0


def _vault(project: str | None) -> Keyvault:
    from hermetic.errors import UsageError
    from hermetic.workspace.keyvault import find_keyvault

    vault = find_keyvault(Path(project) if project else None)
    if vault is None:
        raise UsageError(
            "there is no workspace here, whose key vault a secret could be kept in",
            remedy="make one with 'hermetic workspace init', or set HERMETIC_SECRET_<NAME> where the secret is used",
        )
    return vault


def _read(name: str) -> str:
    """Ask for a value on a terminal, twice and without showing it; else read standard input, without its line end."""
    from hermetic.errors import UsageError

    if sys.stdin is not None and sys.stdin.isatty():
        from getpass import getpass

        try:
            value = getpass(f"value of {name}: ")
            again = getpass("once more: ")
        except EOFError:
            raise UsageError("no value was given", remedy="type it, or write it to standard input") from None
        if value != again:
            raise UsageError("the two values differ", remedy="type the same value twice")
        return value
    try:
        text = sys.stdin.buffer.read().decode() if sys.stdin is not None else ""
    except UnicodeDecodeError:
        raise UsageError(f"the value of {name} is no UTF-8 text", remedy="encode it, as base64 does") from None
    return text.removesuffix("\n").removesuffix("\r")
