"""Look at the store, where every checked byte and every finished action is kept, or check it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

NESTED = True

EXAMPLES = """\
examples:
  hermetic store info      where it is and what it holds
  hermetic store verify    read every blob again and drop the damaged ones"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for name, summary in (("info", "where it is and what it holds"), ("verify", "read every blob again")):
        action = actions.add_parser(name, help=summary, epilog=EXAMPLES)
        add_common(action)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Look, or check."""
    from hermetic.report.store import info_text, verify_text
    from hermetic.store import Store

    store = Store.open()
    if arguments.action == "info":
        info = store.info()
        ui.result(info_text(info), info.to_dict(), asked=True)
        return 0
    damaged = store.verify(reporter=ui.reporter)
    ui.result(verify_text(damaged), {"damaged": [item.to_dict() for item in damaged]})
    return 1 if damaged else 0
