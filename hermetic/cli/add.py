"""Add requirements to an environment and lock it again; all other pins stay where they are.

The requirement is written to the manifest, or to the spec file that the environment is read from, in the place of
one of the same package; a name alone leaves the bounds of what is there. If it cannot be met, nothing is changed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic add numpy 'pandas>=2.1'           conda packages
  hermetic add --pip 'requests[socks]>=2.31' from the Python package index
  hermetic add -e train python=3.12          to another environment than "default\""""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "requirements", nargs="+", metavar="REQUIREMENT", help="a conda MatchSpec, or a PEP 508 text with --pip"
    )
    parser.add_argument("--pip", action="store_true", help="the requirements are pip's")
    parser.add_argument(
        "--environment", "-e", metavar="NAME", default=None, help="the environment (default: the only one)"
    )
    parser.add_argument("--no-lock", action="store_true", help="do not lock")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Edit the spec and lock."""
    from hermetic.project.editing import add_requirements
    from hermetic.report.edits import edit_text

    edit = add_requirements(
        arguments.project,
        arguments.environment,
        arguments.requirements,
        pip=arguments.pip,
        lock=not arguments.no_lock,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(edit_text(edit, colour=ui.colour), edit.to_dict())
    return 0
