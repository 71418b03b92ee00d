"""Addresses of wheels."""

from __future__ import annotations

from collections.abc import Mapping

from hermetic.store.store import Store


def remember_addresses(store: Store, addresses: Mapping[str, str]) -> None:
    """Remember where files were found while locking, so that a build right after asks no index."""
    for digest, url in addresses.items():
        store.put_result(digest, {"url": url})
