"""Make a real, byte-reproducible conda channel from the running Python and wheels.

It is meant for demonstrations, tests, and machines that reach no conda channel. Use it under a name of its
own: 'hermetic init --channel demo=DIR'.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

NESTED = True

EXAMPLES = """\
examples:
  hermetic channel make ./channel
  hermetic channel make ./channel --wheel numpy --wheel 'pandas>=2' --wheel ./mine-1.0-py3-none-any.whl"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    make = actions.add_parser(
        "make",
        help="make or complete a channel",
        description=__doc__,
        epilog=EXAMPLES,
    )
    make.add_argument("directory", help="the channel's folder")
    make.add_argument(
        "--wheel",
        metavar="REQUIREMENT|FILE",
        action="append",
        default=None,
        dest="wheels",
        help="a wheel to turn into a package, with what it needs (default: a small data-science set)",
    )
    make.add_argument(
        "--python", metavar="PYTHON", default=None, help="the interpreter to package (default: the running one)"
    )
    make.add_argument(
        "--refresh", action="store_true", help="look again for the newest wheels (default: keep what was found before)"
    )
    add_common(make)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Make the channel."""
    from pathlib import Path

    from hermetic.config import load_config
    from hermetic.outputs.channel import DEFAULT_REQUIREMENTS, make_channel

    wanted = arguments.wheels if arguments.wheels is not None else list(DEFAULT_REQUIREMENTS)
    summary = make_channel(
        Path(arguments.directory),
        requirements=[item for item in wanted if not item.endswith(".whl")],
        wheels=[Path(item) for item in wanted if item.endswith(".whl")],
        interpreter=Path(arguments.python) if arguments.python else None,
        refresh=arguments.refresh,
        offline=load_config(offline=arguments.offline).offline,
        reporter=ui.reporter,
    )
    ui.result(summary.text(), summary.to_dict())
    return 0
