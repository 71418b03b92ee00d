"""What verifying a prefix found, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermetic.report.text import columns, counted, paint

if TYPE_CHECKING:
    from hermetic.project.verifying import PrefixCheck

_SHOWN = 100
_STYLE = {"added": "added", "lost": "removed"}


def prefix_check_text(check: PrefixCheck, *, colour: bool = False) -> str:
    """Draw a check of a prefix: one line if all is well, else a line for each difference, up to 100."""
    if not check.findings:
        return f"{check.name}: {check.prefix} is what its lock says, file by file"
    rows = [
        (paint(finding.kind, _STYLE.get(finding.kind, "changed"), colour=colour), finding.path, finding.detail)
        for finding in check.findings[:_SHOWN]
    ]
    more = len(check.findings) - len(rows)
    return "\n".join(
        [
            f"{check.name}: {check.prefix} differs from its lock in {counted(len(check.findings), 'place')}",
            *columns(rows, "  "),
            *([f"  ... and {more} more; --json lists all"] if more else []),
            f"  {check.remedy}",
        ]
    )
