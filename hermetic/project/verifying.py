"""Proving a built environment against its lock."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import DriftError, Place, UsageError
from hermetic.events import SILENT, Reporter

if TYPE_CHECKING:
    from hermetic.outputs.prefix.verify import Finding


@dataclass(frozen=True)
class PrefixCheck:
    """What verifying a prefix found; nothing means that it is what its lock says, file by file."""

    name: str
    prefix: str
    findings: tuple[Finding, ...]
    remedy: str = ""
    """What to do about the findings, empty if there are none."""

    def to_dict(self) -> dict[str, Any]:
        """Give the check as JSON values."""
        findings = [finding.to_dict() for finding in self.findings]
        return {"name": self.name, "prefix": self.prefix, "findings": findings, "remedy": self.remedy}


def names_environment(start: str | None, target: str) -> bool:
    """Tell whether a target is an environment of the project, or a folder to be one; else it names an image."""
    from hermetic.outputs.oci.finding import names_image
    from hermetic.project.project import open_project

    if not names_image(target):
        return True
    try:
        return target in open_project(start).names
    except UsageError:
        return False


def verify_environment(
    start: str | None,
    target: str | None,
    name: str | None = None,
    *,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> PrefixCheck:
    """Verify an environment of a project, or a folder against the lock of one (``name``)."""
    from hermetic.lock.file import read_lock
    from hermetic.outputs.prefix import verify_prefix
    from hermetic.outputs.prefix.state import is_prefix, read_state
    from hermetic.project.building import platform_lock
    from hermetic.project.project import open_project
    from hermetic.store import Store

    project = open_project(start)
    folder = None
    if target is not None and ("/" in target or target not in project.names):
        folder = Path(target)
        if not folder.is_dir():
            raise UsageError(
                f"{target!r} is neither an environment of this project nor a folder",
                remedy=f"there are: {', '.join(project.names)}",
            )
    chosen = project.choose(name if folder else target or name)
    prefix = (folder or project.layout.prefix(chosen)).absolute()
    if not prefix.is_dir():
        raise UsageError(f"{chosen} is not built in {prefix}", remedy=f"build it with 'hermetic build {chosen}'")
    declaration = project.declaration(chosen)
    if not declaration.lock_path.exists():
        raise DriftError(
            f"{chosen} has no lock, which {prefix} could be held against",
            place=Place(str(declaration.lock_path)),
            remedy="make it with 'hermetic lock', or restore it",
        )
    where = f" --prefix {shlex.quote(str(prefix))}" if prefix != project.layout.prefix(chosen).absolute() else ""
    build = f"hermetic build {chosen}{where}"
    if not is_prefix(prefix):
        raise UsageError(
            f"{prefix} does not say that hermetic built it",
            remedy="choose a folder that hermetic built" if where else f"'{build} --force' builds it anew",
        )
    locked = platform_lock(read_lock(declaration.lock_path), declaration)
    config = project.config(offline=offline)
    findings = verify_prefix(
        prefix,
        locked,
        store=Store.open(config.store),
        config=config,
        reporter=reporter,
        offline=offline,
    )
    remedy = f"'{build} --force' mends it: it is built anew"
    if (stated := read_state(prefix)) and stated.key != locked.key():
        remedy = f"it is an older or another environment: '{build}' builds what the lock says now"
    return PrefixCheck(chosen, str(prefix), tuple(findings), remedy if findings else "")
