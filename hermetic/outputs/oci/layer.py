"""Layers: members of the store, one after the other, and one that closes the archive. Nothing is compressed twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hermetic.digest import CHUNK
from hermetic.errors import IntegrityError
from hermetic.outputs.oci.compression import MEDIA_TYPES, archive_form, closing, expanded
from hermetic.outputs.oci.members import LayerHash, Member, MemberWriter
from hermetic.outputs.oci.model import Blob, Descriptor, Layer
from hermetic.outputs.oci.options import ImageOptions
from hermetic.plan.files import FOLDER, FileEntry
from hermetic.plan.image_keys import layer_key

if TYPE_CHECKING:
    from hermetic.store import Store


@dataclass(frozen=True)
class Fragment:
    """What one package puts into a layer: a member of the store (see ``Member``), and the folders that it needs.

    ``listing`` is the digest of the list of its entries, relative to the prefix.
    """

    blob: str
    size: int
    tar_size: int
    folders: tuple[str, ...]
    listing: str = ""


@dataclass(frozen=True)
class _Joint:
    """What is known of a layer: its digests, and the member with all of its folders, which is its first."""

    digest: str
    diff_id: str
    above: str
    above_size: int


class LayerWriter:
    """A layer whose fragments are all written now: its digests are known at the end of it, and nothing is read again.

    Its folders come first, apart from its files: an archive may name a path only once for the Docker Engine, and
    packages share folders.
    """

    def __init__(self, store: Store, folders: Iterable[str], options: ImageOptions) -> None:
        self.hash = LayerHash(options.compression)
        self._store, self._options = store, options
        self._above = _write_folders(store, folders, options, self.hash)

    def finish(self, fragments: Sequence[Fragment]) -> None:
        """Let the store remember the layer of the fragments that were written."""
        digest, diff_id = self.hash.close()
        joint = _Joint(digest, diff_id, self._above.blob, self._above.size)
        self._store.put_result(_key(fragments, self._options), vars(joint))


def find_fragment(store: Store, key: str) -> Fragment | None:
    """Give a fragment that the store remembers and has, or None."""
    result = store.get_result(key)
    if result is None:
        return None
    try:
        fragment = Fragment(**{**result, "folders": tuple(result["folders"])})
        return fragment if store.has_blob(fragment.blob) else None
    except (KeyError, TypeError):
        return None


def make_layer(store: Store, name: str, fragments: Sequence[Fragment], options: ImageOptions) -> Layer:
    """Give the layer of some fragments: one that is not remembered is read once, and then it is."""
    joint = _find_joint(store, fragments, options) or _join(store, fragments, options)
    end = closing(options.compression)
    size = joint.above_size + sum(fragment.size for fragment in fragments) + len(end)
    parts = (joint.above, *(fragment.blob for fragment in fragments), store.put_bytes(end))
    descriptor = Descriptor(MEDIA_TYPES[options.compression], f"sha256:{joint.digest}", size)
    return Layer(descriptor, f"sha256:{joint.diff_id}", Blob(descriptor.digest, size, parts), name)


def layer_to_dict(layer: Layer) -> dict[str, Any]:
    """Give a layer of ours as JSON values."""
    descriptor = layer.descriptor
    return {
        "name": layer.name,
        "media_type": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
        "diff_id": layer.diff_id,
        "parts": list(layer.blob.parts if layer.blob else ()),
    }


def layer_from_dict(values: Mapping[str, Any]) -> Layer:
    """Read what ``layer_to_dict`` gives."""
    descriptor = Descriptor(values["media_type"], values["digest"], values["size"])
    blob = Blob(descriptor.digest, descriptor.size, tuple(values["parts"]))
    return Layer(descriptor, values["diff_id"], blob, values["name"])


def _key(fragments: Sequence[Fragment], options: ImageOptions) -> str:
    return layer_key([fragment.blob for fragment in fragments], folders=_folders(fragments), form=archive_form(options))


def _folders(fragments: Sequence[Fragment]) -> list[str]:
    return sorted({folder for fragment in fragments for folder in fragment.folders})


def _find_joint(store: Store, fragments: Sequence[Fragment], options: ImageOptions) -> _Joint | None:
    found = store.get_result(_key(fragments, options))
    try:
        joint = _Joint(**found) if found else None
    except TypeError:
        return None
    return joint if joint and store.has_blob(joint.above) else None


def _join(store: Store, fragments: Sequence[Fragment], options: ImageOptions) -> _Joint:
    """Read a layer's fragments for its digests. Raises IntegrityError for some that are damaged."""
    layer = LayerWriter(store, _folders(fragments), options)
    size = 0

    def read() -> Iterator[bytes]:
        for fragment in fragments:
            with store.blob_path(fragment.blob).open("rb", buffering=0) as file:
                while piece := file.read(CHUNK):
                    layer.hash.packed.update(piece)
                    yield piece

    for piece in expanded(options.compression, read()):
        layer.hash.content.update(piece)
        size += len(piece)
    if size != sum(fragment.tar_size for fragment in fragments):
        raise IntegrityError(
            f"fragments of {len(fragments)} packages have not the size that they were made with",
            remedy="check the store with 'hermetic store verify', then build again",
        )
    layer.finish(fragments)
    joint = _find_joint(store, fragments, options)
    assert joint
    return joint


def _write_folders(store: Store, paths: Iterable[str], options: ImageOptions, layer: LayerHash) -> Member:
    with MemberWriter(store, options.compression, options.level, options.time, layer=layer) as writer:
        for path in paths:
            writer.begin(FileEntry(path, FOLDER), path)
        return writer.finish()
