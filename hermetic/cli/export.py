"""Write a lock in another format, for other tools.

Full addresses are written, without credentials: users, passwords and tokens are left out, with a warning, and their
variables need not be set. Hermetic's own lock has no addresses at all.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

FORMATS = ("conda-lock", "explicit", "requirements", "pylock", "environment", "pixi")

EXAMPLES = """\
examples:
  hermetic export --format conda-lock -o conda-lock.yml
  hermetic export --format explicit --platform linux-64 > explicit.txt
  hermetic export --format requirements > requirements.txt
  hermetic export --format pylock -o out/pylock.toml --wheels out/wheels"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default=None, help="the environment (default: the only one)")
    parser.add_argument("--format", "-f", choices=FORMATS, required=True, help="the format: %(choices)s")
    parser.add_argument(
        "--platform",
        metavar="P",
        default=None,
        help="the platform, for formats that hold one (default: this machine's)",
    )
    parser.add_argument(
        "--output", "-o", metavar="FILE", default=None, help="the file to write (default: standard output)"
    )
    parser.add_argument(
        "--wheels",
        metavar="FOLDER",
        default=None,
        help="put wheels that no other tool can fetch (a workspace's own, those built from source) into a folder, and "
        "name them by their paths",
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Export."""
    from hermetic.project.exchange import export_lock

    text = export_lock(
        arguments.project,
        arguments.name,
        arguments.format,
        arguments.platform,
        arguments.output,
        wheels=arguments.wheels,
        reporter=ui.reporter,
    )
    if arguments.output:
        ui.result(f"wrote {arguments.output}", {"file": arguments.output, "format": arguments.format})
    else:
        ui.output(text, {"format": arguments.format, "text": text})
    return 0
