"""Build a locked environment on disk. Building what is already there does nothing, at once.

The lock is made first if there is none, and made again if the spec has changed, unless --locked.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic build                          the project's environment, under .hermetic/envs/
  hermetic build train --prefix /opt/env  another one, elsewhere
  hermetic build --locked                 in CI: fail if the lock is missing or stale"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default=None, help="the environment (default: the only one)")
    parser.add_argument(
        "--prefix", metavar="DIR", default=None, help="where to build it (default: .hermetic/envs/NAME)"
    )
    parser.add_argument(
        "--locked", action="store_true", help="fail if the lock is missing or stale, instead of locking"
    )
    parser.add_argument("--force", action="store_true", help="build it anew even if it is there: mends a changed one")
    parser.add_argument(
        "--link-scripts",
        choices=("refuse", "skip", "run"),
        default="refuse",
        help="what to do with packages' link scripts; run: sandboxed (default: %(default)s)",
    )
    parser.add_argument(
        "--link-mode",
        choices=("auto", "reflink", "hardlink", "copy"),
        default="auto",
        help="how files come from the store; a hard link is quick, but an edit reaches the store",
    )
    parser.add_argument(
        "--jobs", "-j", type=int, default=None, metavar="N", help="how many things at once (default: all cores)"
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Build, unless nothing has changed."""
    from hermetic.project.noop import built_already
    from hermetic.report.builds import build_text

    done = None if arguments.force else built_already(arguments.project, arguments.name, arguments.prefix)
    if done is None:
        from hermetic.project.building import build_environment

        done = build_environment(
            arguments.project,
            arguments.name,
            prefix=arguments.prefix,
            locked=arguments.locked,
            link_scripts=arguments.link_scripts,
            link_mode=arguments.link_mode,
            jobs=arguments.jobs,
            force=arguments.force,
            offline=arguments.offline,
            reporter=ui.reporter,
        )
    ui.result(build_text(done), done)
    return 0
