"""Show what differs between two locks, or between two images: packages, and for images also settings, layers, files.

Each side is an environment's name or a lockfile; or an image: an OCI layout's folder, a tag of the Docker Engine, a
registry's reference (layout:, engine: and registry: before it say which). Exit status 1 if they differ.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic diff default train
  git show HEAD:lockfiles/default.lock.json > /tmp/old.lock.json && hermetic diff /tmp/old.lock.json default
  hermetic diff registry.example.org/team/train:1 train:2          images"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("old", help="an environment's name, a lockfile, or an image")
    parser.add_argument("new", help="an environment's name, a lockfile, or an image")
    parser.add_argument("--platform", metavar="P", default="", help="which of an image's (default: this machine's)")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Print the differences."""
    from hermetic.outputs.oci.finding import names_image

    if names_image(arguments.old) and names_image(arguments.new):
        from hermetic.project.image_verifying import diff_found_images
        from hermetic.report.images import image_diff_text
        from hermetic.sdk.comparing import refuse_versions

        refuse_versions(arguments.project, arguments.old, arguments.new)
        images = diff_found_images(
            arguments.old,
            arguments.new,
            start=arguments.project,
            platform=arguments.platform,
            offline=arguments.offline,
            reporter=ui.reporter,
        )
        ui.result(image_diff_text(images, colour=ui.colour), images.to_dict())
        return 1 if images else 0
    from hermetic.lock.diff import diff
    from hermetic.project.asking import either_lock
    from hermetic.report.locks import diff_text

    found = diff(either_lock(arguments.project, arguments.old), either_lock(arguments.project, arguments.new))
    ui.result(diff_text(found, colour=ui.colour), found.to_dict())
    return 1 if found else 0
