"""Assembling an image: what the store lacks of contents, fragments and layers is made, then all is put together."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hermetic.lock.model import CondaPackage, PlannedLayer
from hermetic.outputs.oci.compression import archive_form
from hermetic.outputs.oci.config import as_oci, make_config, make_manifest
from hermetic.outputs.oci.contents import Contents, Package, layer_name, layout_words, look, owner
from hermetic.outputs.oci.fragments import Group, Parcel, made_item, make_fragments, write_items
from hermetic.outputs.oci.image import METADATA
from hermetic.outputs.oci.layer import Fragment, find_fragment, make_layer
from hermetic.outputs.oci.model import PREFIX, BaseImage, Image, Layer
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix.checks import (
    check_claims,
    check_distributions,
    check_python,
    find_link_scripts,
    refuse_scripts,
)
from hermetic.outputs.prefix.conda_meta import environment_files
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.layout import PrefixLayout, prefix_layout
from hermetic.outputs.prefix.order import Order
from hermetic.outputs.prefix.state import STATE_FILE
from hermetic.plan.image_keys import contents_key, fragment_key
from hermetic.platforms import current_platform
from hermetic.realize.trees import Tree

_FOLDER, _NAME = PREFIX.strip("/").rsplit("/", 1)
_ACTIVATE = "activate"
_SCRIPT = """#!/bin/sh
# Runs what the environment's packages want run when it is activated, then the command.
if [ -z "${BASH_VERSION:-}" ] && command -v bash >/dev/null 2>&1; then exec bash "$0" "$@"; fi
"""


@dataclass(frozen=True)
class _Environment:
    """What is known of an environment before any fragment of it is made."""

    packages: Sequence[Package]
    layout: PrefixLayout
    contents: Mapping[str, Contents]
    """By owner."""
    lost: Mapping[str, frozenset[str]]
    variables: Mapping[str, str]
    activation: Sequence[str]
    compiles: bool


def assemble_image(order: Order, layers: Sequence[PlannedLayer], base: BaseImage, options: ImageOptions) -> Image:
    """Put an image together. See ``build_image``."""
    lock, store = order.lock, order.store
    packages: list[Package] = [*lock.conda, *lock.wheels]
    layout = prefix_layout(lock)
    check_python(lock)
    trees: dict[str, Tree] = {}
    env = _survey(order, packages, layout, trees)
    fragments = _fragments(order, options, layers, env, trees)
    with ThreadPoolExecutor(order.jobs or os.cpu_count() or 1) as pool:
        planned = [[fragments[name] for name in layer.packages] for layer in layers]
        made = list(
            pool.map(
                lambda item: make_layer(store, item[0].name, item[1], options),
                zip(layers, planned, strict=True),
            )
        )
    by_name = {layer_name(package): package for package in packages}
    ours: list[tuple[Layer, str]] = [
        (layer, ", ".join(f"{name} {by_name[name].version}" for name in plan.packages))
        for layer, plan in zip(made, layers, strict=True)
    ]
    activate = ""
    if packages:
        if env.activation and base.layers:
            activate = f"/{_FOLDER}/{_ACTIVATE}"
        elif env.activation:
            order.reporter.warn("the packages' activation scripts are not run in the image: its base has no shell")
        ours.append((_metadata(order, options, env), "what describes the environment"))
    config = make_config(lock, base, ours, options, variables=env.variables, activate=activate)
    everything = (*map(as_oci, base.layers), *(layer for layer, _ in ours))
    return Image(lock.platform, make_manifest(config, everything, base), config, everything, base)


def _survey(order: Order, packages: Sequence[Package], layout: PrefixLayout, trees: dict[str, Tree]) -> _Environment:
    """Find out what each package puts where, and what follows for all of them together."""
    lock = order.lock
    contents = _contents(order, packages, layout, trees)
    conda = {package.sha256: contents[package.name] for package in lock.conda}
    check_distributions(lock, {digest: found.distributions for digest, found in conda.items()})
    scripts = find_link_scripts(lock, {digest: found.scripts for digest, found in conda.items()})
    if order.link_scripts == "refuse":
        refuse_scripts(scripts)
    for script in scripts:
        order.reporter.warn(f"{script.package.name}: {script.path} was not run")
    collisions, warnings = check_claims([(name, contents[name].files) for name in _linked(order, contents)])
    for warning in warnings:
        order.reporter.warn(warning)
    variables: dict[str, Mapping[str, str]] = {}
    activation: set[str] = set()
    for name, found in contents.items():
        lost = collisions.lost.get(name, frozenset())
        variables |= {path: values for path, values in (found.variables or {}).items() if path not in lost}
        activation |= set(found.activation) - lost
    merged: dict[str, str] = {}
    for _, values in sorted(variables.items()):
        merged |= values
    here = lock.platform == current_platform()
    runs = any(layout.executable in contents[package.name].files for package in lock.conda)
    return _Environment(
        packages,
        layout,
        contents,
        collisions.lost,
        merged | dict(lock.variables),
        sorted(activation),
        compiles=here and bool(layout.pyc_tag) and runs,
    )


def _contents(
    order: Order, packages: Sequence[Package], layout: PrefixLayout, trees: dict[str, Tree]
) -> dict[str, Contents]:
    store = order.store
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


def _linked(order: Order, contents: Mapping[str, Contents]) -> list[str]:
    """Give the owners of paths in the order in which a prefix links them, if it matters: if any two own one path."""
    wheels = sorted(owner(wheel) for wheel in order.lock.wheels)
    conda: Sequence[CondaPackage] = order.lock.conda
    if len(set().union(*(found.files for found in contents.values()))) < sum(len(f.files) for f in contents.values()):
        from hermetic.outputs.prefix.conda_link import link_order

        conda = link_order(conda)
    return [owner(package) for package in conda] + wheels


def _fragments(
    order: Order, options: ImageOptions, layers: Sequence[PlannedLayer], env: _Environment, trees: dict[str, Tree]
) -> dict[str, Fragment]:
    """Give all fragments by their package's name in a plan; those that the store lacks are made."""
    packages, layout = env.packages, env.layout
    python = order.lock.python()
    words = archive_form(options)
    keys: dict[str, str] = {}
    for package in packages:
        name = owner(package)
        modules = env.contents[name].modules
        placed = modules or not isinstance(package, CondaPackage) or package.noarch == "python"
        keys[name] = fragment_key(
            package,
            prefix=PREFIX,
            layout=layout_words(layout) if placed else (),
            python=python.sha256 if python and modules and env.compiles else "",
            dropped=env.lost.get(name, ()),
            form=words,
        )
    found = {name: find_fragment(order.store, key) for name, key in keys.items()}
    missing = {layer_name(package): package for package in packages if found[owner(package)] is None}
    if missing:
        trees |= obtain(order, {package.sha256 for package in missing.values()} - trees.keys())
        parcels = {
            name: Parcel(keys[owner(p)], p, trees[p.sha256], env.lost.get(owner(p), frozenset()))
            for name, p in missing.items()
        }
        groups: list[Group] = []
        for layer in layers:
            group = [parcels[name] for name in layer.packages if name in parcels]
            whole = len(group) == len(layer.packages)
            groups += [Group(group, whole)] if whole else [Group([parcel], whole=False) for parcel in group]
        made = make_fragments(order, options, layout, groups, compiles=env.compiles)
        found |= {name: made[key] for name, key in keys.items() if key in made}
    return {layer_name(package): fragment for package in packages if (fragment := found[owner(package)])}


def _metadata(order: Order, options: ImageOptions, env: _Environment) -> Layer:
    """Make the layer that describes the environment as a whole."""
    made = environment_files(order.lock) | {STATE_FILE: order.state().to_text().encode()}
    items = [made_item(f"{_NAME}/{path}", data) for path, data in made.items()]
    if env.activation:
        lines = [f". {shlex.quote(f'{PREFIX}/{path}')} 1>&2\n" for path in env.activation]
        text = _SCRIPT + "".join(lines) + 'exec "$@"\n'
        items.append(made_item(_ACTIVATE, text.encode(), executable=True))
    fragment, _ = write_items(order, options, items, _FOLDER)
    return make_layer(order.store, METADATA, [fragment], options)
