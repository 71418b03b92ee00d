"""Getting what a lock names: fetched from where it is found at the moment, and unpacked while more is on its way."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from hermetic.events import task
from hermetic.outputs.prefix.order import Order
from hermetic.realize.conda_tree import conda_tree
from hermetic.realize.trees import Tree
from hermetic.realize.wheel_tree import wheel_tree


def obtain(order: Order, only: Container[str] | None = None) -> dict[str, Tree]:
    """Fetch and unpack all packages, or those with the given digests; give their trees, by the packages' digests."""
    steps: dict[str, Callable[[], Tree]] = {p.sha256: partial(conda_tree, order.store, p) for p in order.lock.conda}
    steps |= {w.sha256: partial(wheel_tree, order.store, w) for w in order.lock.wheels}
    if only is not None:
        steps = {digest: step for digest, step in steps.items() if digest in only}
    missing = {digest for digest in steps if not order.store.has_blob(digest)}
    work: dict[str, Future[Tree]] = {}
    pool = ThreadPoolExecutor(order.jobs or os.cpu_count())

    def unpack(digest: str) -> None:
        work[digest] = pool.submit(steps[digest])

    try:
        with task(order.reporter, "unpack", "unpacking", len(steps), "packages"):
            for digest in steps.keys() - missing:
                unpack(digest)
            if missing:
                _fetch(order, missing, unpack)
            for digest in steps.keys() - work.keys():  # another process was faster
                unpack(digest)
            return {digest: _result(order, work[digest]) for digest in steps}
    finally:
        pool.shutdown(cancel_futures=True)


def _result(order: Order, future: Future[Tree]) -> Tree:
    tree = future.result()
    order.reporter.advance("unpack")
    return tree


def _fetch(order: Order, missing: set[str], ready: Callable[[str], None]) -> None:
    from hermetic.store.fetch import fetch
    from hermetic.store.index import conda_artifact, wheel_artifact

    known: Mapping[str, str] = order.addresses
    wheels = [wheel for wheel in order.lock.wheels if wheel.sha256 in missing]
    artifacts = [conda_artifact(order.config, p) for p in order.lock.conda if p.sha256 in missing]
    artifacts += [wheel_artifact(order.store, order.config, wheel) for wheel in wheels]
    artifacts = [
        replace(a, urls=tuple(dict.fromkeys((known[a.sha256], *a.urls)))) if a.sha256 in known else a for a in artifacts
    ]
    nowhere = {a.sha256 for a in artifacts if not a.urls and a.find is None}
    fetch(
        order.store,
        [a for a in artifacts if a.sha256 not in nowhere],
        reporter=order.reporter,
        offline=order.offline,
        jobs=order.jobs,
        ready=ready,
    )
    for wheel in wheels:
        if wheel.sha256 in nowhere:  # it was built from source on some machine: here it is built again, and compared
            from hermetic.outputs.prefix.building import source_builder

            builder = source_builder(order.store, order.config, reporter=order.reporter, offline=order.offline)
            builder.rebuild(wheel, order.lock)
            ready(wheel.sha256)
