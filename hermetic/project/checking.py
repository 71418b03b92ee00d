"""Checking locks against their specs: from the files alone, without network or solver, in a blink."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hermetic.project.layout import find_project
from hermetic.project.memo import hide_state, read_memo, write_memo

if TYPE_CHECKING:
    from hermetic.lock.check import Finding
    from hermetic.project.project import Declaration


class LockCheck(NamedTuple):  # no dataclass: importing that would double what a no-op imports
    """What checking one environment's lock found; nothing means that the lock fits its spec."""

    name: str
    path: str
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the check as JSON values."""
        return {"name": self.name, "path": self.path, "findings": [finding.to_dict() for finding in self.findings]}


def check_locks(start: str | None, names: Sequence[str] = (), platforms: Sequence[str] = ()) -> list[LockCheck]:
    """Check the locks of a project's environments (default: all)."""
    layout = find_project(start)
    memo_path = layout.memo("check", "all")
    question = {"names": list(names), "platforms": list(platforms)}
    if memo := read_memo(memo_path, question):
        return [LockCheck(name, path) for name, path in memo["checks"]]

    from hermetic.project.project import open_project

    project = open_project(start)
    chosen = [project.choose(name) for name in names] or list(project.names)
    checks, files, forgettable = [], [*layout.chooses], False
    for name in chosen:
        declaration = project.declaration(name, platforms=platforms)
        files += [*declaration.files, declaration.lock_path]
        findings = findings_of(declaration.spec, declaration.lock_path)
        if not findings and (declaration.spec.base or declaration.spec.base_dockerfile):
            findings = _bases(declaration)
        forgettable = forgettable or declaration.base_context is not None  # whose files nobody watches
        checks.append(LockCheck(name, str(declaration.lock_path), findings))
    if not forgettable and not any(check.findings for check in checks):
        told = [[check.name, check.path] for check in checks]
        plain = not names and not platforms
        instant = [text for pair in told for text in pair] if plain else []
        hide_state(layout.root)
        write_memo(memo_path, files, {"checks": told}, question, instant=instant)
    return checks


def stale_locks(start: str | None, names: Sequence[str] = (), platforms: Sequence[str] = ()) -> list[LockCheck]:
    """Check locks as ``check_locks`` does; one that cannot be read, as in the middle of a merge, is only a finding."""
    from hermetic.errors import IntegrityError, LockFileError

    try:
        return check_locks(start, names, platforms)
    except (LockFileError, IntegrityError):
        pass
    from hermetic.lock.check import Finding
    from hermetic.project.project import open_project

    project = open_project(start)
    checks = []
    for name in [project.choose(name) for name in names] or project.names:
        try:
            checks += check_locks(start, [name], platforms)
        except (LockFileError, IntegrityError) as error:
            path = str(project.declaration(name).lock_path)
            checks.append(LockCheck(name, path, (Finding("damaged", error.message, place=error.place),)))
    return checks


def findings_of(spec: Any, lock_path: Path) -> tuple[Finding, ...]:
    """Give what is wrong with the lock of a Spec. Raises LockFileError and IntegrityError for a damaged lock."""
    from hermetic.lock.check import Finding, check
    from hermetic.lock.file import read_lock

    if not lock_path.exists():
        return (Finding("missing", "there is no lock yet", remedy="make it with 'hermetic lock'"),)
    return tuple(check(spec, read_lock(lock_path)))


def _bases(declaration: Declaration) -> tuple[Finding, ...]:
    from hermetic.lock.check import check_bases
    from hermetic.lock.file import read_lock
    from hermetic.project.basing import dockerfile_of

    dockerfile = dockerfile_of(declaration)
    digest = dockerfile.digest() if dockerfile else ""
    return check_bases(declaration.spec, read_lock(declaration.lock_path), dockerfile=digest)
