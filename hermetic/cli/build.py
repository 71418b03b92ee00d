"""Build a locked environment: on disk, or as a container image. Building what is already there does nothing, at once.

The lock is made first if there is none, and made again if the spec has changed, unless --locked. An image needs no
container engine: it is put together from cached layers on a pinned base. --image alone loads it into the Docker
Engine; --push sends it to its registry; --oci-layout writes it to a folder. An image name that ends in '/', or none,
is completed with 'hermetic/env_' and a hash of all that determines the image.
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
  hermetic build --locked                 in CI: fail if the lock is missing or stale
  hermetic build --image train:1          an image, loaded into the Docker Engine
  hermetic build --image registry.example.org/team/train:1 --push
  hermetic build --oci-layout image/      an image in a folder, with no engine and no registry
  hermetic build --image train --explain  what the layers would be, and what a change costs; builds nothing"""


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
    _add_image_arguments(parser)
    parser.add_argument(
        "--jobs", "-j", type=int, default=None, metavar="N", help="how many things at once (default: all cores)"
    )


def _add_image_arguments(parser: argparse.ArgumentParser) -> None:
    image = parser.add_argument_group("images")
    image.add_argument("--image", metavar="REF", nargs="?", const="/", default=None, help="build an image of this name")
    image.add_argument("--push", action="store_true", help="send the image to its registry")
    image.add_argument("--load", action="store_true", help="load the image into the Docker Engine")
    image.add_argument("--oci-layout", metavar="DIR", default=None, help="write the image to a folder")
    image.add_argument("--explain", action="store_true", help="lock if need be, show layers and costs, build nothing")
    image.add_argument(
        "--base", metavar="REF", default="", help="pin this base where none is declared (default: the lock's)"
    )
    image.add_argument(
        "--platform", metavar="P", action="append", default=[], help="an image for this platform (repeat for several)"
    )
    image.add_argument("--user", metavar="USER", default="", help="whom its processes belong to (default: the base's)")
    image.add_argument(
        "--compression", choices=("gzip", "zstd", "none"), default="gzip", help="of layers (default: %(default)s)"
    )
    image.add_argument("--label", metavar="NAME=VALUE", action="append", default=[], help="a label (may be repeated)")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Build, unless nothing has changed."""
    if arguments.image is not None or arguments.oci_layout:
        return _run_image(arguments, ui)
    from hermetic.errors import UsageError

    for option in ("push", "load", "explain", "base", "platform", "user", "label"):
        if getattr(arguments, option):
            raise UsageError(f"--{option} is for images", remedy="say which with --image REF, or use --oci-layout DIR")
    return _run_prefix(arguments, ui)


def _run_prefix(arguments: argparse.Namespace, ui: UI) -> int:
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


def _run_image(arguments: argparse.Namespace, ui: UI) -> int:
    import os
    from pathlib import Path

    from hermetic.errors import UsageError
    from hermetic.outputs.oci.options import ImageOptions, epoch, read_labels
    from hermetic.project.image_noop import image_built_already
    from hermetic.project.image_order import ImageOrder
    from hermetic.report.builds import image_build_text

    if arguments.image == "":
        raise UsageError("the image's name is empty", remedy="name it, or write --image alone for one made of a hash")
    if arguments.prefix:
        raise UsageError("--prefix and an image exclude each other", remedy="build them one after the other")
    order = ImageOrder(
        reference="" if arguments.image in {None, "/"} else arguments.image,
        platforms=tuple(arguments.platform),
        push=arguments.push,
        load=arguments.load or not (arguments.push or arguments.oci_layout),
        layout=Path(arguments.oci_layout).absolute() if arguments.oci_layout else None,
        base=arguments.base,
        options=ImageOptions(
            compression=arguments.compression,
            user=arguments.user,
            labels=read_labels(arguments.label),
            source_date_epoch=epoch(os.environ),
            link_scripts=arguments.link_scripts,
        ),
        jobs=arguments.jobs,
    )
    if arguments.explain:
        from hermetic.project.image_explaining import explain_images
        from hermetic.report.layers import layers_text

        explained = explain_images(
            arguments.project,
            arguments.name,
            order,
            locked=arguments.locked,
            offline=arguments.offline,
            reporter=ui.reporter,
        )
        ui.result(layers_text(explained, colour=ui.colour), explained.to_dict())
        return 0
    done = None
    if not arguments.force:
        done = image_built_already(arguments.project, arguments.name, order.question(), offline=arguments.offline)
    if done is None:
        from hermetic.project.imaging import build_images

        built = build_images(
            arguments.project,
            arguments.name,
            order,
            locked=arguments.locked,
            offline=arguments.offline,
            reporter=ui.reporter,
        )
        done = built.to_dict()
    ui.result(image_build_text(done), done)
    return 0
