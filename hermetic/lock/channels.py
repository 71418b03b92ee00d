"""Channels by name: the lock knows names, the machine's configuration knows addresses (DESIGN, 11)."""

from __future__ import annotations

from hermetic.config import Config, channel_url
from hermetic.lock.conda_solver import ChannelAt
from hermetic.spec.model import Spec

DEFAULT_CHANNEL = "conda-forge"


def channels_of(spec: Spec, config: Config) -> tuple[ChannelAt, ...]:
    """Give a spec's channels in order of priority, with their addresses of the moment.

    A channel that only a requirement names (``channel::package``) comes last: it serves what no other has.
    """
    names = dict.fromkeys(spec.channels or (DEFAULT_CHANNEL,))
    names.update(dict.fromkeys(requirement.channel for requirement in spec.conda if requirement.channel))
    return tuple(ChannelAt(name, channel_url(config, name)) for name in names)
