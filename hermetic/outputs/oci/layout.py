"""OCI image layouts: images as a folder (image-layout.md), written whole or not at all, and read with a check.

::

    oci-layout                 the format's version
    index.json                 the one entry: a manifest, or the index of several platforms
    blobs/sha256/DIGEST        manifests, configurations and layers

The folder is a function of the images: the same files with the same bytes, modes and times wherever it is written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hermetic.digest import canonical_json, sha256_bytes, sha256_file
from hermetic.errors import HermeticError, IntegrityError, MachineError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.outputs.oci.model import CONFIG, DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Blob, Descriptor, Image
from hermetic.outputs.oci.reading import MAX_JSON, FoundImage, found_image, layer_blob, parse_json
from hermetic.outputs.oci.reference import parse_reference
from hermetic.outputs.prefix.swap import remove_leftovers, replace_folder, staging_for
from hermetic.realize.faults import machine_fault
from hermetic.store.guard import printable
from hermetic.store.intake import clone
from hermetic.store.link import copy_content

if TYPE_CHECKING:
    from hermetic.store import Store

VERSION_FILE, INDEX_FILE = "oci-layout", "index.json"
MTIME = 1
"""Modification time, in seconds, of everything in a layout. A blob that was edited has another one."""

_MARK = {"hermetic.layout": "1"}  # in index.json: tells our layouts, which we may replace, from others
_NAME = "org.opencontainers.image.ref.name"
_WHOLE_NAME = "io.containerd.image.name"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_DEPTH = 3
_ATTESTATION = "unknown/unknown"  # what BuildKit says of manifests that only tell about images
_VERSION = canonical_json({"imageLayoutVersion": "1.0.0"})


@dataclass(frozen=True)
class _Piece:
    """A blob of a layout: its size, and how to come by it."""

    size: int
    obtain: Callable[[], Blob]


def _itself(blob: Blob) -> Blob:
    return blob


@dataclass(frozen=True)
class Layout:
    """A layout that was written: the digest of its manifest or index, bytes written, and whether there were any."""

    folder: Path
    digest: str
    written: int
    changed: bool


def write_layout(
    images: Sequence[Image], folder: Path, *, store: Store, reporter: Reporter = SILENT, name: str = ""
) -> Layout:
    """Write images, one for each platform, as a layout; one of ours that is there is brought to this state.

    It appears in one step, and what an older one has already is not written again. ``name`` is what tools know it by
    within the folder: a word, or a whole reference, of which that is the tag.

    Raises UsageError for a folder with something else in it, IntegrityError, NetworkError (a layer of the base could
    not be had), MachineError.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  links are not followed
    top, blobs = _contents(images)
    index = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{**top.to_dict(), "annotations": _names(name)} if name else top.to_dict()],
            "annotations": _MARK,
        }
    )
    pieces = {
        layer.descriptor.digest: _Piece(layer.descriptor.size, partial(layer_blob, image, layer, store))
        for image in images
        for layer in image.layers
    } | {blob.digest: _Piece(blob.size, partial(_itself, blob)) for blob in blobs}
    _refuse_foreign(folder)
    if _stands(folder, index, pieces):
        with suppress(FileNotFoundError):  # a folder above may be gone, and then there are no leftovers either
            remove_leftovers(folder)
        return Layout(folder, top.digest, 0, changed=False)
    try:
        with staging_for(folder) as staging:
            written = _fill(staging, folder, pieces, store, reporter)
            _write(staging / VERSION_FILE, _VERSION)
            _write(staging / INDEX_FILE, index)
            for path in (staging / "blobs" / "sha256", staging / "blobs", staging):
                _settle(path, 0o755)
            _refuse_foreign(folder)
            replace_folder(staging, folder)
    except OSError as error:
        if fault := machine_fault(error, f"cannot write {folder}", (folder.parent,)):
            raise fault from error
        raise
    return Layout(folder, top.digest, written, changed=True)


def _contents(images: Sequence[Image]) -> tuple[Descriptor, list[Blob]]:
    """Give what index.json names, and all small blobs: manifests, configurations, and an index if there are several."""
    if not images:
        raise UsageError("there is no image to write")
    blobs = [blob for image in images for blob in (image.manifest, image.config)]
    if len(images) == 1:
        return images[0].descriptor, blobs
    from hermetic.outputs.oci.image import image_index

    index = image_index(images)
    return Descriptor(INDEX, index.digest, index.size), [*blobs, index]


def _names(name: str) -> dict[str, str]:
    if "/" not in name and ":" not in name:
        return {_NAME: name}
    reference = parse_reference(name)
    return {_NAME: reference.tag_or_latest or "latest", _WHOLE_NAME: name}


def _refuse_foreign(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is no folder", remedy="choose another place for the layout, or remove it yourself")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    ours = False
    with suppress(OSError, ValueError):
        found = json.loads((folder / INDEX_FILE).read_bytes())
        ours = isinstance(found, dict) and (found.get("annotations") or {}).items() >= _MARK.items()
    if not ours:
        raise UsageError(
            f"{folder} holds something that hermetic did not write",
            remedy="choose another place for the layout, or remove the folder yourself",
        )


def _stands(folder: Path, index: bytes, pieces: Mapping[str, _Piece]) -> bool:
    """Tell whether the folder is this layout already, and nobody touched a blob."""
    try:
        if (folder / INDEX_FILE).read_bytes() != index or (folder / VERSION_FILE).read_bytes() != _VERSION:
            return False
        return {item.name for item in os.scandir(folder / "blobs" / "sha256")} == {
            digest.removeprefix("sha256:") for digest in pieces
        } and all(_untouched(blob_path(folder, digest), piece.size) for digest, piece in pieces.items())
    except OSError:
        return False


def _untouched(path: Path, size: int) -> bool:
    status = path.lstat()
    return status.st_size == size and status.st_mtime_ns == MTIME * 10**9 and path.is_file()


def _fill(staging: Path, old: Path, pieces: Mapping[str, _Piece], store: Store, reporter: Reporter) -> int:
    """Put all blobs into a new layout: from the old one where it has them, else from the store. Gives bytes written."""
    (staging / "blobs" / "sha256").mkdir(parents=True)
    new = [
        digest
        for digest, piece in pieces.items()
        if not _keep(blob_path(old, digest), blob_path(staging, digest), piece.size)
    ]

    def make(digest: str) -> None:
        blob = pieces[digest].obtain()
        path = blob_path(staging, digest)
        if blob.parts:
            try:
                _concatenate([store.blob_path(part) for part in blob.parts], path)
            except FileNotFoundError as error:
                raise _store_damaged(digest) from error
        else:
            path.write_bytes(blob.data)
        if path.stat().st_size != blob.size or sha256_file(path) != digest.removeprefix("sha256:"):
            raise _store_damaged(digest)
        _settle(path, 0o644)
        reporter.advance("layout", blob.size)

    total = sum(pieces[digest].size for digest in new)
    with (
        task(reporter, "layout", "writing layout", total, "bytes"),
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
    ):
        list(pool.map(make, new))
    return total


def _store_damaged(digest: str) -> IntegrityError:
    return IntegrityError(
        f"a blob did not come out as {digest}: the store's copy of a part of it is damaged",
        remedy="check the store with 'hermetic store verify', then build again",
    )


def _keep(source: Path, target: Path, size: int) -> bool:
    """Take a blob over from the old layout, if it is there as we left it."""
    try:
        if not _untouched(source, size):
            return False
        target.hardlink_to(source)
        _settle(target, 0o644)
    except OSError:  # a disk without hard links: written again
        target.unlink(missing_ok=True)
        return False
    return True


def _concatenate(parts: Sequence[Path], target: Path) -> None:
    """Make a file of several: with shared blocks where the disk can, else by copies that stay in the kernel."""
    write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        for part in parts:
            read = os.open(part, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                if len(parts) > 1 or not clone(read, write):
                    copy_content(read, write)
            finally:
                os.close(read)
    finally:
        os.close(write)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    _settle(path, 0o644)


def _settle(path: Path, mode: int) -> None:
    path.chmod(mode)
    os.utime(path, ns=(MTIME * 10**9, MTIME * 10**9))


def blob_path(folder: Path, digest: str) -> Path:
    """Give where a layout has a blob."""
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def read_layout(folder: Path, name: str = "") -> tuple[FoundImage, ...]:
    """Find the images of a layout, whoever wrote it, sorted by platform; ``name`` chooses one of several references.

    Manifests, indexes and configurations are checked against the digests that lead to them; layers are when they
    are read (``check_layout``, ``verify``). Raises UsageError, IntegrityError, MachineError.
    """
    try:
        if not (folder / VERSION_FILE).is_file():
            raise UsageError(f"{folder} is no OCI image layout", remedy="name the folder that holds 'oci-layout'")
        version = parse_json((folder / VERSION_FILE).read_bytes(), f"{folder / VERSION_FILE}")
        if str(version.get("imageLayoutVersion", "")).split(".")[0] != "1":
            raise UsageError(f"{folder} is a layout of another version than 1", remedy="write it with another tool")
        top = parse_json(_limited(folder / INDEX_FILE), f"{folder / INDEX_FILE}")
        found = [
            found_image(
                f"{folder}",
                manifest,
                descriptor.digest,
                _read(folder, Descriptor.from_dict(manifest["config"])),
                _Streams(folder, manifest),
            )
            for descriptor, manifest in _manifests(folder, top, name, 0)
        ]
    except OSError as error:
        raise _fault(folder, error) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UsageError):
            raise
        raise IntegrityError(f"{folder}: the layout's manifests make no sense", remedy=_AGAIN) from None
    found = [image for image in found if image.platform != _ATTESTATION]
    if not found:
        raise UsageError(f"{folder} holds no image{f' named {name!r}' if name else ''}")
    platforms = [image.platform for image in found]
    if len(set(platforms)) < len(platforms):
        names = sorted({str(one.get("annotations", {}).get(_NAME, "")) for one in top["manifests"]} - {""})
        raise UsageError(
            f"{folder} holds several images for one platform",
            remedy=f"name one, as in layout:{folder}:NAME; there are: {', '.join(map(printable, names)) or 'no names'}",
        )
    return tuple(sorted(found, key=lambda image: image.platform))


def check_layout(folder: Path, name: str = "") -> tuple[FoundImage, ...]:
    """Read a layout, layers and all, and check every digest. Raises IntegrityError for the first that is wrong."""
    images = read_layout(folder, name)
    layers = {layer.descriptor.digest: layer.descriptor for i in images for layer in i.layers if layer.descriptor}
    for digest, descriptor in layers.items():
        try:
            path = blob_path(folder, digest)
            sound = path.stat().st_size == descriptor.size and path.is_file() and sha256_file(path) == descriptor.sha256
        except OSError as error:
            raise _fault(folder, error) from error
        if not sound:
            raise IntegrityError(f"{path} is not what its name says", remedy=_AGAIN)
    return images


_AGAIN = "the layout is damaged: remove the folder and write it again"


def _fault(folder: Path, error: OSError) -> HermeticError:
    if isinstance(error, HermeticError):
        return error
    if isinstance(error, FileNotFoundError):
        return IntegrityError(f"{error.filename or folder} is missing", remedy=_AGAIN)
    return MachineError(f"cannot read {folder}: {error.strerror}", remedy="check who may read the folder")


@dataclass(frozen=True)
class _Streams:
    """The layers of one image of a layout. A blob that is missing is given as an empty stream."""

    folder: Path
    manifest: Mapping[str, Any]

    def __call__(self, wanted: Collection[int]) -> Iterator[tuple[int, BinaryIO]]:
        for number, layer in enumerate(self.manifest["layers"]):
            if number not in wanted:
                continue
            path = blob_path(self.folder, _digest(layer["digest"]))
            if path.is_file():
                with path.open("rb") as file:
                    yield number, file
            else:
                yield number, BytesIO()


def _manifests(folder: Path, index: Mapping[str, Any], name: str, depth: int) -> Iterator[tuple[Descriptor, Any]]:
    """Give the image manifests that an index leads to, checked; other artefacts are passed over."""
    for value in index["manifests"]:
        descriptor = Descriptor.from_dict(value)
        if name and not depth and name not in {descriptor.annotations.get(key) for key in (_NAME, _WHOLE_NAME)}:
            continue
        if descriptor.media_type not in {INDEX, DOCKER_INDEX, MANIFEST, DOCKER_MANIFEST}:
            continue
        content = parse_json(_read(folder, descriptor), descriptor.digest)
        if descriptor.media_type in {INDEX, DOCKER_INDEX}:
            if depth > _DEPTH:
                raise IntegrityError(f"{folder}: its indexes are nested too deep", remedy=_AGAIN)
            yield from _manifests(folder, content, name, depth + 1)
        elif content.get("config", {}).get("mediaType") in {CONFIG, DOCKER_CONFIG}:
            yield descriptor, content


def _read(folder: Path, descriptor: Descriptor) -> bytes:
    path = blob_path(folder, _digest(descriptor.digest))
    data = _limited(path)
    if len(data) != descriptor.size or f"sha256:{sha256_bytes(data)}" != descriptor.digest:
        raise IntegrityError(f"{path} is not what its name says", remedy=_AGAIN)
    return data


def _limited(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would keep us waiting for ever
        raise IntegrityError(f"{path} is no file", remedy=_AGAIN)
    with path.open("rb") as file:
        data = file.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        raise IntegrityError(f"{path} is too long for what it should be", remedy=_AGAIN)
    return data


def _digest(digest: str) -> str:
    """Give a digest back if it is one: it becomes the name of a file."""
    if not _SHA256.fullmatch(digest):
        raise IntegrityError(f"{digest!r} is no sha256 digest", remedy=_AGAIN)
    return digest
