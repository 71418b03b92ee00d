"""Fetching what a lock names: where each archive is found at the moment, and the store's checked copy of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from hermetic.events import Reporter
from hermetic.lock.model import CondaPackage, PlatformLock, Wheel

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store


def fetch_packages(
    store: Store,
    lock: PlatformLock,
    config: Config,
    *,
    reporter: Reporter,
    offline: bool,
    addresses: Mapping[str, str],
    jobs: int | None,
) -> None:
    """Bring every archive of a lock into the store. Only those that it lacks are looked for."""
    conda = [package for package in lock.conda if not store.has_blob(package.sha256)]
    wheels = [wheel for wheel in lock.wheels if not store.has_blob(wheel.sha256)]
    if not conda and not wheels:
        return
    from hermetic.store.fetch import Artifact, fetch

    artifacts = [
        Artifact(p.file_name, _conda_urls(p, config, addresses), p.sha256, size=p.size or None, md5=p.md5)
        for p in conda
    ]
    artifacts += [
        Artifact(w.file_name, _wheel_urls(store, w, config, addresses), w.sha256, size=w.size or None) for w in wheels
    ]
    fetch(store, artifacts, reporter=reporter, offline=offline, jobs=jobs)


def _conda_urls(package: CondaPackage, config: Config, addresses: Mapping[str, str]) -> tuple[str, ...]:
    from hermetic.config import channel_url

    address = channel_url(config, package.channel, package.subdir)
    found = (addresses.get(package.sha256), f"{address.rstrip('/')}/{quote(package.file_name, safe='._-+!=')}")
    return tuple(dict.fromkeys(url for url in found if url))


def _wheel_urls(store: Store, wheel: Wheel, config: Config, addresses: Mapping[str, str]) -> tuple[str, ...]:
    if known := addresses.get(wheel.sha256) or wheel.url:
        return (known,)
    from hermetic.store.index import locate_wheel

    return (locate_wheel(config, wheel, store),)
