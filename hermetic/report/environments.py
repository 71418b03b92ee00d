"""A workspace's environments as text and as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.report.text import brief, columns, counted, paint

if TYPE_CHECKING:
    from hermetic.lock.model import Lock
    from hermetic.sdk.comparing import EnvironmentDiff
    from hermetic.sdk.inspecting import Detail, Line
    from hermetic.sdk.scaffolding import Scaffold
    from hermetic.workspace.model import EnvironmentVersion

_SHORT = 12
"""Digits of a digest that people compare."""
_LONGEST = 72
"""Characters of a text in a table of differences."""


def scaffold_text(name: str, made: Scaffold) -> str:
    """Tell what was made, and what comes next."""
    return (
        f"{name}: {made.directory} is made, with {', '.join(made.files)}\n"
        f"  edit them, then: hermetic environment register -d {made.directory}"
    )


def registered_text(version: EnvironmentVersion, *, new: bool, restored: bool = False) -> str:
    """Tell which version a definition is, and whether it was taken out of the archive."""
    if restored:
        return f"restored {named(version)}: it was registered already, and archived"
    how = "registered" if new else "nothing to do: it is registered already as"
    return f"{how} {named(version)}"


def labelled_text(version: EnvironmentVersion) -> str:
    """Tell the labels of a version."""
    return f"{named(version)}: {', '.join(version.labels) or 'no labels'}"


def archived_text(name: str, version: int | None, *, restored: bool) -> str:
    """Tell what was archived."""
    what = name if version is None else f"{name}:{version}"
    return f"{what} is restored" if restored else f"{what} is archived; its versions are still found by their numbers"


def downloaded_text(version: EnvironmentVersion, folder: Path, lock: str | None) -> str:
    """Tell where a definition went."""
    more = f", and its lock to {lock}" if lock else ""
    return f"{named(version)} is written to {folder}{more}"


def list_text(lines: Sequence[Line], *, colour: bool = False) -> str:
    """Draw a list: one's own environments, then the curated ones with their packages."""
    own = [line for line in lines if not line.curated]
    rows = [
        (
            paint(line.name, "name", colour=colour),
            f"{line.latest or '-'}",
            counted(line.versions, "version"),
            day(line.created_at),
            line.created_by + (", archived" if line.archived else ""),
        )
        for line in own
    ]
    text = columns(rows)
    curated = [line for line in lines if line.curated]
    if curated:
        text += [*([""] if text else []), "curated:"]
        for line in curated:
            text.append(f"  {paint(line.name, 'name', colour=colour)}:{line.latest}  {line.summary}")
            text.append(f"    {', '.join(line.packages)}")
    return "\n".join(text)


def list_value(lines: Sequence[Line]) -> dict[str, Any]:
    """Give a list as JSON values."""
    return {
        "environments": [
            {
                "name": line.name,
                "latest": line.latest or None,
                "versions": line.versions,
                "created_at": line.created_at or None,
                "created_by": line.created_by or None,
                "archived": line.archived,
                "curated": line.curated,
                "packages": list(line.packages) if line.curated else None,
            }
            for line in lines
        ]
    }


def versions_text(versions: Sequence[EnvironmentVersion], *, colour: bool = False) -> str:
    """Draw an environment's versions, the oldest first."""
    rows = []
    for version in versions:
        notes = [*version.labels, *(["archived"] if version.archived else [])]
        rows.append(
            (
                paint(named(version), "name", colour=colour),
                day(version.created_at),
                version.created_by,
                f"lock {version.lock[:_SHORT]}" if version.lock else "no lock yet",
                f"from {version.definition.origin}" if version.definition.origin else "",
                ", ".join(notes),
            )
        )
    return "\n".join(columns(rows))


def version_value(version: EnvironmentVersion) -> dict[str, Any]:
    """Give what is known of a version as JSON values."""
    return {
        "name": version.name,
        "version": version.version,
        "digest": version.definition.digest or None,
        "created_at": version.created_at or None,
        "created_by": version.created_by or None,
        "origin": version.definition.origin or None,
        "labels": list(version.labels),
        "archived": version.archived,
        "lock": version.lock or None,
        "packages": list(version.definition.packages),
    }


def detail_text(detail: Detail, *, colour: bool = False) -> str:
    """Draw all that is known of a version."""
    from hermetic.report.locks import contents

    version = detail.version
    lines = [paint(named(version), "name", colour=colour) + (f"  {detail.summary}" if detail.summary else "")]
    rows = [("registered", f"{version.created_at} by {version.created_by}")] if version.created_at else []
    if version.definition.origin:
        rows.append(("from", version.definition.origin))
    if version.definition.digest:
        rows.append(("definition", f"sha256:{version.definition.digest[:_SHORT]}"))
    notes = [*version.labels, *(["archived"] if version.archived else [])]
    rows.append(("labels", ", ".join(notes) or "none"))
    if detail.base:
        rows.append(("base", detail.base))
    lines += columns(rows, indent="  ")
    lines += ["  packages", *(f"    {text}" for text in version.definition.packages)]
    if detail.variables:
        lines += ["  variables", *(f"    {name}={value}" for name, value in detail.variables.items())]
    if detail.lock is None:
        lines.append("  no lock yet: whoever builds or locks it first makes it")
    else:
        lines.append(f"  lock{f' sha256:{version.lock[:_SHORT]}' if version.lock else ''}")
        lines += columns([(name, contents(found)) for name, found in sorted(detail.lock.platforms.items())], "    ")
    if detail.images:
        lines.append("  images")
        rows_of = [
            (item.platform, item.reference, brief(item.digest), "pushed" if item.pushed else "", day(item.created_at))
            for item in detail.images
        ]
        lines += columns(rows_of, "    ")
    return "\n".join(lines)


def detail_value(detail: Detail) -> dict[str, Any]:
    """Give all that is known of a version as JSON values."""
    return {
        **version_value(detail.version),
        "curated": detail.curated,
        "base": detail.base or None,
        "variables": dict(detail.variables),
        "platforms": _platforms(detail.lock),
        "images": [
            {
                "platform": item.platform,
                "reference": item.reference,
                "digest": item.digest,
                "pushed": item.pushed,
                "created_at": item.created_at,
                "created_by": item.created_by,
            }
            for item in detail.images
        ],
    }


def diff_text(diff: EnvironmentDiff, *, colour: bool = False) -> str:
    """Draw how two versions differ: what was written, then what was locked."""
    from hermetic.report.locks import diff_text as lock_text

    if not diff:
        what = "" if diff.lock is not None else " in what was written; their locks are not there to be compared"
        return f"{diff.old} and {diff.new} do not differ{what}"
    lines = []
    for item in diff.definition:
        old, new = _short(item.old), _short(item.new)
        mark, style = ("+", "added") if not item.old else ("-", "removed") if not item.new else ("~", "changed")
        text = new if not item.old else old if not item.new else f"{old} -> {new}"
        lines.append(paint(f"{mark} {item.what}: {text}", style, colour=colour))
    if diff.lock is None:
        lines.append("one of them has no lock yet, so packages are not compared")
    else:
        lines += ["locked:", *(f"  {line}" for line in lock_text(diff.lock, colour=colour).splitlines())]
    return "\n".join(lines)


def locked_text(version: EnvironmentVersion, lock: Lock) -> str:
    """Tell what a version's lock holds."""
    from hermetic.report.locks import contents

    held = "; ".join(f"{name}: {contents(found)}" for name, found in sorted(lock.platforms.items()))
    return f"{named(version)} is locked ({held})"


def locked_value(version: EnvironmentVersion, lock: Lock, path: str | None) -> dict[str, Any]:
    """Give a version's lock as JSON values."""
    return {
        "name": version.name,
        "version": version.version,
        "lock": version.lock or None,
        "path": path,
        "platforms": _platforms(lock),
    }


def named(version: EnvironmentVersion) -> str:
    """Give a version as people write it: ``NAME:VERSION``."""
    return f"{version.name}:{version.version}"


def day(moment: str) -> str:
    """Give a time (RFC 3339, UTC) to the minute, as tables show it."""
    return moment[:16].replace("T", " ")


def _platforms(lock: Lock | None) -> dict[str, Any]:
    return {
        name: {"key": found.key(), "conda": len(found.conda), "wheels": len(found.wheels)}
        for name, found in sorted(lock.platforms.items() if lock else ())
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
