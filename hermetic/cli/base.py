"""Bases of images: those that are known by name, and pinning one for an environment.

An image stands on a base: the environment's 'base' in hermetic.toml, what its 'base-dockerfile' makes, or one that
suits its accelerator. 'pin' writes into the lock what the name leads to now, by digest, for every platform; builds
take that until 'update' asks again and shows what moved.

'embedded' is made from Debian's packages by apt, 'scratch' is empty: neither needs a registry.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

NESTED = True

EXAMPLES = """\
examples:
  hermetic base list                          the catalogue
  hermetic base pin                           pin what is declared, else what suits the accelerator
  hermetic base pin train --base ubuntu:24.04
  hermetic base pin --base embedded           no registry needed
  hermetic base update                        ask again what the name leads to, and show what moved"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    listing = actions.add_parser(
        "list", help="show the bases that are known by name", description=__doc__, epilog=EXAMPLES
    )
    pin = actions.add_parser(
        "pin", help="pin the base of an environment into its lock", description=__doc__, epilog=EXAMPLES
    )
    pin.add_argument(
        "--base",
        metavar="IMAGE",
        default="",
        help="a reference, a name of the catalogue, embedded or scratch (default: what is declared)",
    )
    update = actions.add_parser(
        "update", help="pin anew what the base's name leads to now", description=__doc__, epilog=EXAMPLES
    )
    for action in (pin, update):
        action.add_argument("name", nargs="?", metavar="NAME", help="the environment (default: the only one)")
        action.add_argument(
            "--platform",
            metavar="P",
            action="append",
            default=[],
            dest="platforms",
            help="pin for this platform (default: those of the lock that have images)",
        )
    for action in (listing, pin, update):
        add_common(action)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Show the catalogue, or pin."""
    from hermetic.report.bases import catalogue_text, catalogue_value, outcome_text

    if arguments.action == "list":
        from hermetic.config import load_config
        from hermetic.outputs.oci.bases import catalogue

        known = tuple(load_config().registries)
        ui.result(catalogue_text(catalogue(), known, colour=ui.colour), catalogue_value(catalogue(), known))
        return 0
    from hermetic.project.basing import pin_environment

    outcome = pin_environment(
        arguments.project,
        arguments.name,
        base=getattr(arguments, "base", ""),
        platforms=arguments.platforms,
        update=arguments.action == "update",
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(outcome_text(outcome, colour=ui.colour), outcome.to_dict())
    return 0
