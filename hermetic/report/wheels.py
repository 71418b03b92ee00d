"""A workspace's own wheels as text and as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hermetic.report.text import columns, paint, size

if TYPE_CHECKING:
    from hermetic.workspace.model import PrivateWheel


def list_text(wheels: Sequence[PrivateWheel], *, colour: bool = False) -> str:
    """Draw wheels: what they are, then their URLs."""
    if not wheels:
        return "there are no wheels; 'hermetic wheel add FILE' uploads one"
    rows = [
        (paint(item.name, "name", colour=colour), item.version, size(item.size), item.created_by, item.url)
        for item in wheels
    ]
    return "\n".join(columns(rows))


def wheel_value(wheel: PrivateWheel) -> dict[str, Any]:
    """Give a wheel as JSON values."""
    return {
        "name": wheel.name,
        "version": wheel.version,
        "file_name": wheel.file_name,
        "sha256": wheel.sha256,
        "size": wheel.size,
        "url": wheel.url,
        "created_at": wheel.created_at or None,
        "created_by": wheel.created_by or None,
    }
