"""Resolve environments to lockfiles: conda and pip together, for every platform they declare.

Pins of an existing lock are kept where they still satisfy the spec; --update moves what you name. Every
move is printed, with --summary as the text of a pull request. --check changes nothing and decides from the files
alone, without network; --if-stale does the same, and locks only what does not fit.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermetic.cli.ui import UI
    from hermetic.project.checking import LockCheck
    from hermetic.project.locking import LockOutcome

EXAMPLES = """\
examples:
  hermetic lock                               all environments of the project
  hermetic lock train --platform linux-64 --platform osx-arm64
  hermetic lock --update numpy                move numpy, and only what must move with it
  hermetic lock --update                      take the newest of everything
  hermetic lock --update --summary markdown   and tell it as a pull request does
  hermetic lock --update --dry-run            only tell what would move
  hermetic lock --check                       exit status 1 if a lock is stale
  hermetic lock --if-stale                    lock what is stale, leave the rest
  hermetic lock --exclude-newer 2026-01-31    as if it were that day"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="the environments (default: all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only tell whether the locks fit their specs")
    what.add_argument("--if-stale", action="store_true", help="lock only environments whose lock does not fit its spec")
    what.add_argument(
        "--update", metavar="PKG", nargs="*", default=None, help="let these packages move; without a name, all"
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing, only tell what would move")
    parser.add_argument("--exit-code", action="store_true", help="exit status 1 if a lock changes, or would")
    parser.add_argument(
        "--summary",
        choices=("text", "markdown", "json"),
        default=None,
        help="tell what moves, and why, by how many bytes, and what is held back; markdown: as a pull request's text",
    )
    parser.add_argument(
        "--platform",
        metavar="P",
        action="append",
        default=[],
        dest="platforms",
        help="lock for this platform (default: the declared ones)",
    )
    parser.add_argument(
        "--exclude-newer",
        metavar="TIME",
        default=None,
        help="ignore what was published after this date or time (RFC 3339); it holds until another is given, or 'none'",
    )
    parser.add_argument(
        "--conda-solver",
        choices=("rattler", "conda-lock"),
        default="rattler",
        help="conda-lock needs a conda, mamba or micromamba executable (default: %(default)s)",
    )
    parser.add_argument(
        "--pip-resolver",
        choices=("uv", "pip-tools"),
        default="uv",
        help="pip-tools is slow and resolves for this machine only (default: %(default)s)",
    )


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Lock, or check."""
    if arguments.check or arguments.if_stale:
        from hermetic.project.checking import check_locks, stale_locks

        checks = (check_locks if arguments.check else stale_locks)(
            arguments.project, arguments.names, arguments.platforms
        )
        stale = [check.name for check in checks if check.findings]
        if arguments.check or not (stale or arguments.summary or ui.json):
            return _show_checks(checks, ui)
        if not stale:
            return _show([], arguments, ui)
        arguments.names = stale
    from hermetic.project.locking import lock_environments

    outcomes = lock_environments(
        arguments.project,
        arguments.names,
        platforms=arguments.platforms,
        update=_moving(arguments),
        exclude_newer=arguments.exclude_newer,
        conda_solver=arguments.conda_solver,
        pip_resolver="" if arguments.pip_resolver == "uv" else arguments.pip_resolver,
        offline=arguments.offline,
        reporter=ui.reporter,
        write=not arguments.dry_run,
    )
    return _show(outcomes, arguments, ui)


def _show(outcomes: Sequence[LockOutcome], arguments: argparse.Namespace, ui: UI) -> int:
    """Print what locking came to, in the form that was asked for, and give the exit status."""
    if arguments.summary:
        _show_summary(outcomes, arguments, ui)
    else:
        show_outcomes(outcomes, ui)
    if arguments.dry_run:
        ui.reporter.say("nothing was written")
    return 1 if arguments.exit_code and any(outcome.changed for outcome in outcomes) else 0


def _moving(arguments: argparse.Namespace) -> list[str] | None:
    return ["*"] if arguments.update == [] else arguments.update


def _show_summary(outcomes: Sequence[LockOutcome], arguments: argparse.Namespace, ui: UI) -> None:
    """Print the account of what moved, in the form that was asked for."""
    from hermetic.project.updating import account
    from hermetic.report.updates import updates_markdown, updates_text, updates_value

    updates = account(
        arguments.project, outcomes, update=_moving(arguments), offline=arguments.offline, reporter=ui.reporter
    )
    if ui.json or arguments.summary == "json":
        ui.json = True
        ui.result("", updates_value(updates))
    else:
        draw = updates_markdown if arguments.summary == "markdown" else updates_text
        ui.result(draw(updates), None, asked=True)


def _show_checks(checks: Sequence[LockCheck], ui: UI) -> int:
    """Print what checking found; status 1 if a lock is stale."""
    stale = any(check.findings for check in checks)
    if stale or ui.json:
        from hermetic.report.locks import checks_text, checks_value

        ui.result(checks_text(checks), checks_value(checks))
    else:
        from hermetic.report.instant import checked_text

        ui.result("\n".join(checked_text(check.name, check.path) for check in checks), None)
    return 1 if stale else 0


def show_outcomes(outcomes: Sequence[LockOutcome], ui: UI) -> int:
    """Print what moved in each lock."""
    from hermetic.report.locks import outcome_text

    ui.result(
        "\n".join(outcome_text(outcome, colour=ui.colour) for outcome in outcomes),
        {"locks": [outcome.to_dict() for outcome in outcomes]},
    )
    return 0
