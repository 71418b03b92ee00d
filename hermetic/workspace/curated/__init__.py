"""Environments that come with hermetic: every workspace lists them, none can change them."""
