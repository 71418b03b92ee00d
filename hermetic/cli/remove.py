"""Remove requirements from an environment and lock it again; all other pins stay where they are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic remove pandas
  hermetic remove --pip requests -e train"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="+", metavar="PACKAGE", help="the package's name")
    parser.add_argument("--pip", action="store_true", help="the requirements are pip's")
    parser.add_argument(
        "--environment", "-e", metavar="NAME", default=None, help="the environment (default: the only one)"
    )
    parser.add_argument("--no-lock", action="store_true", help="do not lock")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Edit the spec and lock."""
    from hermetic.project.editing import remove_requirements
    from hermetic.report.edits import edit_text

    edit = remove_requirements(
        arguments.project,
        arguments.environment,
        arguments.names,
        pip=arguments.pip,
        lock=not arguments.no_lock,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(edit_text(edit, colour=ui.colour), edit.to_dict())
    return 0
