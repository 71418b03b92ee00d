"""Fragments: what one package puts into an image, as one compressed member of tar entries, made once and kept.

A fragment holds the package's files with the image's prefix in them, its entry points, its pyc files and its own file
of ``conda-meta`` (a wheel: its RECORD): all that depends on nothing but the package and the Python. What another
package's file replaces is left out, so that the order of layers does not matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from hermetic.digest import sha256_bytes
from hermetic.events import task
from hermetic.lock.model import Wheel
from hermetic.outputs.oci.compiling import compiled
from hermetic.outputs.oci.contents import Item, Package, conda_item, owner, placed_files
from hermetic.outputs.oci.layer import Fragment, LayerWriter
from hermetic.outputs.oci.members import LayerHash, MemberWriter, folders
from hermetic.outputs.oci.model import PREFIX
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix.conda_files import CondaFile, conda_files, stale_pyc
from hermetic.outputs.prefix.conda_meta import package_record
from hermetic.outputs.prefix.layout import PrefixLayout
from hermetic.outputs.prefix.manifest import manifest_bytes
from hermetic.outputs.prefix.order import Order
from hermetic.outputs.prefix.wheel_link import Placed, record
from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry
from hermetic.realize.pyc import Source
from hermetic.realize.trees import Tree

TASK = "layers"
ROOT = PREFIX.strip("/")


@dataclass
class Parcel:
    """A fragment that is to be made: the package, its tree, the paths that it loses; then what goes into it."""

    key: str
    package: Package
    tree: Tree
    lost: frozenset[str]
    files: list[CondaFile] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    pyc: list[FileEntry] = field(default_factory=list)


@dataclass
class Group:
    """Fragments that are made one after the other; ``whole`` if they are all of a layer, in its order."""

    parcels: Sequence[Parcel]
    whole: bool

    @property
    def size(self) -> int:
        """The bytes of all files, not compressed."""
        return sum(item.entry.size for parcel in self.parcels for item in parcel.items)

    def folders(self) -> list[str]:
        """Give all folders of the layer, sorted."""
        return folders_above(item for parcel in self.parcels for item in parcel.items)


def make_fragments(
    order: Order, options: ImageOptions, layout: PrefixLayout, groups: Sequence[Group], *, compiles: bool
) -> dict[str, Fragment]:
    """Make fragments, as many groups at a time as the order has jobs; give them by key. The store remembers them."""
    parcels = [parcel for group in groups for parcel in group.parcels]
    jobs = order.jobs or os.cpu_count() or 1
    with task(order.reporter, TASK, "making layers", len(parcels), "packages"), ExitStack() as held:
        pool = held.enter_context(ThreadPoolExecutor(jobs))
        held.callback(pool.shutdown, wait=True, cancel_futures=True)
        list(pool.map(lambda parcel: _place(parcel, layout, compiles=compiles), parcels))
        if compiles:
            _compile(order, layout, parcels, held.enter_context(order.store.staging()))
        made: dict[str, Fragment] = {}

        def make(group: Group) -> None:
            for parcel in group.parcels:
                parcel.items.append(_own_item(parcel, layout))
            layer = LayerWriter(order.store, group.folders(), options) if group.whole else None
            for parcel in group.parcels:
                fragment, entries = write_items(order, options, parcel.items, layer=layer.hash if layer else None)
                fragment = replace(fragment, listing=order.store.put_bytes(manifest_bytes(entries)))
                order.store.put_result(parcel.key, vars(fragment))
                made[parcel.key] = fragment
                order.reporter.advance(TASK)
            if layer:
                layer.finish([made[parcel.key] for parcel in group.parcels])

        list(pool.map(make, sorted(groups, key=lambda group: -group.size)))
        return made


def write_items(
    order: Order, options: ImageOptions, items: Sequence[Item], root: str = ROOT, layer: LayerHash | None = None
) -> tuple[Fragment, list[FileEntry]]:
    """Write items, whose paths are relative to ``root``, sorted by path, into a member, without their folders.

    Gives the entries too, folders among them.
    """
    ordered = sorted(items, key=lambda item: item.entry.path)
    with MemberWriter(order.store, options.compression, options.level, options.time, layer=layer) as writer:
        for item in ordered:
            entry = item.entry
            writer.begin(entry, f"{root}/{entry.path}")
            if entry.kind == FILE:
                if item.file and not item.placeholder:
                    writer.write_file(item.file, entry.size)
                else:
                    for piece in item.pieces():
                        writer.write(piece)
                writer.end(entry)
        member = writer.finish()
    inner = folders(item.entry.path for item in ordered)
    entries = [*(FileEntry(folder, FOLDER) for folder in inner), *(item.entry for item in ordered)]
    entries.sort(key=lambda entry: entry.path)
    above = folders_above(items, root)
    return Fragment(member.blob, member.size, member.tar_size, tuple(above)), entries


def folders_above(items: Iterable[Item], root: str = ROOT) -> list[str]:
    """Give all folders that items need in an archive, sorted."""
    inner = folders(item.entry.path for item in items)
    return sorted({*folders([f"{root}/."]), *(f"{root}/{folder}" for folder in inner)})


def made_item(path: str, data: bytes, *, executable: bool = False) -> Item:
    """Give a file made of some bytes."""
    return Item(FileEntry(path, FILE, sha256_bytes(data), len(data), executable), data=data)


def _place(parcel: Parcel, layout: PrefixLayout, *, compiles: bool) -> None:
    package, tree = parcel.package, parcel.tree
    if isinstance(package, Wheel):
        parcel.placed = placed_files(package, tree, layout)
        kept = [file for file in parcel.placed if file.entry.path not in parcel.lost]
        parcel.items = [Item(file.entry, file.file, file.data) for file in kept]
        return
    files = conda_files(package, tree, layout)
    gone = parcel.lost | (stale_pyc(files, layout) if compiles else set())
    parcel.files = [file for path, file in files.items() if path not in gone]
    parcel.items = [conda_item(file, tree, layout) for file in parcel.files]


def _compile(order: Order, layout: PrefixLayout, parcels: Sequence[Parcel], scratch: Path) -> None:
    """Add the pyc files of all parcels. Modules that hold the prefix are a group of their own, as in a prefix."""
    groups: dict[tuple[str, bool], list[Source]] = {}
    for parcel in parcels:
        for item in parcel.items:
            entry = item.entry
            if entry.kind == LINK and not Path(item.file).exists():
                continue
            if entry.path.endswith(".py") and entry.path.startswith(f"{layout.library}/"):
                group = groups.setdefault((owner(parcel.package), bool(item.placeholder)), [])
                group.append(Source(entry.path, entry.sha256, _as_file(item, scratch)))
    by_owner = {owner(parcel.package): parcel for parcel in parcels}
    for (name, _), tree in zip(groups, compiled(order, list(groups.values())), strict=True):
        entries = [entry for entry in tree.listing.entries if entry.kind == FILE]
        by_owner[name].pyc += entries
        by_owner[name].items += [Item(entry, f"{tree.files}/{entry.path}") for entry in entries]


def _as_file(item: Item, scratch: Path) -> str:
    if not item.placeholder:
        return item.file
    file = scratch / f"{len(os.listdir(scratch))}.py"  # noqa: PTH208
    with file.open("xb") as target:
        target.writelines(item.pieces())
    return str(file)


def _own_item(parcel: Parcel, layout: PrefixLayout) -> Item:
    """Give the file in which a package's files are listed: it depends on nothing but the package and its Python."""
    if isinstance(parcel.package, Wheel):
        written = record(parcel.tree, layout, parcel.placed, parcel.pyc)
        return Item(written.entry, data=written.data)
    return made_item(*package_record(parcel.package, parcel.files, parcel.pyc))
