"""Solve and install with bare py-rattler: what any conda client would make of a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SYSTEM = {"__glibc": "2.99", "__linux": "5.10", "__unix": "0"}


def solve(
    channel: Path | str,
    specs: Sequence[str],
    cache: Path,
    *,
    platform: str = "linux-64",
    system: Mapping[str, str] = SYSTEM,
) -> list[Any]:
    """Give the records that satisfy ``specs`` from one channel (a folder or a URL)."""
    from rattler import Channel, ChannelPriority, Gateway, GenericVirtualPackage, PackageName, Version
    from rattler import solve as rattler_solve

    try:
        from rattler import BuildString

        build: Any = BuildString("0")
    except ImportError:
        build = "0"
    url = channel.as_uri() if isinstance(channel, Path) else channel
    return asyncio.run(
        rattler_solve(
            [Channel(url)],
            list(specs),
            gateway=Gateway(cache_dir=cache),
            platforms=[platform, "noarch"],
            virtual_packages=[GenericVirtualPackage(PackageName(n), Version(v), build) for n, v in system.items()],
            channel_priority=ChannelPriority.Strict,
        )
    )


def install(records: Sequence[Any], prefix: Path, cache: Path, *, platform: str = "linux-64") -> None:
    """Install records into a new prefix."""
    from rattler import PackageCache, Subdir, ValidationMode
    from rattler import install as rattler_install

    asyncio.run(
        rattler_install(
            list(records),
            prefix,
            package_cache=PackageCache.new_layered([cache], validation_mode=ValidationMode.full()),
            platform=Subdir(platform),
            execute_link_scripts=False,
            show_progress=False,
        )
    )
