"""What was packed, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hermetic.report.text import size


def pack_text(done: Mapping[str, Any]) -> str:
    """Tell what was packed, what to check it by, and how it is unpacked."""
    return "\n".join(
        [
            f"{done['name']}: packed {done['file']} ({done['files']:,} files, {size(done['size'])})",
            f"  sha256:{done['sha256']}",
            f"  unpack it on {done['platform']}, without hermetic: sh {done['file']} --prefix DIR",
        ]
    )
