"""How often a package changes, beside others: what a layer plan needs to know of the future."""

from __future__ import annotations

USUAL = 10
"""The weight of a package of which nothing is known."""

PRIVATE = 10 * USUAL
"""The weight of first-party code: what the image is built again for, as a rule."""


def volatility(name: str, *, private: bool = False) -> int:
    """Give how often a package changes, where ``USUAL`` is as often as most."""
    if private:
        return PRIVATE
    return _KNOWN.get(name, USUAL)


_KNOWN: dict[str, int] = {"python": 2, "tzdata": 20, "ca-certificates": 30, "certifi": 30, "openssl": 20}
