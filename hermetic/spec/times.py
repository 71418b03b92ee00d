"""Moments in specs: before which packages have to be published, as a person writes them and as a Spec holds them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hermetic.errors import UsageError

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def parse_time(text: str | None) -> datetime | None:
    """Read a time (RFC 3339; without an offset it is UTC) or a date, which stands for its last second, as UTC."""
    if not text:
        return None
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, seconds=-1)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time", remedy="write 2026-01-31 or 2026-01-31T12:00:00Z") from None


def time_text(moment: datetime | None) -> str:
    """Give a moment in UTC in its one spelling, empty for none."""
    return moment.strftime(_FORM) if moment else ""
