"""The annotated requirements that uv writes: who needs each project, and from which index it came.

It takes a second run, on what the first one left in uv's cache; so it is asked only when the first run's log does
not tell the edges, or when several indexes could have a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PROJECT = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)(?:\[[^\]]*\])?(?:==| @ )")
_SINGLE = re.compile(r"\s+# via (\S.*)\Z")
_MORE = re.compile(r"\s+#\s{2,}(\S.*)\Z")
_FROM = re.compile(r"\s+# from (\S+)\Z")


@dataclass(frozen=True)
class Annotations:
    """``needed_by`` leads from a project to those that need it, ``found_at`` to its index or links page."""

    needed_by: dict[str, set[str]] = field(default_factory=dict)
    found_at: dict[str, str] = field(default_factory=dict)


def read_annotations(text: str) -> Annotations:
    """Read annotations in uv's split style."""
    found = Annotations()
    name = ""
    for line in text.splitlines():
        if project := _PROJECT.match(line):
            name = project[1]
            found.needed_by[name] = set()
        elif name and (place := _FROM.match(line)):
            found.found_at[name] = place[1]
        elif name and (via := _SINGLE.match(line) or _MORE.match(line)) and not via[1].startswith(("-r ", "-c ")):
            found.needed_by[name].add(via[1].partition("[")[0])
    return found
