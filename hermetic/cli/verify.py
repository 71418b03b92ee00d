"""Prove a built environment against its lock, file by file: name what was changed, added or lost.

The target is an environment's name or a folder that holds one. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic verify                      the project's environment
  hermetic verify /opt/env -e train    a folder, against the lock of "train\""""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("target", nargs="?", default=None, help="an environment's name, or a folder")
    parser.add_argument(
        "--environment", "-e", metavar="NAME", default=None, help="the environment whose lock a folder is held against"
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Verify."""
    from hermetic.project.verifying import verify_environment
    from hermetic.report.prefixes import prefix_check_text

    report = verify_environment(
        arguments.project, arguments.target, arguments.environment, offline=arguments.offline, reporter=ui.reporter
    )
    ui.result(prefix_check_text(report, colour=ui.colour), report.to_dict())
    return 1 if report.findings else 0
