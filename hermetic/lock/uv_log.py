"""uv's log of a resolution: the edges of the graph, and the wheel that it would install of each release.

uv writes no dependency graph into ``pylock.toml``, and asking it twice costs half of the whole lock. Its debug log
holds both, one fact per line; lines that are not understood are left out, and who needs the facts checks that they
are complete.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_EDGE = re.compile(
    rf"DEBUG Adding (?:direct dependency|transitive dependency for (?P<from>{_NAME})==(?P<version>\S+)): "
    rf"(?P<to>{_NAME})(?:\[(?P<extra>[a-z0-9-]+)\])?(?=[^a-z0-9-]|\Z)"
)
_FILE = re.compile(rf"DEBUG Selecting: (?P<name>{_NAME})==(?P<version>\S+) \[[^\]]*\] \((?P<file>[^()]+\.whl)\)")


@dataclass(frozen=True)
class Trace:
    """What a log tells: ``edges`` from (project, version) to projects, ``extras`` asked of a project, ``files``."""

    direct: set[str] = field(default_factory=set)
    edges: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    extras: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    files: dict[tuple[str, str], str] = field(default_factory=dict)


def read_trace(log: str) -> Trace:
    """Read a log of uv at the level ``uv_resolver=debug``."""
    trace = Trace()
    for line in log.splitlines():
        if edge := _EDGE.match(line):
            if edge["from"] is None:
                trace.direct.add(edge["to"])
            else:
                trace.edges[edge["from"], edge["version"]].add(edge["to"])
            if edge["extra"]:
                trace.extras[edge["to"]].add(edge["extra"])
        elif file := _FILE.match(line):
            trace.files[file["name"], file["version"]] = file["file"]
    return trace
