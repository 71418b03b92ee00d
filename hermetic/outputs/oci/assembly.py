"""Assembling an image: what the store lacks of contents, fragments and layers is made, then all is put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.config import as_oci, make_config, make_manifest
from hermetic.outputs.oci.contents import Contents, Package, layer_name, layout_words, look, owner
from hermetic.outputs.oci.fragments import Group, Parcel, make_fragments, write_items
from hermetic.outputs.oci.image import METADATA
from hermetic.outputs.oci.layer import Fragment, find_fragment, make_layer
from hermetic.outputs.oci.model import PREFIX, BaseImage, Image, Layer
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.oci.survey import ACTIVATE, FOLDER, Survey, key_of_fragment, metadata_items, survey
from hermetic.outputs.prefix.checks import check_python
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.layout import PrefixLayout, prefix_layout
from hermetic.outputs.prefix.order import Order
from hermetic.plan.image_keys import contents_key
from hermetic.realize.trees import Tree


def assemble_image(order: Order, layers: Sequence[PlannedLayer], base: BaseImage, options: ImageOptions) -> Image:
    """Put an image together. See ``build_image``."""
    lock, store = order.lock, order.store
    layout = prefix_layout(lock)
    check_python(lock)
    trees: dict[str, Tree] = {}
    contents = _contents(order, layout, trees)
    surveyed = survey(lock, layout, contents, link_scripts=order.link_scripts, reporter=order.reporter)
    fragments = _fragments(order, options, layers, contents, surveyed, trees=trees)
    with ThreadPoolExecutor(order.jobs or os.cpu_count() or 1) as pool:
        planned = [[fragments[name] for name in layer.packages] for layer in layers]
        made = list(
            pool.map(
                lambda item: make_layer(store, item[0].name, item[1], options),
                zip(layers, planned, strict=True),
            )
        )
    if surveyed.activation and not base.layers:
        order.reporter.warn("the packages' activation scripts are not run in the image: its base has no shell")
    top = metadata_layer(order, options, surveyed) if fragments else None
    return put_together(lock, list(zip(made, layers, strict=True)), top, base, options=options, surveyed=surveyed)


def metadata_layer(order: Order, options: ImageOptions, surveyed: Survey) -> Layer:
    """Make the layer that describes the environment as a whole."""
    fragment, _ = write_items(order, options, metadata_items(order.lock, order.state(), surveyed), FOLDER)
    return make_layer(order.store, METADATA, [fragment], options)


def put_together(
    lock: PlatformLock,
    made: Sequence[tuple[Layer, PlannedLayer]],
    top: Layer | None,
    base: BaseImage,
    *,
    options: ImageOptions,
    surveyed: Survey,
) -> Image:
    """Give the image of layers that are made: pure, from values to values. ``top`` is the layer of metadata."""
    versions = {layer_name(package): package.version for package in _packages(lock)}
    ours = [(layer, ", ".join(f"{name} {versions[name]}" for name in plan.packages)) for layer, plan in made]
    if top:
        ours.append((top, "what describes the environment"))
    activate = f"/{FOLDER}/{ACTIVATE}" if surveyed.activation and base.layers else ""
    config = make_config(lock, base, ours, options, variables=surveyed.variables, activate=activate)
    everything = (*map(as_oci, base.layers), *(layer for layer, _ in ours))
    return Image(lock.platform, make_manifest(config, everything, base), config, everything, base)


def _packages(lock: PlatformLock) -> list[Package]:
    return [*lock.conda, *lock.wheels]


def _contents(order: Order, layout: PrefixLayout, trees: dict[str, Tree]) -> dict[str, Contents]:
    """Give what each package puts where, by owner; packages that had to be unpacked for it are added to ``trees``."""
    store, packages = order.store, _packages(order.lock)
    keys = {package.sha256: contents_key(package, PREFIX, layout_words(layout)) for package in packages}
    found: dict[str, Contents] = {}
    for package in packages:
        result = store.get_result(keys[package.sha256])
        if result and store.has_blob(result["blob"]):
            found[owner(package)] = Contents.from_bytes(store.blob_path(result["blob"]).read_bytes())
    missing = [package for package in packages if owner(package) not in found]
    if missing:
        trees |= obtain(order, {package.sha256 for package in missing})
    for package in missing:
        looked = look(package, trees[package.sha256], layout)
        store.put_result(keys[package.sha256], {"blob": store.put_bytes(looked.to_bytes())})
        found[owner(package)] = looked
    return found


def _fragments(
    order: Order,
    options: ImageOptions,
    layers: Sequence[PlannedLayer],
    contents: Mapping[str, Contents],
    surveyed: Survey,
    *,
    trees: dict[str, Tree],
) -> dict[str, Fragment]:
    """Give all fragments by their package's name in a plan; those that the store lacks are made."""
    packages, python = _packages(order.lock), order.lock.python()
    keys = {
        owner(package): key_of_fragment(package, contents[owner(package)], surveyed, python, options)
        for package in packages
    }
    found = {name: find_fragment(order.store, key) for name, key in keys.items()}
    missing = {layer_name(package): package for package in packages if found[owner(package)] is None}
    if missing:
        trees |= obtain(order, {package.sha256 for package in missing.values()} - trees.keys())
        parcels = {
            name: Parcel(keys[owner(p)], p, trees[p.sha256], surveyed.lost.get(owner(p), frozenset()))
            for name, p in missing.items()
        }
        groups: list[Group] = []
        for layer in layers:
            group = [parcels[name] for name in layer.packages if name in parcels]
            whole = len(group) == len(layer.packages)
            groups += [Group(group, whole)] if whole else [Group([parcel], whole=False) for parcel in group]
        made = make_fragments(order, options, surveyed.layout, groups, compiles=surveyed.compiles)
        found |= {name: made[key] for name, key in keys.items() if key in made}
    return {layer_name(package): fragment for package in packages if (fragment := found[owner(package)])}
