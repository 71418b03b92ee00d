"""References of base images, as they are declared: an image, and beside it the address of its registry."""

from __future__ import annotations

import re


def base_reference(image: str, address: str | None) -> str:
    """Give the reference of an image whose registry may stand beside it.

    The address is a host, with a port and a path if need be; what people also write is understood: ``https://`` before
    it, ``/`` behind it, and an image that repeats it or begins with ``/``.
    """
    host = re.sub(r"\Ahttps?://", "", (address or "").strip()).strip("/")
    if not image or not host:
        return image
    return image if image.startswith(f"{host}/") else f"{host}/{image.lstrip('/')}"
