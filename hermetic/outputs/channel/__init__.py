"""The embedded channel: a real conda channel from the running Python and wheels, for machines cut off from others."""

from hermetic.outputs.channel.make import DEFAULT_REQUIREMENTS, ChannelSummary, make_channel

__all__ = ["DEFAULT_REQUIREMENTS", "ChannelSummary", "make_channel"]
