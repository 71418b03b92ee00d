"""What image is wanted, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hermetic.outputs.oci.options import ImageOptions

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ImageOrder:
    """What image is wanted, and where.

    ``reference`` is its name; one that ends in ``/`` is only a registry, and an empty one nothing: the rest is
    ``hermetic/env_`` and a hash of all that determines the image. ``layout`` is a folder to write an OCI layout to.
    ``platforms`` are conda's (none: this machine's); ``base`` takes the place of the base that the lock has.
    """

    reference: str = ""
    platforms: tuple[str, ...] = ()
    push: bool = False
    load: bool = False
    layout: Path | None = None
    base: str = ""
    options: ImageOptions = field(default_factory=ImageOptions)
    jobs: int | None = None

    def question(self) -> dict[str, Any]:
        """Give what decides the result, as JSON values: for the memo of a build."""
        values = asdict(self)
        return {**{name: values[name] for name in values if name != "jobs"}, "layout": str(self.layout or "")}
