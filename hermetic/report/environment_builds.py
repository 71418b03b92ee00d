"""Builds in a workspace as text: one that was started, one that has ended, and all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hermetic.report.text import columns, paint, size

_STYLES = {"succeeded": "added", "failed": "removed", "cancelled": "changed"}


def started_text(build: Mapping[str, Any]) -> str:
    """Tell that a build was started, or joined, and how to look at it."""
    return f"{_name(build)}: build {build['id']} is {build['state']}; 'hermetic environment log {build['id']}' shows it"


def ended_text(build: Mapping[str, Any]) -> str:
    """Tell what came of a build."""
    head = f"{_name(build)}: build {build['id']} {_past(build['state'])} in {_seconds(build['milliseconds'])}"
    result = build["result"]
    if not result:
        return head
    lines = [head, f"  {result['reference']}", f"  {result['digest']}"]
    where = {
        "registry": f"pushed: {size(result['sent'])} sent" if result.get("sent") else "the registry has it",
        "engine": f"in the Docker Engine: {result.get('loaded', '')}",
        "layout": f"written to {result.get('layout', '')}",
    }
    return "\n".join([*lines, f"  {where[result['where']]}"])


def builds_text(builds: Sequence[Mapping[str, Any]], *, colour: bool = False) -> str:
    """Draw builds as a table; below it what the newest that failed failed of."""
    if not builds:
        return "no builds"
    rows = [("BUILD", "STATE", "ENVIRONMENT", "BEGAN", "TOOK", "BY", "TARGET")]
    rows += [
        (
            str(build["id"]), build["state"], _name(build), _moment(build["started_at"] or build["created_at"]),
            _seconds(build["milliseconds"]) if build["started_at"] else "", build["created_by"], build["target"],
        )
        for build in builds
    ]  # fmt: skip
    head, *lines = columns(rows)
    painted = [
        line.replace(build["state"], paint(build["state"], _STYLES.get(build["state"], "faint"), colour=colour), 1)
        for line, build in zip(lines, builds, strict=True)
    ]
    failed = next((build for build in builds if build["state"] == "failed"), None)
    tail = [f"\nbuild {failed['id']}: {failed['error']['message']}"] if failed and failed["error"] else []
    return "\n".join([paint(head, "faint", colour=colour), *painted, *tail])


def _name(build: Mapping[str, Any]) -> str:
    return f"{build['name']}:{build['version']}"


def _past(state: str) -> str:
    return {"cancelled": "was cancelled", "running": "is running", "queued": "is queued"}.get(state, state)


def _moment(text: str) -> str:
    """Give a moment as people read it, to the second; UTC."""
    return text[:19].replace("T", " ")


def _seconds(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
