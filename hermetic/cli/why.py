"""Show why a package is in an environment: the paths from your requirements to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic why openssl
  hermetic why openssl --all           every way to it
  hermetic why certifi -e train --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("package", help="the package's name")
    parser.add_argument(
        "--environment", "-e", metavar="NAME", default=None, help="the environment (default: the only one)"
    )
    parser.add_argument("--platform", metavar="P", default=None, help="the platform (default: this machine's)")
    parser.add_argument("--all", action="store_true", help="show every way, not the shortest from each requirement")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Print the paths."""
    from hermetic.lock.graph import graph_of, why
    from hermetic.project.asking import choose_platform, environment_lock
    from hermetic.report.trees import why_text, why_value

    _, lock = environment_lock(arguments.project, arguments.environment)
    answers = why(graph_of(lock, choose_platform(lock, arguments.platform)), arguments.package, every=arguments.all)
    ui.result(why_text(answers, colour=ui.colour), why_value(answers), asked=True)
    return 0
