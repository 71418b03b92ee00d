"""Find images where they are: a layout's folder, a Docker Engine, a registry."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from hermetic.errors import IntegrityError, MachineError, NetworkError, UsageError
from hermetic.lock.model import Base
from hermetic.outputs.oci.blobs import open_blob
from hermetic.outputs.oci.layout import VERSION_FILE, read_layout
from hermetic.outputs.oci.model import BaseImage
from hermetic.outputs.oci.reading import FoundImage, FoundLayer, Joined, conda_platform
from hermetic.store.tarball import BUFFER, FILE, Stream, members

if TYPE_CHECKING:
    from docker import DockerClient

    from hermetic.config import Config
    from hermetic.events import Reporter
    from hermetic.store import Store

LAYOUT, ENGINE, REGISTRY = "layout:", "engine:", "registry:"
"""How a name tells where its image is. Without one: a folder that is a layout, else the engine, else the registry."""


def names_image(text: str) -> bool:
    """Tell whether a text names an image rather than an environment, a lockfile or a prefix."""
    if text.startswith((LAYOUT, ENGINE, REGISTRY)):
        return True
    if Path(text).exists():
        return (Path(text) / VERSION_FILE).is_file()
    return "/" in text or ":" in text or "@" in text


def find_images(
    text: str, *, store: Store, config: Config, reporter: Reporter, offline: bool = False
) -> tuple[FoundImage, ...]:
    """Find the images, one for each platform, that a text names. Nothing of them but JSON is read yet.

    Raises UsageError for a text that names none, MachineError (no engine), NetworkError, IntegrityError.
    """
    kind = next((kind for kind in (LAYOUT, ENGINE, REGISTRY) if text.startswith(kind)), "")
    name = text.removeprefix(kind)
    if not name:
        raise UsageError(f"{text!r} names no image", remedy=f"use {LAYOUT}FOLDER, {ENGINE}TAG or {REGISTRY}REFERENCE")
    if kind == LAYOUT or (not kind and (Path(name) / VERSION_FILE).is_file()):
        folder, colon, reference = name.rpartition(":")
        if Path(name).exists() or not colon:
            folder, reference = name, ""
        return read_layout(Path(folder), reference)
    if kind == ENGINE:
        return (engine_image(name),)
    if not kind and (found := _in_engine(name)):
        return (found,)
    try:
        return registry_images(name, store=store, config=config, reporter=reporter, offline=offline)
    except NetworkError as error:
        if kind:
            raise
        raise type(error)(
            f"the Docker Engine here has no {name}, and its registry did not give it: {error.message}",
            remedy=error.remedy,
        ) from error


def _in_engine(name: str) -> FoundImage | None:
    try:
        return engine_image(name)
    except (MachineError, UsageError):  # no engine, or it does not have the image: then the registry is asked
        return None


def engine_image(name: str, client: DockerClient | None = None) -> FoundImage:
    """Find an image in the Docker Engine, by its tag or ID. Raises UsageError if it is not there, MachineError."""
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException

    from hermetic.outputs.oci.engine import connect, refuse

    client = client or connect()
    try:
        about: dict[str, Any] = client.images.get(name).attrs
    except ImageNotFound:
        raise UsageError(
            f"the Docker Engine has no image {name}", remedy="load it with 'hermetic build --image NAME --load'"
        ) from None
    except (DockerException, RequestException) as error:
        refuse(error)
    diff_ids = about.get("RootFS", {}).get("Layers") or []
    config = {
        "architecture": about.get("Architecture", ""),
        "os": about.get("Os", ""),
        "config": about.get("Config") or {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    layers = tuple(FoundLayer(str(diff_id)) for diff_id in diff_ids)
    label = f"{name} in the Docker Engine"
    return FoundImage(label, conda_platform(config), str(about["Id"]), config, layers, _Saved(client, str(about["Id"])))


@dataclass(frozen=True)
class _Saved:
    """The layers of an image as the engine writes them out: in one stream, in an order of its own."""

    client: DockerClient
    image: str

    def __call__(self, _: Collection[int]) -> Iterator[tuple[None, BinaryIO]]:
        api: Any = self.client.api
        label = "what the engine writes"
        stream = Stream(_Pieces(lambda: api.get_image(self.image)), label)
        for member in members(stream, label):
            if member.kind != FILE:
                continue
            inner = _Member(stream, member.size)
            # ID/layer.tar: Docker up to 24; DIFF-ID.tar: Podman; blobs/sha256/DIGEST: Docker since
            if member.name.endswith(".tar") or member.name.startswith("blobs/"):
                start = inner.read(1)
                if start != b"{":  # a manifest or a configuration
                    yield None, _buffered(start, inner)
            inner.skip()


def _buffered(start: bytes, stream: IO[bytes] | io.RawIOBase) -> BinaryIO:
    return io.BufferedReader(Joined(start, stream), BUFFER)  # type: ignore[arg-type]


class _Pieces(io.RawIOBase):
    """What the engine answers, as a stream; asked for when it is read. Raises IntegrityError if it breaks off."""

    def __init__(self, ask: Callable[[], Iterator[bytes]]) -> None:
        self._ask = ask
        self._pieces: Iterator[bytes] | None = None
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(self._next())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _next(self) -> bytes:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            self._pieces = self._pieces or self._ask()
            return next(self._pieces, b"")
        except (DockerException, RequestException) as error:
            raise IntegrityError(
                f"the Docker Engine cannot write the image out: {error}",
                remedy="its own copy may be damaged: remove the image and load it again",
            ) from None


class _Member(io.RawIOBase):
    """A file within a tar, as a stream."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        for piece in self._stream.pieces(min(len(buffer), self._left)):
            buffer[: len(piece)] = piece
            self._left -= len(piece)
            return len(piece)
        return 0

    def skip(self) -> None:
        self._stream.skip(self._left)
        self._left = 0


def registry_images(
    reference: str, *, store: Store, config: Config, reporter: Reporter, offline: bool = False
) -> tuple[FoundImage, ...]:
    """Find the images, one for each platform, that a reference leads to in its registry.

    Layers come into the store, checked, when they are read. Raises NetworkError, IntegrityError, UsageError.
    """
    from hermetic.outputs.oci.pull import pull_base, resolve

    led = resolve(reference, config=config, offline=offline)
    found = []
    for platform, manifest in sorted(led.manifests.items()):
        pinned = Base(reference, led.digest, manifest.digest)
        image = pull_base(pinned, platform, store=store, config=config, offline=offline, reporter=reporter)
        layers = tuple(FoundLayer(layer.diff_id, layer.descriptor) for layer in image.layers)
        streams = _Pulled(image, store)
        found.append(FoundImage(reference, platform, manifest.digest, image.config, layers, streams))
    if not found:
        raise UsageError(f"{reference} holds no image for a platform that hermetic knows")
    return tuple(found)


@dataclass(frozen=True)
class _Pulled:
    """The layers of an image in a registry. One whose bytes are not what its digest says comes as an empty stream."""

    image: BaseImage
    store: Store

    def __call__(self, wanted: Collection[int]) -> Iterator[tuple[int, BinaryIO]]:
        for number, layer in enumerate(self.image.layers):
            if number not in wanted:
                continue
            try:
                assert self.image.origin
                blob = layer.blob or self.image.origin.obtain(layer.descriptor, self.store)
            except IntegrityError:
                yield number, BytesIO()
                continue
            with open_blob(self.store, blob) as stream:
                yield number, stream
