"""Archives that no channel lists: fetched by address and digest, for explicit lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import IntegrityError
from hermetic.events import Reporter

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
