"""Images into a registry: asked first, mounted where a neighbour has it, sent side by side, the tag last.

Nothing changed costs one HEAD. A blob that is there is never sent again, so a second try goes on where the first
stopped. Manifests go after all their blobs, an index after its manifests, and only then does a tag move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hermetic.errors import OfflineError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.outputs.oci.model import INDEX, MANIFEST, Blob, Image
from hermetic.outputs.oci.presence import glance
from hermetic.outputs.oci.reference import parse_reference

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.outputs.oci.credentials import Login
    from hermetic.store import Store

JOBS = 4
"""Blobs that are sent at once."""
CHUNK = 32 << 20
"""Bytes of one piece of a large blob: few enough to lose little, many enough that their number does not matter."""


@dataclass(frozen=True)
class PushResult:
    """What a push did. ``sent`` counts bytes of blobs and manifests over the line; the others count blobs.

    ``reference`` names what was pushed by its digest. Where the image was there already, nothing is counted.
    """

    reference: str
    digest: str
    tags: tuple[str, ...] = ()
    sent: int = 0
    uploaded: int = 0
    mounted: int = 0
    present: int = 0


def push(
    images: Sequence[Image],
    reference: str,
    *,
    store: Store,
    config: Config,
    reporter: Reporter = SILENT,
    tags: Sequence[str] = (),
    login: Login | None = None,
    neighbours: Sequence[str] = (),
    jobs: int = JOBS,
    chunk: int = CHUNK,
) -> PushResult:
    """Push images, one per platform, under a reference and more ``tags``; several become one index.

    Blobs are mounted from where this store sent them last, from the base's repository, and from ``neighbours``:
    references to images of the same registry that may have some.

    Raises UsageError for a reference that does not fit, OfflineError, CredentialsError, NetworkError after the last
    try, IntegrityError if the registry or the store has something else than it should.
    """
    target = parse_reference(reference, config.registries)
    if not images:
        raise UsageError("there is no image to push")
    if config.offline:
        raise OfflineError(f"offline, and {target} is in a registry", remedy="run it again without --offline")
    top, media_type = _top(images)
    if target.digest not in {"", top.digest}:
        raise UsageError(
            f"{target} names another digest than what is pushed, {top.digest}", remedy="leave the digest out"
        )
    first = [target.tag_or_latest] if target.tag_or_latest else []
    wanted = tuple(dict.fromkeys(target.with_tag(tag).tag for tag in (*first, *tags)))
    seen = {tag: glance(target.with_tag(tag), config) for tag in wanted}
    pinned = str(target.with_digest(top.digest))
    if wanted and all(digest == top.digest for digest in seen.values()):
        return PushResult(pinned, top.digest, wanted)
    from hermetic.outputs.oci.pushing import Push  # what sends takes longer to load than the question

    near = [parse_reference(neighbour, config.registries) for neighbour in neighbours]
    sources = [other.repository for other in near if other.registry == target.registry]
    work = Push(target, store, config, reporter, login=login, sources=sources, jobs=jobs, chunk=chunk)
    for tag in [tag for tag, digest in seen.items() if digest is None]:
        seen[tag] = work.digest_of(target.with_tag(tag))
    missing = [tag for tag in wanted if seen[tag] != top.digest]
    if (missing or not wanted) and work.digest_of(target.with_digest(top.digest)) != top.digest:
        work.push_blobs(images)
        if len(images) > 1:
            for image in images:
                work.put_manifest(image.manifest, MANIFEST, image.manifest.digest)
        if not missing:
            work.put_manifest(top, media_type, top.digest)
    for tag in missing:
        work.put_manifest(top, media_type, tag)
    for tag in missing:
        work.check_tag(target.with_tag(tag), top.digest)
    return PushResult(pinned, top.digest, wanted, **work.counts)


def _top(images: Sequence[Image]) -> tuple[Blob, str]:
    if len(images) == 1:
        return images[0].manifest, MANIFEST
    from hermetic.outputs.oci.image import image_index

    return image_index(images), INDEX
