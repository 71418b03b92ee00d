"""Show what differs between two locks: packages added, removed and moved, by platform.

Each side is an environment's name or a lockfile. Exit status 1 if they differ.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic diff default train
  git show HEAD:lockfiles/default.lock.json > /tmp/old.lock.json && hermetic diff /tmp/old.lock.json default"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("old", help="an environment's name, or a lockfile")
    parser.add_argument("new", help="an environment's name, or a lockfile")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Print the differences."""
    from hermetic.lock.diff import diff
    from hermetic.project.asking import either_lock
    from hermetic.report.locks import diff_text

    found = diff(either_lock(arguments.project, arguments.old), either_lock(arguments.project, arguments.new))
    ui.result(diff_text(found, colour=ui.colour), found.to_dict())
    return 1 if found else 0
