"""Images to push, and a reporter that remembers."""

from __future__ import annotations

import random
import threading

from support.small_images import file, image, layer, tar

from hermetic.config import Config
from hermetic.events import Silent
from hermetic.outputs.oci.model import Image
from hermetic.outputs.oci.push import PushResult, push
from hermetic.store import Store

CHUNK = 100_000


class Told(Silent):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.total: int | None = None
        self.done = 0
        self.guard = threading.Lock()

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        if task == "push":
            assert unit == "bytes"
            self.total = total

    def advance(self, task: str, amount: int = 1) -> None:
        with self.guard:
            self.done += amount if task == "push" else 0

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def made(store: Store, *sizes: int, seed: int = 1, platform: str = "linux-64") -> Image:
    """An image whose layers hold so many bytes that no compressor makes fewer."""
    bytes_of = random.Random(seed).randbytes
    layers = [layer(store, tar([file(f"opt/{n}", bytes_of(size))]), f"l{n}") for n, size in enumerate(sizes)]
    return image(layers, platform=platform)


def send(store: Store, host: str, *images: Image, name: str = "team/app:1", **more: object) -> PushResult:
    """Push images in small pieces."""
    return push(images, f"{host}/{name}", store=store, chunk=CHUNK, **{"config": Config(), **more})  # type: ignore[arg-type]


def size_of(*images: Image) -> int:
    """How many bytes the blobs and manifests of images have, each counted once."""
    blobs = {b.digest: b.size for i in images for b in (i.config, *(x.blob for x in i.layers if x.blob))}
    return sum(blobs.values()) + sum(i.manifest.size for i in images)
