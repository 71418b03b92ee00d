"""The one policy for parts that a machine may lack: skip with the reason, but fail where all parts are promised."""

from __future__ import annotations

import os

import pytest


def require(condition: object, reason: str) -> None:
    """Go on if ``condition`` holds; else skip the test, or fail it where HERMETIC_REQUIRE_ALL=1 (as in CI)."""
    if condition:
        return
    if os.environ.get("HERMETIC_REQUIRE_ALL") == "1":
        pytest.fail(f"HERMETIC_REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


def suits(condition: object, reason: str) -> None:
    """Go on if ``condition`` holds; else skip, in CI too: the machine is of another kind, or shared data is elsewhere.

    What a machine can install belongs to ``require``.
    """
    if not condition:
        pytest.skip(reason)
