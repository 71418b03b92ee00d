"""Layers: members of the store, one after the other, and one that closes the archive. Nothing is compressed twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hermetic.digest import CHUNK
from hermetic.errors import IntegrityError
from hermetic.outputs.oci.compression import MEDIA_TYPES, closing, expanded
from hermetic.outputs.oci.members import write_folders
from hermetic.outputs.oci.model import Blob, Descriptor, Layer
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.oci.tar import END
from hermetic.plan.image_keys import layer_key

if TYPE_CHECKING:
    from hermetic.store import Store


@dataclass(frozen=True)
class Fragment:
    """What one package puts into a layer, as two members of the store (see ``Member``): folders, and the rest.

    ``blob``, ``size`` and ``tar_size`` are of the second, ``above`` and ``above_size`` of the first, whose paths
    ``folders`` are; ``layer_digest`` and ``diff_id`` of a layer of nothing else. ``listing`` is the digest of the list
    of its entries.
    """

    blob: str
    size: int
    tar_size: int
    layer_digest: str
    diff_id: str
    folders: tuple[str, ...]
    above: str
    above_size: int
    listing: str = ""


def find_fragment(store: Store, key: str) -> Fragment | None:
    """Give a fragment that the store remembers and has, or None."""
    result = store.get_result(key)
    if result is None:
        return None
    try:
        fragment = Fragment(**{**result, "folders": tuple(result["folders"])})
        return fragment if store.has_blob(fragment.blob) and store.has_blob(fragment.above) else None
    except (KeyError, TypeError):
        return None


def make_layer(store: Store, name: str, fragments: Sequence[Fragment], options: ImageOptions) -> Layer:
    """Give the layer of some fragments. One that is alone costs nothing; others are read once, and never again."""
    if len(fragments) == 1:
        only = fragments[0]
        joint = _Joint(only.layer_digest, only.diff_id, only.above, only.above_size)
    else:
        joint = _joined(store, fragments, options)
    end = closing(options.compression)
    size = joint.above_size + sum(fragment.size for fragment in fragments) + len(end)
    parts = (joint.above, *(fragment.blob for fragment in fragments), store.put_bytes(end))
    descriptor = Descriptor(MEDIA_TYPES[options.compression], f"sha256:{joint.digest}", size)
    return Layer(descriptor, f"sha256:{joint.diff_id}", Blob(descriptor.digest, size, parts), name)


@dataclass(frozen=True)
class _Joint:
    """What is known of a layer: its digests, and the member with all of its folders."""

    digest: str
    diff_id: str
    above: str
    above_size: int


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


def _joined(store: Store, fragments: Sequence[Fragment], options: ImageOptions) -> _Joint:
    key = layer_key([(fragment.above, fragment.blob) for fragment in fragments], options.compression)
    if (found := store.get_result(key)) and store.has_blob(found["above"]):
        return _Joint(**found)
    folders = sorted({folder for fragment in fragments for folder in fragment.folders})
    above = write_folders(store, folders, options.compression, options.level, options.time)
    packed, content, size = hashlib.sha256(), hashlib.sha256(), 0

    def read() -> Iterator[bytes]:
        for blob in (above.blob, *(fragment.blob for fragment in fragments)):
            with store.blob_path(blob).open("rb", buffering=0) as file:
                while piece := file.read(CHUNK):
                    packed.update(piece)
                    yield piece

    for piece in expanded(options.compression, read()):
        content.update(piece)
        size += len(piece)
    if size != above.tar_size + sum(fragment.tar_size for fragment in fragments):
        raise IntegrityError(
            f"fragments of {len(fragments)} packages have not the size that they were made with",
            remedy="check the store with 'hermetic store verify', then build again",
        )
    packed.update(closing(options.compression))
    content.update(END)
    joint = _Joint(packed.hexdigest(), content.hexdigest(), above.blob, above.size)
    store.put_result(key, vars(joint))
    return joint
