"""Files that no channel and no index lists, fetched by address and digest: explicit lists' and a workspace's wheels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.config import Config
from hermetic.errors import IntegrityError
from hermetic.events import Reporter
from hermetic.spec.private_urls import PrivateUrl

if TYPE_CHECKING:
    from hermetic.store import Store


def archive_fetcher(store: Store, *, offline: bool, reporter: Reporter) -> Callable[[str, str, str], Path]:
    """Give what fetches an archive by address and digest into the store, for lists that name no channel's file."""

    def fetch_archive(url: str, sha256: str, md5: str) -> Path:
        from hermetic.store.fetch import Artifact, fetch

        label = url.rsplit("/", 1)[-1]
        if not sha256:
            raise IntegrityError(
                f"{label} is named by an md5 alone ({md5}), and its channel does not list it",
                remedy="name it by its sha256: URL#sha256:DIGEST; an md5 proves nothing",
            )
        fetch(store, [Artifact(label, (url,), sha256, md5=md5)], reporter=reporter, offline=offline)
        return store.blob_path(sha256)

    return fetch_archive


def wheel_fetcher(
    store: Store, config: Config, *, offline: bool, reporter: Reporter
) -> Callable[[Sequence[PrivateUrl]], list[Path]]:
    """Give what fetches a workspace's own wheels into the store, side by side, and gives the paths of their blobs."""

    def fetch_wheels(wanted: Sequence[PrivateUrl]) -> list[Path]:
        from hermetic.store.fetch import fetch
        from hermetic.store.index import private_artifact

        fetch(store, [private_artifact(config, item) for item in wanted], reporter=reporter, offline=offline)
        return [store.blob_path(item.sha256) for item in wanted]

    return fetch_wheels
