"""What is in a layer: its tar read once, in constant memory, every byte hashed; and what layers come to together.

Whiteouts are those of the image specification (layer.md): ``.wh.NAME`` hides NAME of the layers below, and
``.wh..wh..opq`` everything that they have in its folder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.reading import unpacked
from hermetic.store.guard import printable
from hermetic.store.tarball import FILE, FOLDER, HARD_LINK, LINK, Member, Stream, members

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MOST_ENTRIES = 4_000_000
"""Entries of a layer that are listed; a real one has a hundredth of that."""

_SLASHES = re.compile(r"/+")
_XATTRS = ("SCHILY.xattr.", "LIBARCHIVE.xattr.")


@dataclass(frozen=True, slots=True)
class Item:
    """What a layer has at a path. ``target`` is where a link of either kind points; ``owner`` is ``UID:GID``."""

    kind: str
    mode: int = 0o644
    size: int = 0
    sha256: str = ""
    target: str = ""
    owner: str = "0:0"
    attributes: tuple[str, ...] = ()


Tree = Mapping[str, tuple[int, Item]]
"""What layers come to: every path with the number of the layer that it is from."""


@dataclass(frozen=True)
class Scan:
    """A layer as its bytes have it: digest and size as it is packed, diff ID, entries by path, paths it hides.

    ``opaque`` are folders of which it hides all that is below. ``faults`` are ``(path, why)`` for what no image
    should have: names that lead out, an archive that is cut short, bytes behind its end.
    """

    digest: str
    size: int
    diff_id: str
    items: Mapping[str, Item] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()


class Hashing:
    """A stream that hashes and counts what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hasher = hashlib.sha256()
        self.size = 0

    def read(self, count: int = -1) -> bytes:
        """Read some bytes."""
        data = self._stream.read(count)
        self._hasher.update(data)
        self.size += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill some of a buffer; 0 means the end."""
        count: int = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        self._hasher.update(memoryview(buffer)[:count])
        self.size += count
        return count

    @property
    def digest(self) -> str:
        """The digest of what was read."""
        return f"sha256:{self._hasher.hexdigest()}"


def scan_layer(stream: BinaryIO, *, listed: bool = True) -> Scan:
    """Read a layer to its end, packed as it may be. ``listed=False``: only its digests are wanted.

    Whatever is wrong with its bytes is among the faults; it raises nothing of its own.
    """
    packed = Hashing(stream)
    found = _Listing()
    diff_id = ""
    try:
        with unpacked(packed) as inner:  # type: ignore[arg-type]
            tar = Hashing(inner)
            if listed:
                found.read(tar)
            while tar.read(1 << 20):
                pass
            diff_id = tar.digest
    except IntegrityError as error:
        found.faults.append(("", error.message.removeprefix("the layer is damaged: ")))
    while packed.read(1 << 20):  # what follows the point where its bytes stopped making sense
        pass
    faults = tuple(dict.fromkeys(found.faults))
    return Scan(packed.digest, packed.size, diff_id, found.items, tuple(found.hidden), tuple(found.opaque), faults)


class _Listing:
    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.hidden: list[str] = []
        self.opaque: list[str] = []
        self.faults: list[tuple[str, str]] = []

    def read(self, tar: Hashing) -> None:
        stream = Stream(tar, "the layer")
        try:
            for number, member in enumerate(members(stream, "the layer", image=True)):
                if number >= MOST_ENTRIES:
                    self.faults.append(("", f"more than {MOST_ENTRIES} entries"))
                    return
                self._take(member, stream)
            if stream.drain():
                self.faults.append(("", "bytes behind the end of its archive"))
        except IntegrityError as error:
            self.faults.append(("", error.message.removeprefix("the layer: ").removeprefix("the layer is damaged: ")))

    def _take(self, member: Member, stream: Stream) -> None:
        digest = ""
        if member.kind == FILE:
            hasher = hashlib.sha256()
            for piece in stream.pieces(member.size):
                hasher.update(piece)
            digest = hasher.hexdigest()
        path, why = _inside(member.name)
        if why:
            self.faults.append((printable(member.name), why))
            return
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            self.opaque.append(folder)
        elif name.startswith(WHITEOUT):
            self.hidden.append(f"{folder}/{name[len(WHITEOUT) :]}" if folder else name[len(WHITEOUT) :])
        elif path:
            self._add(path, member, digest)

    def _add(self, path: str, member: Member, digest: str) -> None:
        target = member.target if member.kind == LINK else ""
        if member.kind == HARD_LINK:
            target, why = _inside(member.target)
            if why:
                self.faults.append((path, f"a hard link to {printable(member.target)}, {why}"))
                return
        before = self.items.get(path)
        if before and not before.kind == member.kind == FOLDER:
            self.faults.append((path, "in the layer twice"))
        self.items[path] = Item(
            member.kind,
            member.mode,
            member.size,
            digest,
            target,
            f"{member.owner}:{member.group}",
            tuple(sorted(key for key in member.extended if key.startswith(_XATTRS))),
        )


def _inside(name: str) -> tuple[str, str]:
    """Give a member's name as a clean path, and what is wrong with it if something is."""
    if "\0" in name or "\n" in name:
        return "", "a name that no file has"
    parts = [part for part in _SLASHES.split(name) if part not in {"", "."}]
    if ".." in parts:
        return "", "a name that leads out of its folder"
    return "/".join(parts), ""


def merged(layers: Iterable[Scan]) -> Tree:
    """Give what layers come to, the lowest first."""
    tree: dict[str, tuple[int, Item]] = {}
    for number, layer in enumerate(layers):
        if layer.hidden or layer.opaque:
            tree = _without(tree, set(layer.hidden), set(layer.opaque))
        replaced = {
            path
            for path, item in layer.items.items()
            if item.kind != FOLDER and path in tree and tree[path][1].kind == FOLDER
        }
        if replaced:
            tree = _without(tree, replaced, set())
        tree.update((path, (number, item)) for path, item in layer.items.items())
    return tree


def _without(tree: Tree, hidden: set[str], opaque: set[str]) -> dict[str, tuple[int, Item]]:
    """Leave out hidden paths with what is below them, and what is below opaque folders."""
    covering = hidden | opaque
    everything = "" in opaque
    return {
        path: held
        for path, held in tree.items()
        if not everything and path not in hidden and covering.isdisjoint(parents(path))
    }


def resolved(tree: Tree, path: str) -> Item:
    """Give a path's item, and for a hard link the file that it leads to, if that is there."""
    item = tree[path][1]
    if item.kind == HARD_LINK and (there := tree.get(item.target)) and there[1].kind == FILE:
        return there[1]
    return item


def misplaced(tree: Tree) -> Iterator[str]:
    """Give the paths that lie below something that is no folder: written, they land wherever that link points."""
    for path in tree:
        if any(above in tree and tree[above][1].kind != FOLDER for above in parents(path)):
            yield path


def parents(path: str) -> Iterator[str]:
    """Give the folders that a path lies in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
