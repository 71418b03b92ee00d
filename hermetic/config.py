"""The machine's configuration: addresses behind channels' and indexes' names, and where the store stands."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hermetic.errors import Place, UsageError


@dataclass(frozen=True)
class Config:
    """What a name means on this machine at this moment; nothing of it reaches a lock."""

    channels: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    default_index: str = ""
    offline: bool = False
    store: Path | None = None


def load_config(
    manifest_channels: Mapping[str, str] | None = None,
    *,
    base: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    offline: bool = False,
) -> Config:
    """Put the configuration together: environment variables, then the manifest, then the user's file."""
    channels: dict[str, str] = {}
    for name, address in (manifest_channels or {}).items():
        channels[name] = address if "://" in address else str((base or Path.cwd()) / address)
    for item in environ.get("HERMETIC_CHANNELS", "").split():
        name, equals, address = item.partition("=")
        if not equals:
            raise UsageError(f"HERMETIC_CHANNELS: {item!r} is no NAME=ADDRESS")
        channels[name] = address
    return Config(channels, offline=offline)


def channel_url(config: Config, channel: str, subdir: str = "") -> str:
    """Give the address of a channel (of one subdir) at this moment."""
    address = config.channels.get(channel, channel)
    address = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), address)
    if "://" not in address:
        if "/" in address or address.startswith("."):
            address = Path(address).absolute().as_uri()
        else:
            from rattler import Channel

            address = Channel(address).base_url
    return f"{address.rstrip('/')}/{subdir}" if subdir else address.rstrip("/")
