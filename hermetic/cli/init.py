"""Declare an environment: write a hermetic.toml, from scratch or from the spec files that are there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic init                                     an empty environment "default"
  hermetic init --from environment.yml              one that a spec file declares
  hermetic init train --platform linux-64 --platform osx-arm64 --accelerator cuda-12.4
  hermetic init --channel demo=./channel --system glibc=2.36    a channel of your own, on a newer Linux"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default="default", help="the environment's name (default: %(default)s)")
    parser.add_argument(
        "--from",
        dest="spec_files",
        metavar="FILE",
        action="append",
        default=[],
        help="a spec file or folder (default: those that are there)",
    )
    parser.add_argument(
        "--channel",
        metavar="[NAME=]ADDRESS",
        action="append",
        default=[],
        dest="channels",
        help="a conda channel, first wins (default: conda-forge)",
    )
    parser.add_argument(
        "--platform",
        metavar="P",
        action="append",
        default=[],
        dest="platforms",
        help="a platform to lock for (default: this machine's)",
    )
    parser.add_argument("--accelerator", metavar="A", default="", help="cpu, or cuda with a version: cuda-12.4")
    parser.add_argument(
        "--system",
        metavar="NAME=VERSION",
        action="append",
        default=[],
        help="what target machines offer at least: glibc=2.35, osx=12.0",
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Write the manifest."""
    from hermetic.project.editing import init_project

    path = init_project(
        arguments.project,
        arguments.name,
        spec_files=arguments.spec_files,
        channels=arguments.channels,
        platforms=arguments.platforms,
        accelerator=arguments.accelerator,
        system=arguments.system,
        reporter=ui.reporter,
    )
    ui.result(
        f"wrote {path}\n  next: hermetic add PACKAGE..., or hermetic lock",
        {"manifest": str(path), "name": arguments.name},
    )
    return 0
