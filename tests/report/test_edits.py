"""Which version was chosen, told once or per platform."""

from __future__ import annotations

import pytest
from lock_samples import conda, platform_lock, wheel

from hermetic.lock.model import Lock
from hermetic.report.edits import chosen_text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app", "app 1.0 for linux-64, app 1.1 for osx-arm64"),
        ("base", "base 2.0"),
        ("my-tool", "my-tool 3.0 for linux-64"),
        ("absent", ""),
    ],
)
def test_a_chosen_version(name: str, text: str) -> None:
    lock = Lock(
        spec={},
        platforms={
            "linux-64": platform_lock("linux-64", conda("app", "1.0"), conda("base", "2.0"), wheel("my-tool", "3.0")),
            "osx-arm64": platform_lock(
                "osx-arm64", conda("app", "1.1", subdir="osx-arm64"), conda("base", "2.0", subdir="osx-arm64")
            ),
        },
    )
    assert chosen_text(lock, name) == text
