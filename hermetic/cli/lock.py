"""Resolve environments to lockfiles: conda and pip together, for every platform they declare.

Pins of an existing lock are kept where they still satisfy the spec; --update moves what you name. Every
move is printed. --check changes nothing and decides from the files alone, without network.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hermetic.cli.ui import UI
    from hermetic.project.locking import LockOutcome

EXAMPLES = """\
examples:
  hermetic lock                               all environments of the project
  hermetic lock train --platform linux-64 --platform osx-arm64
  hermetic lock --update numpy                move numpy, and only what must move with it
  hermetic lock --update                      take the newest of everything
  hermetic lock --check                       exit status 1 if a lock is stale
  hermetic lock --exclude-newer 2026-01-31    as if it were that day"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="the environments (default: all)")
    parser.add_argument("--check", action="store_true", help="only tell whether the locks fit their specs")
    parser.add_argument(
        "--update", metavar="PKG", nargs="*", default=None, help="let these packages move; without a name, all"
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
    if arguments.check:
        from hermetic.project.checking import check_locks

        checks = check_locks(arguments.project, arguments.names, arguments.platforms)
        stale = [check for check in checks if check.findings]
        if stale or ui.json:
            from hermetic.report.locks import checks_text, checks_value

            ui.result(checks_text(checks), checks_value(checks))
        else:
            from hermetic.report.instant import checked_text

            ui.result("\n".join(checked_text(check.name, check.path) for check in checks), None)
        return 1 if stale else 0
    from hermetic.project.locking import lock_environments

    outcomes = lock_environments(
        arguments.project,
        arguments.names,
        platforms=arguments.platforms,
        update=["*"] if arguments.update == [] else arguments.update,
        exclude_newer=arguments.exclude_newer,
        conda_solver=arguments.conda_solver,
        pip_resolver="" if arguments.pip_resolver == "uv" else arguments.pip_resolver,
        offline=arguments.offline,
        reporter=ui.reporter,
    )
    return show_outcomes(outcomes, ui)


def show_outcomes(outcomes: Sequence[LockOutcome], ui: UI) -> int:
    """Print what moved in each lock."""
    from hermetic.report.locks import outcome_text

    ui.result(
        "\n".join(outcome_text(outcome, colour=ui.colour) for outcome in outcomes),
        {"locks": [outcome.to_dict() for outcome in outcomes]},
    )
    return 0
