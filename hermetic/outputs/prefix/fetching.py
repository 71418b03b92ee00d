"""Fetching what a lock names: where each archive is found at the moment, and the store's checked copy of it."""

from __future__ import annotations

from urllib.parse import quote

from hermetic.lock.model import CondaPackage, Wheel
from hermetic.outputs.prefix.order import Order


def fetch_packages(order: Order) -> None:
    """Bring every archive of a lock into the store. Only those that it lacks are looked for."""
    conda = [package for package in order.lock.conda if not order.store.has_blob(package.sha256)]
    wheels = [wheel for wheel in order.lock.wheels if not order.store.has_blob(wheel.sha256)]
    if not conda and not wheels:
        return
    from hermetic.store.fetch import Artifact, fetch

    artifacts = [Artifact(p.file_name, _conda_urls(p, order), p.sha256, size=p.size or None, md5=p.md5) for p in conda]
    artifacts += [Artifact(w.file_name, _wheel_urls(w, order), w.sha256, size=w.size or None) for w in wheels]
    fetch(order.store, artifacts, reporter=order.reporter, offline=order.offline, jobs=order.jobs)


def _conda_urls(package: CondaPackage, order: Order) -> tuple[str, ...]:
    from hermetic.config import channel_url

    address = channel_url(order.config, package.channel, package.subdir)
    found = (order.addresses.get(package.sha256), f"{address.rstrip('/')}/{quote(package.file_name, safe='._-+!=')}")
    return tuple(dict.fromkeys(url for url in found if url))


def _wheel_urls(wheel: Wheel, order: Order) -> tuple[str, ...]:
    if known := order.addresses.get(wheel.sha256) or wheel.url:
        return (known,)
    from hermetic.store.index import locate_wheel

    return (locate_wheel(order.config, wheel, order.store),)
