"""Fetching what a lock names: the store's checked copy of every archive, from where it is found at the moment."""

from __future__ import annotations

from dataclasses import replace

from hermetic.outputs.prefix.order import Order


def fetch_packages(order: Order) -> None:
    """Bring every archive of a lock into the store. Only those that it lacks are looked for.

    A wheel that was built from source is nowhere to be had: it is built again, and must come out the same.
    """
    store, known = order.store, order.addresses
    conda = [package for package in order.lock.conda if not store.has_blob(package.sha256)]
    wheels = [wheel for wheel in order.lock.wheels if not store.has_blob(wheel.sha256)]
    if not conda and not wheels:
        return
    from hermetic.store.fetch import fetch
    from hermetic.store.index import conda_artifact, wheel_artifact

    artifacts = [conda_artifact(order.config, package) for package in conda]
    found = [(wheel, wheel_artifact(store, order.config, wheel)) for wheel in wheels]
    built = [wheel for wheel, artifact in found if wheel.origin and not artifact.urls and wheel.sha256 not in known]
    artifacts += [artifact for wheel, artifact in found if wheel not in built]
    artifacts = [
        replace(a, urls=tuple(dict.fromkeys((known[a.sha256], *a.urls)))) if a.sha256 in known else a for a in artifacts
    ]
    fetch(store, artifacts, reporter=order.reporter, offline=order.offline, jobs=order.jobs)
    if built:
        from hermetic.outputs.prefix.building import source_builder

        builder = source_builder(store, order.config, reporter=order.reporter, offline=order.offline)
        for wheel in built:
            builder.rebuild(wheel, order.lock)
