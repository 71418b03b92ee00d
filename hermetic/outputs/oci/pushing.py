"""The work of a push: blobs to a registry, side by side, then manifests and tags."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hermetic.digest import key
from hermetic.errors import IntegrityError, MachineError, NetworkError
from hermetic.events import Reporter, task
from hermetic.outputs.oci.model import BaseImage, Blob, Descriptor, Image
from hermetic.outputs.oci.reference import Reference, parse_reference
from hermetic.outputs.oci.registry import Registry
from hermetic.outputs.oci.registry_uploads import Target, Upload
from hermetic.store.partial import sweep_partials
from hermetic.store.threads import side_by_side
from hermetic.store.uploads import FOLDER

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.outputs.oci.credentials import Login
    from hermetic.store import Store


def present_blobs(
    digests: Iterable[str], reference: str, *, store: Store, config: Config, login: Login | None = None, jobs: int = 8
) -> frozenset[str]:
    """Give those digests that need not be sent: the repository has them, or can mount them from where we sent them.

    Raises CredentialsError, NetworkError.
    """
    target = parse_reference(reference, config.registries)
    registry = Registry(target.registry, config, login=login)
    found: set[str] = set()

    def look(digest: str) -> None:
        url = registry.url(target.repository, "blobs", digest)
        there = registry.persist(
            f"{target.name}@{digest}", lambda: registry.head(url, scopes=(registry.scope(target.repository),))
        )
        if there or store.get_result(memo_key(registry, digest)):
            found.add(digest)

    side_by_side(look, sorted(set(digests)), jobs, threading.Event())
    return frozenset(found)


def memo_key(registry: Registry, digest: str) -> str:
    """Give the key under which the store remembers which repository of a registry got a blob from us."""
    address = registry.address
    return key("pushed/1", {"registry": address.url, "prefix": address.prefix, "digest": digest})


@dataclass(frozen=True)
class Item:
    """One blob that the registry must have, and the base that it is of."""

    digest: str
    size: int
    blob: Blob | None = None
    base: BaseImage | None = None
    descriptor: Descriptor | None = None


class Push:
    """One push: its registry, and what it counted (``counts``: bytes sent; blobs uploaded, mounted, present)."""

    def __init__(
        self,
        reference: Reference,
        store: Store,
        config: Config,
        reporter: Reporter,
        *,
        login: Login | None,
        sources: Sequence[str],
        jobs: int,
        chunk: int,
    ) -> None:
        kept = "what was sent is kept: run the same command again"
        self._registry = registry = Registry(reference.registry, config, login=login, kept=kept)
        self._reference = reference
        self._store = store
        self._reporter = reporter
        self._sources = tuple(sources)
        self._jobs = jobs
        self._guard = threading.Lock()
        self.counts = {"sent": 0, "uploaded": 0, "mounted": 0, "present": 0}
        self._target = Target(
            registry, reference.repository, store, threading.Event(), lambda size: self._count("sent", size), chunk
        )

    def digest_of(self, reference: Reference) -> str:
        """Give the digest that a reference leads to, or nothing."""
        found = self._registry.find_manifest(reference, push=True)
        return found.digest if found else ""

    def push_blobs(self, images: Sequence[Image]) -> None:
        """Bring all blobs of the images to the registry."""
        items: dict[str, Item] = {}
        for image in images:
            items[image.config.digest] = Item(image.config.digest, image.config.size, image.config)
            own = len(image.base.layers)
            for number, layer in enumerate(image.layers):
                base = image.base if number < own else None
                entry = Item(layer.descriptor.digest, layer.descriptor.size, layer.blob, base, layer.descriptor)
                items.setdefault(entry.digest, entry)
        largest_first = sorted(items.values(), key=lambda item: (-item.size, item.digest))
        with suppress(OSError):  # a store that we may only read, or a full disk: pushing needs neither
            sweep_partials(self._store.root / FOLDER)
        total = sum(item.size for item in largest_first)
        with task(self._reporter, "push", f"pushing {self._reference}", total, "bytes"):
            side_by_side(self._push_blob, largest_first, self._jobs, self._target.stop)

    def put_manifest(self, blob: Blob, media_type: str, name: str) -> None:
        """Put a manifest or index under a tag or its digest."""
        data = blob.data or b"".join(self._store.blob_path(part).read_bytes() for part in blob.parts)
        url = self._registry.url(self._reference.repository, "manifests", name)
        what = f"{self._reference.name}{'@' if ':' in name else ':'}{name}"
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}

        def once() -> str:
            self._count("sent", len(data))
            with self._registry.ask(
                "PUT", url, headers, scopes=self._target.scopes(), body=lambda: (data,)
            ) as response:
                if response.status not in {201, 202}:
                    raise self._registry.unexpected(response, what)
                return response.headers.get("Docker-Content-Digest", "")

        kept = self._registry.persist(what, once)
        if kept not in {"", blob.digest}:
            raise IntegrityError(
                f"{what}: the registry kept something else ({kept} instead of {blob.digest})",
                remedy="something between here and the registry changes what is sent: tell the registry's keeper",
            )

    def check_tag(self, reference: Reference, digest: str) -> None:
        """Read a tag back. Another may have moved it meanwhile, which is theirs to do; ours stands by its digest."""
        found = self.digest_of(reference)
        if found == digest:
            return
        if self.digest_of(reference.with_digest(digest)) != digest:
            raise NetworkError(
                f"{reference}: the registry did not keep what was pushed", remedy="push again, or ask its keeper"
            )
        self._reporter.warn(
            f"{reference} leads to {found or 'nothing'} now: somebody else moved the tag meanwhile; "
            f"what was pushed is {reference.with_digest(digest)}"
        )

    def _push_blob(self, item: Item) -> None:
        if self._target.has(item.digest, item.size):
            self._target.over(item.digest)
            self._count("present")
            self._reporter.advance("push", item.size)
            return
        mounted, location = self._target.mount(item.digest, self._neighbours(item))
        if mounted:
            self._target.over(item.digest)
            self._count("mounted")
            self._reporter.advance("push", item.size)
        else:
            what = f"{self._reference.repository}@{item.digest[:19]}"
            Upload(
                self._target, self._blob_of(item), what, lambda size: self._reporter.advance("push", size), location
            ).run()
            self._count("uploaded")
        with suppress(MachineError):
            self._store.put_result(memo_key(self._registry, item.digest), {"repository": self._reference.repository})

    def _neighbours(self, item: Item) -> list[str]:
        """Give the repositories of this registry that should have a blob: its base's, and where we sent it last."""
        last = self._store.get_result(memo_key(self._registry, item.digest)) or {}
        found = [last["repository"]] if isinstance(last.get("repository"), str) else []
        registry, _, repository = (item.base.repository if item.base else "").partition("/")
        if repository and registry == self._reference.registry:
            found.append(repository)
        return list(dict.fromkeys([*found, *self._sources]))

    def _blob_of(self, item: Item) -> Blob:
        if item.blob is not None:
            return item.blob
        if item.base is None or item.base.origin is None or item.descriptor is None:
            raise IntegrityError(
                f"nothing is known of where the layer {item.digest} is", remedy="build the image again, then push it"
            )
        return item.base.origin.obtain(item.descriptor, self._store)

    def _count(self, name: str, amount: int = 1) -> None:
        with self._guard:
            self.counts[name] += amount
