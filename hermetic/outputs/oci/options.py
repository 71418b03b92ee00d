"""What can be chosen about an image beside what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hermetic.errors import UsageError

GZIP, ZSTD, NONE = "gzip", "zstd", "none"
LEVELS = {GZIP: range(1, 10), ZSTD: range(1, 20), NONE: range(1)}
"""The levels that each compression has. Levels of gzip above 2 are another library's, and many times slower."""
LINK_SCRIPTS = ("refuse", "skip")


@dataclass(frozen=True)
class ImageOptions:
    """How an image is made.

    ``compression`` of our layers is ``gzip``, which everything reads, ``zstd`` or ``none``; ``level`` None is the
    fast one. ``user`` is whom the image runs as (``1000:1000``; empty: as the base says). ``labels`` are added to
    the image's. ``source_date_epoch`` is the time of all files and of the image, in seconds (None: 1, one second
    after the beginning of 1970). ``link_scripts``: see ``build_prefix``; there is nothing to run them in here.
    ``entrypoint`` and ``command`` take the place of the base's; None leaves those.

    Raises UsageError for what makes no sense.
    """

    compression: str = GZIP
    level: int | None = None
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    source_date_epoch: int | None = None
    link_scripts: str = "refuse"
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.compression not in LEVELS:
            raise UsageError(
                f"layers cannot be compressed with {self.compression!r}", remedy=f"use one of: {', '.join(LEVELS)}"
            )
        levels = LEVELS[self.compression]
        if self.level is not None and self.level not in levels:
            raise UsageError(
                f"{self.compression} has no level {self.level}", remedy=f"use one from {levels[0]} to {levels[-1]}"
            )
        if self.link_scripts not in LINK_SCRIPTS:
            raise UsageError(
                f"link scripts cannot be {self.link_scripts!r} in an image: there is nothing to run them in",
                remedy=f"use one of: {', '.join(LINK_SCRIPTS)}",
            )
        if self.source_date_epoch is not None and not 0 <= self.source_date_epoch < 1 << 33:
            raise UsageError(
                f"{self.source_date_epoch} is no time that files can have", remedy="give seconds since 1970"
            )
        if any(c.isspace() or not c.isprintable() for c in self.user) or self.user.count(":") > 1:
            raise UsageError(f"{self.user!r} is no user", remedy="give a name or a number, and a group after a colon")

    @property
    def time(self) -> int:
        """The modification time of every file, in seconds since 1970."""
        return 1 if self.source_date_epoch is None else self.source_date_epoch


def read_labels(texts: Iterable[str]) -> dict[str, str]:
    """Read labels as people type them (``NAME=VALUE``). Raises UsageError."""
    labels = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"{text!r} is no label", remedy="write NAME=VALUE")
        labels[name] = value
    return labels


def epoch(environ: Mapping[str, str]) -> int | None:
    """Read ``SOURCE_DATE_EPOCH`` (the specification of reproducible-builds.org), None if unset. Raises UsageError."""
    text = environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}", remedy="set it to seconds since 1970, or unset it")
    return int(text)
