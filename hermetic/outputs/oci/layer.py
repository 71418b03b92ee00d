"""Layers: members of the store, one after the other, and one that closes the archive. Nothing is compressed twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hermetic.digest import CHUNK
from hermetic.errors import IntegrityError
from hermetic.outputs.oci.compression import MEDIA_TYPES, closing, expanded
from hermetic.outputs.oci.model import Blob, Descriptor, Layer
from hermetic.outputs.oci.tar import END
from hermetic.plan.image_keys import layer_key

if TYPE_CHECKING:
    from hermetic.store import Store


@dataclass(frozen=True)
class Fragment:
    """A member as the store remembers it (see ``Member``), and the digest of the list of its entries."""

    blob: str
    size: int
    tar_size: int
    layer_digest: str
    diff_id: str
    listing: str = ""


def find_fragment(store: Store, key: str) -> Fragment | None:
    """Give a fragment that the store remembers and has, or None."""
    result = store.get_result(key)
    if result is None:
        return None
    try:
        fragment = Fragment(**result)
        return fragment if store.has_blob(fragment.blob) else None
    except TypeError:
        return None


def make_layer(store: Store, name: str, fragments: Sequence[Fragment], compression: str) -> Layer:
    """Give the layer of some fragments. One that is alone costs nothing; others are read once, and never again."""
    if len(fragments) == 1:
        digest, diff_id = fragments[0].layer_digest, fragments[0].diff_id
    else:
        digest, diff_id = _digests(store, fragments, compression)
    end = closing(compression)
    size = sum(fragment.size for fragment in fragments) + len(end)
    parts = (*(fragment.blob for fragment in fragments), store.put_bytes(end))
    descriptor = Descriptor(MEDIA_TYPES[compression], f"sha256:{digest}", size)
    return Layer(descriptor, f"sha256:{diff_id}", Blob(descriptor.digest, size, parts), name)


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


def _digests(store: Store, fragments: Sequence[Fragment], compression: str) -> tuple[str, str]:
    key = layer_key([fragment.blob for fragment in fragments], compression)
    if found := store.get_result(key):
        return found["digest"], found["diff_id"]
    packed, content, size = hashlib.sha256(), hashlib.sha256(), 0

    def read() -> Iterator[bytes]:
        for fragment in fragments:
            with store.blob_path(fragment.blob).open("rb", buffering=0) as file:
                while piece := file.read(CHUNK):
                    packed.update(piece)
                    yield piece

    for piece in expanded(compression, read()):
        content.update(piece)
        size += len(piece)
    if size != sum(fragment.tar_size for fragment in fragments):
        raise IntegrityError(
            f"fragments of {len(fragments)} packages have not the size that they were made with",
            remedy="check the store with 'hermetic store verify', then build again",
        )
    packed.update(closing(compression))
    content.update(END)
    digests = {"digest": packed.hexdigest(), "diff_id": content.hexdigest()}
    store.put_result(key, digests)
    return digests["digest"], digests["diff_id"]
