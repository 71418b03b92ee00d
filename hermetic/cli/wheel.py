"""Keep wheels of one's own in the workspace: uploaded once, known by their bytes, read by signed addresses only.

What 'add' prints is a wheel's URL: it stays the same, holds no signature, and stands in a specification as any other
pip requirement.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI
    from hermetic.workspace.wheels import Wheels

NESTED = True

EXAMPLES = """\
examples:
  hermetic wheel add dist/mine-1.0-py3-none-any.whl
  hermetic add --pip "$(hermetic wheel add -q dist/mine-1.0-py3-none-any.whl)"
  hermetic wheel list
  hermetic wheel sign URL --expires 1h            an address for a tool that knows no workspaces"""

_SIGN = """\
Print an address that opens a wheel for a while, for a tool that knows no workspaces.

The wheels of a workspace that is a folder are opened by a path of this machine, which does not expire. For other
machines they are signed by 'hermetic workspace sign URL --server https://...', where 'hermetic workspace serve' serves
the folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from hermetic.cli.parser import Parser, add_common

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    add = actions.add_parser("add", help="upload wheels, and print their URLs", description=__doc__, epilog=EXAMPLES)
    add.add_argument("files", nargs="+", metavar="FILE", help="the wheels")
    add.add_argument(
        "--exist-ok",
        action="store_true",
        help="take other bytes under a file name that is there; the earlier ones keep their URL",
    )
    listing = actions.add_parser("list", help="show the wheels", description=__doc__, epilog=EXAMPLES)
    sign = actions.add_parser(
        "sign", help="print an address that opens a wheel for a while", description=_SIGN, epilog=EXAMPLES
    )
    sign.add_argument("url", metavar="URL", help="the wheel's URL")
    sign.add_argument(
        "--expires", metavar="TIME", default="15m", help="how long it opens it: 90s, 15m, 2h (default: %(default)s)"
    )
    for action in (add, listing, sign):
        action.add_argument(
            "--workspace", "-w", metavar="WORKSPACE", default="", help="the workspace (default: that of the folder)"
        )
        add_common(action)


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Do it."""
    from hermetic.report.wheels import list_text, wheel_value

    if arguments.action == "add":
        from pathlib import Path

        wheels = _wheels(arguments)
        added = [wheels.add(Path(file), exist_ok=arguments.exist_ok, reporter=ui.reporter) for file in arguments.files]
        ui.result("\n".join(item.url for item in added), {"wheels": [wheel_value(item) for item in added]}, asked=True)
    elif arguments.action == "list":
        found = _wheels(arguments).list()
        ui.result(list_text(found, colour=ui.colour), {"wheels": [wheel_value(item) for item in found]}, asked=True)
    else:
        lasting = _seconds(arguments.expires)
        signed = _wheels(arguments).sign(arguments.url, lasting)
        ui.result(signed, {"url": signed, "expires": lasting}, asked=True)
        if signed.startswith("file:"):
            ui.reporter.say(
                "the wheels of a folder are opened by a path of this machine, which does not expire; for other "
                f"machines sign it with 'hermetic workspace sign {arguments.url} --server https://...', where "
                "'hermetic workspace serve' serves the folder"
            )
    return 0


def _wheels(arguments: argparse.Namespace) -> Wheels:
    from hermetic.workspace.opening import find_address, opened

    wheels: Wheels = opened(find_address(arguments.project, arguments.workspace)).wheels
    return wheels


def _seconds(text: str) -> int:
    """Read a time: a number with s, m, h or d behind it; seconds without."""
    import re

    from hermetic.errors import UsageError

    found = re.fullmatch(r"(\d{1,7})\s*([smhd]?)", text.strip())
    if not found or not int(found[1]):
        raise UsageError(f"--expires: {text!r} is no time", remedy="write it as 90s, 15m, 2h or 1d")
    return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
