"""Checking a project in CI: everything that is wrong as problems, each with a place in the repository."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import HermeticError, Place
from hermetic.events import SILENT, Reporter

if TYPE_CHECKING:
    from hermetic.project.checking import LockCheck

_SHOWN = 50
"""Files of one environment that are named; a CI system shows few annotations, and keeps no endless logs."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. ``file`` is relative to the checkout if it is in it; ``line`` is 1-based, or None."""

    code: str
    message: str
    file: str = ""
    line: int | None = None
    platform: str = ""
    remedy: str = ""

    @property
    def text(self) -> str:
        """The message with the platform, and what to do on a line of its own."""
        named = self.platform and self.platform not in self.message
        text = f"{self.message} ({self.platform})" if named else self.message
        return f"{text}\n{self.remedy}" if self.remedy else text


@dataclass(frozen=True)
class Checked:
    """What was looked at, ``what`` (``lock``, ``environment``, ``project``) of the environment ``name``, and found."""

    what: str
    name: str
    path: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class CiReport:
    """All that was checked, and the exit status that says it."""

    checks: tuple[Checked, ...]
    exit_status: int

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not any(check.problems for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {"good": self.good, "checks": [asdict(check) for check in self.checks]}


def check_project(
    start: str | None,
    names: Sequence[str] = (),
    *,
    checkout: Path,
    verify: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> CiReport:
    """Check the locks of a project's environments (default: all), and with ``verify`` what is built of them.

    Whatever a check raises becomes a problem, so that one bad file hides no other; the exit status is that of the
    first error, else 1 if anything was found.
    """
    checks = list(_locks(start, names, checkout))
    if verify and all(check.what == "lock" for check, _ in checks):
        chosen = [check.name for check, _ in checks]
        checks += [_environment(start, name, checkout, offline, reporter) for name in chosen]
    failed = next((status for _, status in checks if status > 1), 0)
    found = any(check.problems for check, _ in checks)
    return CiReport(tuple(_concealed(check) for check, _ in checks), failed or int(found))


def _concealed(check: Checked) -> Checked:
    """Hide secrets that came with another program's words."""
    from hermetic.secrets import conceal

    problems = tuple(
        replace(problem, message=conceal(problem.message), remedy=conceal(problem.remedy)) for problem in check.problems
    )
    return replace(check, problems=problems)


def failed_report(error: HermeticError, checkout: Path) -> CiReport:
    """Give an error as a report of its own, so that it is told as problems are."""
    return CiReport((_concealed(Checked("project", "", "", (_of_error(error, checkout),))),), error.exit_status)


def _locks(start: str | None, names: Sequence[str], checkout: Path) -> Iterator[tuple[Checked, int]]:
    """Give each lock's check with the exit status of what it met."""
    from hermetic.project.checking import check_locks

    try:
        yield from (_of_lock(check, checkout) for check in check_locks(start, names))
    except HermeticError as error:
        yield from _one_by_one(start, names, checkout, error)


def _one_by_one(
    start: str | None, names: Sequence[str], checkout: Path, first: HermeticError
) -> Iterator[tuple[Checked, int]]:
    from hermetic.project.checking import check_locks
    from hermetic.project.project import open_project

    try:
        project = open_project(start)
        chosen = [project.choose(name) for name in names] or project.names
    except HermeticError as error:
        yield Checked("project", "", "", (_of_error(error, checkout),)), error.exit_status
        return
    met = False
    for name in chosen:
        try:
            yield from (_of_lock(check, checkout) for check in check_locks(start, [name]))
        except HermeticError as error:
            met = True
            path = _place(str(project.lock_path(name)), checkout)
            yield Checked("lock", name, path, (_of_error(error, checkout, path),)), error.exit_status
    if not met:  # it is of all environments together
        yield Checked("project", "", "", (_of_error(first, checkout),)), first.exit_status


def _of_lock(check: LockCheck, checkout: Path) -> tuple[Checked, int]:
    path = _place(check.path, checkout)
    problems = tuple(
        Problem(
            finding.code,
            f"{check.name}: {finding.message}",
            *_where(finding.place, checkout, path),
            finding.platform,
            finding.remedy
            or f"bring the lock up to date with 'hermetic lock {shlex.quote(check.name)}', and commit it",
        )
        for finding in check.findings
    )
    return Checked("lock", check.name, path, problems), int(bool(problems))


def _environment(
    start: str | None, name: str, checkout: Path, offline: bool, reporter: Reporter
) -> tuple[Checked, int]:
    from hermetic.project.project import open_project
    from hermetic.project.verifying import verify_environment

    lock = _place(str(open_project(start).lock_path(name)), checkout)
    try:
        found = verify_environment(start, None, name, offline=offline, reporter=reporter)
    except HermeticError as error:
        return Checked("environment", name, "", (_of_error(error, checkout, lock),)), error.exit_status
    problems = [
        Problem(
            f"file-{finding.kind}",
            f"{name}: {finding.path} in {found.prefix} is not what the lock says: {finding.detail or finding.kind}",
            lock,
            remedy=found.remedy,
        )
        for finding in found.findings[:_SHOWN]
    ]
    if more := len(found.findings) - len(problems):
        problems.append(Problem("files-more", f"{name}: {more} more files are not what the lock says", lock))
    return Checked("environment", name, found.prefix, tuple(problems)), int(bool(problems))


def _of_error(error: HermeticError, checkout: Path, path: str = "") -> Problem:
    """Give an error as a problem; ``path`` is the file that it is of, if it names none."""
    return Problem(error.code, error.message, *_where(error.place, checkout, path), remedy=error.remedy or "")


def _where(place: Place | None, checkout: Path, path: str) -> tuple[str, int | None]:
    return (_place(place.file, checkout), place.line) if place else (path, None)


def _place(file: str, checkout: Path) -> str:
    """Give a file as the CI system knows it: relative to the checkout, if it is in it."""
    ways = ((Path(file).absolute(), checkout.absolute()), (Path(file).resolve(), checkout.resolve()))
    return next((path.relative_to(folder).as_posix() for path, folder in ways if path.is_relative_to(folder)), file)
