"""Images as they are found: in a layout, a registry or an engine, their layers as streams.

Nothing in a found image is believed: a manifest and a configuration have the digest that led to them, and of a layer
only what its stream hashes to counts.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.model import Blob, Descriptor, Image, Layer

if TYPE_CHECKING:
    from hermetic.store import Store

CHUNK = 1 << 20
MAX_JSON = 16 << 20
"""Longest manifest, index or configuration that is read, in bytes; registries stop at 4 MiB."""

Streams = Callable[[Collection[int]], Iterator[tuple[int | None, BinaryIO]]]
"""Gives the bytes of the layers with these numbers (others may come too), each with its number, or None where only
its diff ID tells; in the order in which the source has them. Each is read before the next."""


@dataclass(frozen=True)
class FoundLayer:
    """A layer as an image tells of it. ``descriptor`` is None where layers are kept unpacked, as engines do."""

    diff_id: str
    descriptor: Descriptor | None = None


@dataclass(frozen=True)
class FoundImage:
    """An image of one platform as it was found: ``label`` is its name for people, ``digest`` its manifest's or ID."""

    label: str
    platform: str
    digest: str
    config: Mapping[str, Any]
    layers: tuple[FoundLayer, ...]
    streams: Streams = field(compare=False, repr=False, default=lambda _: iter(()))


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object out of an image. Raises IntegrityError for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise IntegrityError(f"{what} is no JSON object", remedy="the image is damaged: build or copy it again")
    return found


def found_image(
    label: str, manifest: Mapping[str, Any] | None, digest: str, config: bytes, streams: Streams
) -> FoundImage:
    """Make sense of a manifest (None: there is none) and a configuration. Raises IntegrityError."""
    about = parse_json(config, f"{label}: the configuration")
    try:
        diff_ids = [_text(d) for d in about.get("rootfs", {}).get("diff_ids") or []]
        layers = [FoundLayer(diff_id) for diff_id in diff_ids]
        if manifest is not None:
            descriptors = [Descriptor.from_dict(layer) for layer in manifest["layers"]]
            layers = [FoundLayer(d, found) for d, found in zip(diff_ids, descriptors, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(
            f"{label}: manifest and configuration do not name the same layers",
            remedy="the image is damaged, or of a kind that holds no file system",
        ) from None
    return FoundImage(label, conda_platform(about), digest, about, tuple(layers), streams)


def conda_platform(config: Mapping[str, Any]) -> str:
    """Give the platform of a configuration or a descriptor as conda names it, else as ``OS/ARCHITECTURE``."""
    from hermetic.outputs.oci.model import oci_platform
    from hermetic.platforms import PLATFORMS

    named = {key: str(config.get(key, "")) for key in ("architecture", "os")}
    for platform in PLATFORMS:
        try:
            if oci_platform(platform) == named:
                return platform
        except KeyError:
            continue
    return f"{named['os']}/{named['architecture']}"


def layer_blob(image: Image, layer: Layer, store: Store) -> Blob:
    """Give a layer's bytes, brought into the store first if only the base's origin has them."""
    if layer.blob is not None:
        return layer.blob
    if image.base.origin is None:
        raise IntegrityError(f"nobody has the base's layer {layer.descriptor.digest}", remedy="pin the base again")
    return image.base.origin.obtain(layer.descriptor, store)


@contextmanager
def unpacked(stream: IO[bytes]) -> Iterator[BinaryIO]:
    """Give the tar inside a layer's bytes, whatever they are packed with: gzip (of several members too), zstd, nothing.

    What a media type says is not believed. Reading raises IntegrityError for damaged bytes.
    """
    start = stream.read(4)
    whole = Joined(start, stream)
    if start.startswith(b"\x1f\x8b"):
        yield io.BufferedReader(_Gunzip(whole), CHUNK)
    elif start == b"\x28\xb5\x2f\xfd":
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(whole, read_across_frames=True) as reader:  # type: ignore[arg-type]
            yield io.BufferedReader(_Checked(reader), CHUNK)
    else:
        yield io.BufferedReader(whole, CHUNK)


class Joined(io.RawIOBase):
    """Some bytes and then a stream, as one stream."""

    def __init__(self, start: bytes, stream: IO[bytes]) -> None:
        self._start, self._stream = start, stream

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        data = self._start[: len(buffer)] or self._stream.read(len(buffer))
        self._start = self._start[len(data) :]
        buffer[: len(data)] = data
        return len(data)


class _Checked(io.RawIOBase):
    """A zstd stream whose faults are IntegrityErrors."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        import zstandard

        try:
            data = self._stream.read(len(buffer))
        except zstandard.ZstdError as error:
            raise damaged(f"no sound zstd: {error}") from None
        buffer[: len(data)] = data
        return len(data)


class _Gunzip(io.RawIOBase):
    """What gzip members, one after the other, hold; a buffer's worth at a time, so that no bomb fills the memory."""

    def __init__(self, stream: io.RawIOBase) -> None:
        self._stream = stream
        self._input = b""
        self._member: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if not self._input:
                self._input = self._stream.read(CHUNK >> 2) or b""
            if self._member is None:
                if not self._input:
                    return 0
                self._member = _decompressor()
            try:
                data = self._member.decompress(self._input, len(buffer))
            except Exception as error:  # noqa: BLE001  zlib's or isal's own
                raise damaged(f"no sound gzip: {error}") from None
            ended = not self._input
            self._input = self._member.unconsumed_tail
            if self._member.eof:
                self._input = self._member.unused_data
                self._member = None
            elif ended and not data:
                raise damaged("its gzip ends too soon")
            if data:
                buffer[: len(data)] = data
                return len(data)


def _decompressor() -> Any:
    """Give a decompressor of one gzip member: the fast one where it is."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj(wbits=31)
    return isal_zlib.decompressobj(wbits=31)


def damaged(why: str) -> IntegrityError:
    """Give the error of a layer whose bytes make no sense."""
    return IntegrityError(f"the layer is damaged: {why}", remedy="build or copy the image again")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
