"""References of base images from an image and its registry's address."""

from __future__ import annotations

import pytest

from hermetic.spec.images import base_reference


@pytest.mark.parametrize(
    ("image", "address", "reference"),
    [
        ("", None, ""),
        ("", "example.org", ""),
        ("base:1", None, "base:1"),
        ("base:1", "", "base:1"),
        ("team/base:1", "example.org", "example.org/team/base:1"),
        ("/my/private/img:tag", "example.org", "example.org/my/private/img:tag"),
        ("example.org/base:1", "example.org", "example.org/base:1"),
        ("example.org/base:1", "https://example.org/", "example.org/base:1"),
        ("base@sha256:ab", " http://example.org:5000/ ", "example.org:5000/base@sha256:ab"),
        ("base", "example.org/team", "example.org/team/base"),
        ("example.organic/base", "example.org", "example.org/example.organic/base"),
    ],
)
def test_a_registry_stands_before_its_image(image: str, address: str | None, reference: str) -> None:
    assert base_reference(image, address) == reference
    assert base_reference(reference, address) == reference
