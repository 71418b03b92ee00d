"""Pack an environment into one file that unpacks itself, on machines without a network and without hermetic.

The file is a shell script with an archive behind it, and the same bytes on every machine. What comes out of it is
what 'hermetic build --prefix' would have made there, byte for byte.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic pack --output env.sh           here ...
  sh env.sh --prefix /opt/env             ... and there, where /opt/env is made
  sh env.sh --check                       is the file whole?
  hermetic pack train --compression zstd  smaller; the other machine needs zstd"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default=None, help="the environment (default: the only one)")
    parser.add_argument(
        "--output", "-o", metavar="FILE", default=None, help="the file to write (default: NAME-PLATFORM.sh)"
    )
    parser.add_argument(
        "--compression",
        choices=("gzip", "zstd", "none"),
        default="gzip",
        help="how the archive is compressed; what unpacks it has to be there (default: %(default)s)",
    )
    parser.add_argument(
        "--locked", action="store_true", help="fail if the lock is missing or stale, instead of locking"
    )
    parser.add_argument(
        "--link-scripts",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do with packages' link scripts (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs", "-j", type=int, default=None, metavar="N", help="how many things at once (default: all cores)"
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Pack."""
    from hermetic.project.packing import pack_environment
    from hermetic.report.packs import pack_text

    done = pack_environment(
        arguments.project,
        arguments.name,
        arguments.output,
        compression=arguments.compression,
        locked=arguments.locked,
        link_scripts=arguments.link_scripts,
        jobs=arguments.jobs,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(pack_text(done), done)
    return 0
