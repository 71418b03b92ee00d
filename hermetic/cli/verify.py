"""Prove a built environment or image against its lock, file by file: name what was changed, added or lost.

The target is an environment's name, a folder that holds one, or an image: an OCI layout's folder, a tag of the Docker
Engine, or a registry's reference (layout:, engine: and registry: before it say which). Exit status 1 if anything
differs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic verify                      the project's environment
  hermetic verify /opt/env -e train    a folder, against the lock of "train"
  hermetic verify registry.example.org/team/train:1 -e train    an image"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("target", nargs="?", default=None, help="an environment's name, a folder, or an image")
    parser.add_argument(
        "--environment",
        "-e",
        metavar="NAME",
        default=None,
        help="the environment whose lock the target is held against",
    )
    image = parser.add_argument_group("images")
    image.add_argument(
        "--platform", metavar="P", action="append", default=[], help="only this platform's (default: all that it has)"
    )
    image.add_argument("--user", metavar="USER", default="", help="the user that it was built with")
    image.add_argument(
        "--label", metavar="NAME=VALUE", action="append", default=[], help="a label that it was built with"
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Verify."""
    from hermetic.project.verifying import names_environment

    if arguments.target is not None and not names_environment(arguments.project, arguments.target):
        return _verify_image(arguments, ui)
    from hermetic.project.verifying import verify_environment
    from hermetic.report.prefixes import prefix_check_text

    report = verify_environment(
        arguments.project, arguments.target, arguments.environment, offline=arguments.offline, reporter=ui.reporter
    )
    ui.result(prefix_check_text(report, colour=ui.colour), report.to_dict())
    return 1 if report.findings else 0


def _verify_image(arguments: argparse.Namespace, ui: UI) -> int:
    import os

    from hermetic.outputs.oci.options import ImageOptions, epoch, read_labels
    from hermetic.project.image_verifying import verify_project_image
    from hermetic.report.images import image_check_text

    check = verify_project_image(
        arguments.project,
        arguments.target,
        arguments.environment,
        options=ImageOptions(
            user=arguments.user, labels=read_labels(arguments.label), source_date_epoch=epoch(os.environ)
        ),
        platforms=arguments.platform,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    ui.result(image_check_text(check, colour=ui.colour), check.to_dict())
    return 1 if check.findings else 0
