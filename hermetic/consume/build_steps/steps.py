"""The steps themselves; what each is for stands in the package's description."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.config import load_config
from hermetic.consume.build_steps.files import (
    copy_out,
    order_for,
    own_store,
    read_json,
    read_options,
    read_part,
    take_archives,
    write_json,
)
from hermetic.errors import IntegrityError, Place, UsageError
from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.assembly import metadata_layer, put_together
from hermetic.outputs.oci.blobs import open_blob
from hermetic.outputs.oci.contents import Contents, Package, layer_name, look, owner
from hermetic.outputs.oci.fragments import Group, Parcel, make_fragments
from hermetic.outputs.oci.image import checked_plan
from hermetic.outputs.oci.layer import Fragment, layer_from_dict, layer_to_dict, make_layer
from hermetic.outputs.oci.model import BaseImage, Blob, Descriptor, Layer
from hermetic.outputs.oci.survey import Survey, survey
from hermetic.outputs.prefix.checks import check_python
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.layout import prefix_layout

if TYPE_CHECKING:
    from hermetic.store import Store

BASE = "base.json"


def look_at(part: Path, name: str, archive: Path, out: Path) -> None:
    """Write what a package puts where. ``part`` needs the package and, if the environment has one, its Python."""
    lock = read_part(part)
    package = _package(lock, name, part)
    with own_store(out) as store:
        take_archives(lock, {name: archive}, store)
        tree = obtain(order_for(lock, store), {package.sha256})[package.sha256]
        found = look(package, tree, prefix_layout(lock))
    write_json(out, {"name": name, "sha256": package.sha256, "contents": vars(found)})


def survey_all(part: Path, contents: Sequence[Path], link_scripts: str, out: Path, lost: Mapping[str, Path]) -> None:
    """Write what follows for all packages together; for each one named in ``lost`` what its fragment has to know.

    Those files change only if something changes for the package.
    """
    lock = read_part(part)
    check_python(lock)
    by_name = {layer_name(package): package for package in _packages(lock)}
    found: dict[str, Contents] = {}
    for path in contents:
        value = read_json(path)
        package = by_name.get(value["name"])
        if package is None or package.sha256 != value["sha256"]:
            raise IntegrityError(
                f"it tells of {value['name']}, which is another package in the lock",
                place=Place(str(path)),
                remedy="build it again",
            )
        found[owner(package)] = Contents(**value["contents"])
    if missing := sorted(name for name, package in by_name.items() if owner(package) not in found):
        raise UsageError(f"nothing tells what is in {missing[0]}", remedy="give --contents for every package")
    surveyed = survey(lock, prefix_layout(lock), found, link_scripts=link_scripts)
    write_json(out, {"variables": dict(surveyed.variables), "activation": list(surveyed.activation)})
    for name, path in lost.items():
        gone = sorted(surveyed.lost.get(owner(by_name[name]), ()))
        write_json(path, {"lost": gone, "compiles": surveyed.compiles and found[owner(by_name[name])].modules})


def make_fragment(
    part: Path,
    name: str,
    archives: Mapping[str, Path],
    *,
    lost: Path,
    options: Path | None,
    out: Path,
    member: Path,
) -> None:
    """Write a package's fragment: what is told of it, and its member. ``part`` needs Python and what that needs.

    Where nothing is compiled, Python's own archives need not be given.
    """
    lock = read_part(part)
    package = _package(lock, name, part)
    known = read_json(lost)
    chosen = read_options(options)
    layout = prefix_layout(lock)
    with own_store(out) as store:
        take_archives(lock, archives, store)
        order = order_for(lock, store)
        tree = obtain(order, {package.sha256})[package.sha256]
        parcel = Parcel(package.sha256, package, tree, frozenset(known["lost"]))
        made = make_fragments(order, chosen, layout, [Group([parcel], whole=False)], compiles=known["compiles"])
        fragment = made[package.sha256]
        copy_out(store.blob_path(fragment.blob), member)
    told = {"name": name, "version": package.version, "fragment": {**vars(fragment), "listing": ""}}
    write_json(out, told)


def join_layer(name: str, fragments: Mapping[Path, Path], options: Path | None, out: Path, blob: Path) -> None:
    """Write a layer: what is told of it, and its blob. ``fragments`` are in their order, each with its member."""
    chosen = read_options(options)
    with own_store(out) as store:
        found = []
        for told, member in fragments.items():
            values = read_json(told)["fragment"]
            found.append(Fragment(**{**values, "folders": tuple(values["folders"])}))
            store.put_file(member, expected=found[-1].blob)
        layer = make_layer(store, name, found, chosen)
        assert layer.blob
        blob.parent.mkdir(parents=True, exist_ok=True)
        with open_blob(store, layer.blob) as source, blob.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    write_json(out, {**layer_to_dict(layer), "parts": [layer.descriptor.sha256]})


def make_image(
    part: Path, surveyed: Path, layers: Mapping[Path, Path], *, base: Path | None, options: Path | None, out: Path
) -> None:
    """Write an image as an OCI layout; beside it (``.digest``) stands its manifest's digest.

    ``part`` is a platform's whole lock with its plan; ``layers`` are the plan's, in its order, each with its blob.
    """
    from hermetic.outputs.oci.layout import write_layout

    lock = read_part(part)
    chosen = read_options(options)
    values = read_json(surveyed)
    with own_store(out) as store:
        stand = _read_base(base, store)
        plan = checked_plan(lock, lock.image.layers if lock.image else (), stand)
        made: list[tuple[Layer, PlannedLayer]] = []
        for (told, blob), planned in zip(layers.items(), plan, strict=True):
            layer = layer_from_dict(read_json(told))
            if layer.name != planned.name:
                raise UsageError(f"the layer {layer.name} stands where the plan has {planned.name}")
            store.put_file(blob, expected=layer.descriptor.sha256)
            made.append((layer, planned))
        order = order_for(lock, store, chosen.link_scripts)
        known = Survey(prefix_layout(lock), {}, values["variables"], values["activation"], compiles=False)
        top = metadata_layer(order, chosen, known) if made else None
        image = put_together(lock, made, top, stand, options=chosen, surveyed=known)
        write_layout([image], out, store=store)
    digest = out.with_name(f"{out.name}.digest")
    digest.write_text(f"{image.manifest.digest}\n", encoding="ascii")


def make_environment(part: Path, archives: Mapping[str, Path], prefix: str, *, link_scripts: str, out: Path) -> None:
    """Write an environment as a folder whose files say that it lies at ``prefix``."""
    from hermetic.outputs.prefix.build import make
    from hermetic.outputs.prefix.state import STATE_FILE

    lock = read_part(part)
    with own_store(out) as store:
        take_archives(lock, archives, store)
        order = replace(order_for(lock, store, link_scripts, prefix), link_mode="copy")
        out.mkdir(parents=True, exist_ok=True)
        make(order, obtain(order), out)
        (out / STATE_FILE).write_text(order.state().to_text(), encoding="utf-8")


def fetch_base(part: Path, out: Path) -> None:
    """Write a lock's pinned base, from its registry: a step that uses the network. Raises NetworkError."""
    from hermetic.outputs.oci.bases import open_base

    lock = read_part(part)
    if lock.image is None:
        raise UsageError(
            f"the lock has no base for {lock.platform}", place=Place(str(part)), remedy="run 'hermetic base pin'"
        )
    with own_store(out) as store:
        base = open_base(lock.image.base, lock.platform, store=store, config=load_config())
        blobs = out / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        for layer in base.layers:
            blob = layer.blob or (base.origin.obtain(layer.descriptor, store) if base.origin else None)
            assert blob
            with open_blob(store, blob) as source, (blobs / layer.descriptor.sha256).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    layers = [{**layer.descriptor.to_dict(), "diff_id": layer.diff_id} for layer in base.layers]
    told = {"reference": base.reference, "digest": base.digest, "config": dict(base.config), "layers": layers}
    write_json(out / BASE, told)


def _read_base(folder: Path | None, store: Store) -> BaseImage:
    if folder is None:
        raise UsageError("the image has no base", remedy="give the folder that the step 'base' wrote")
    found: dict[str, Any] = read_json(folder / BASE)
    layers = []
    for value in found["layers"]:
        descriptor = Descriptor.from_dict(value)
        store.put_file(folder / "blobs" / descriptor.sha256, expected=descriptor.sha256)
        blob = Blob(descriptor.digest, descriptor.size, (descriptor.sha256,))
        layers.append(Layer(descriptor, value["diff_id"], blob))
    return BaseImage(found["reference"], found["digest"], found["config"], tuple(layers))


def _packages(lock: PlatformLock) -> list[Package]:
    return [*lock.conda, *lock.wheels]


def _package(lock: PlatformLock, name: str, place: Path) -> Package:
    for package in _packages(lock):
        if layer_name(package) == name:
            return package
    raise UsageError(f"it has no package {name!r}", place=Place(str(place)), remedy="write pip:NAME for a wheel")
