"""What an image's layers would be, and what a change costs against the image that was built last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import MachineError
from hermetic.events import SILENT, Reporter
from hermetic.files import write_whole
from hermetic.plan.layer_costs import METADATA, LayerReport, Row, explain, image_rows, planned_rows

if TYPE_CHECKING:
    from hermetic.outputs.oci.model import Image
    from hermetic.project.image_order import ImageOrder
    from hermetic.project.imaging import Prepared
    from hermetic.project.layout import Layout


def explain_images(
    start: str | None,
    name: str | None,
    order: ImageOrder,
    *,
    locked: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> LayerReport:
    """Tell what the layers of an environment's image are and cost, for the order's first platform; builds nothing.

    A lock that is missing or stale is made first, and so are a base and a plan, as a build would. Where the image is to
    be pushed and its layers are made, its registry is asked what it has; else it is taken to have the image built last.
    """
    from hermetic.outputs.oci.image import find_image
    from hermetic.project.imaging import image_reference, prepare_images, wanted_name
    from hermetic.project.project import open_project
    from hermetic.store import Store

    project = open_project(start)
    declaration = project.declaration(project.choose(name))
    config = project.config(offline=offline)
    store = Store.open(config.store)
    item = prepare_images(
        project, declaration, order, config=config, store=store, locked=locked, offline=offline, reporter=reporter
    )[0]
    image = find_image(item.lock, item.plan.layers, item.base, store=store, options=order.options)
    before = _remembered(_memo(project.layout, declaration.name), item.lock.platform)
    rows = rows_of(item, image) if image else _foreseen(item, before)
    registry = None
    if order.push and image and not config.offline:
        from hermetic.outputs.oci.pushing import present_blobs

        reference = image_reference(wanted_name(order, config), [item.key])
        registry = present_blobs([row.digest for row in rows], reference, store=store, config=config)
    return explain(rows, before, registry=registry)


def _foreseen(item: Prepared, before: Sequence[Row]) -> tuple[Row, ...]:
    """Give the layers of an image that is not made: those that the last one had too are, as a rule, the same."""
    rows = planned_rows(item.lock, item.plan.layers, base=item.base.layers)
    known = [next((old for old in before if old.packages and old.same(row)), None) for row in rows]
    metadata = next((old.size for old in before if old.name == METADATA), 0)
    return (
        *(replace(old, name=row.name) if old else row for row, old in zip(rows, known, strict=True)),
        *((Row(METADATA, size=metadata),) if item.plan.layers else ()),
    )


def rows_of(item: Prepared, image: Image) -> tuple[Row, ...]:
    """Give the layers of an image that is made."""
    return image_rows(item.lock, item.plan.layers, image.layers, len(item.base.layers))


def remember_images(layout: Layout, name: str, prepared: Sequence[Prepared], images: Sequence[Image]) -> None:
    """Keep what the layers of an environment's images are, for the next time that somebody asks what a change costs."""
    document = {
        item.lock.platform: [asdict(row) for row in rows_of(item, image)]
        for item, image in zip(prepared, images, strict=True)
    }
    with suppress(MachineError):  # a project that cannot be written: then an explanation knows less
        write_whole(_memo(layout, name), json.dumps(document, sort_keys=True).encode())


def _memo(layout: Layout, name: str) -> Path:
    return layout.memo("image", name)


def _remembered(path: Path, platform: str) -> tuple[Row, ...]:
    try:
        rows = json.loads(path.read_bytes())[platform]
        return tuple(
            Row(**{**row, "packages": {name: (version, digest) for name, (version, digest) in row["packages"].items()}})
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError):  # only a hint: losing it costs an explanation
        return ()
