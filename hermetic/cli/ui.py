"""How the command line talks: results on standard output, everything else on standard error.

Colours and bars only on a terminal (and never with NO_COLOR or ``--no-progress``); with ``--json`` the
result is one JSON document on standard output and an error is one JSON object on standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from types import TracebackType
from typing import Any, Self

from hermetic.events import SILENT, Reporter


class UI:
    """One call's way of talking, made from its arguments. A context manager: bars are gone when it ends."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.json: bool = getattr(arguments, "json", False)
        self.quiet: bool = getattr(arguments, "quiet", False)
        self.verbose: int = getattr(arguments, "verbose", 0)
        self._progress = not getattr(arguments, "no_progress", False)
        self._reporter: Reporter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        close = getattr(self._reporter, "close", None)
        if close:
            close()

    @property
    def colour(self) -> bool:
        """Whether standard output is a person's terminal that wants colours."""
        return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    @property
    def reporter(self) -> Reporter:
        """The reporter to hand to rooms: bars on a terminal, lines elsewhere, warnings only when quiet."""
        if self._reporter is None:
            from hermetic.cli.progress import Bars, Lines

            if self.quiet or self.json:
                self._reporter = Lines(tasks=False, messages=False)
            elif self._progress and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and "CI" not in os.environ:
                self._reporter = Bars(colour="NO_COLOR" not in os.environ)
            else:
                self._reporter = Lines(tasks=self.verbose > 0, messages=True)
        return self._reporter or SILENT

    def result(self, text: str, value: Any, *, asked: bool = False) -> None:
        """Print a result: ``value`` as JSON with ``--json``, else ``text`` unless it is empty or the call is quiet.

        What was ``asked`` for, and is not an account of what was done, is printed even then.
        """
        if self.json:
            print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
        elif text and (asked or not self.quiet):
            print(text.removesuffix("\n"))

    def output(self, text: str, value: Any) -> None:
        """Print a file that was asked for (an export, a script) as it is, or ``value`` as JSON with ``--json``."""
        if self.json:
            self.result("", value)
        else:
            sys.stdout.write(text)

    def error_line(self, text: str) -> None:
        """Print one line of error."""
        print(concealed(f"hermetic: {text}"), file=sys.stderr)

    def fail(self, error: Exception) -> int:
        """Print an error as its reader needs it, and give the exit status that belongs to it."""
        from hermetic.cli import INTERNAL_ERROR
        from hermetic.errors import HermeticError, MachineError

        if isinstance(error, OSError) and not isinstance(error, HermeticError):
            error = MachineError(
                f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}",
                remedy="mend what the system complains about, and run the same command again",
            )
        if not isinstance(error, HermeticError):
            if self.verbose:
                import traceback

                sys.stderr.write(concealed("".join(traceback.format_exception(error))))
            self.error_line(f"internal error: {type(error).__name__}: {error}")
            print("  this is a fault of hermetic's: please report it, with what -v prints", file=sys.stderr)
            return INTERNAL_ERROR
        if self.json:
            told = {"message": concealed(error.message), "remedy": error.remedy and concealed(error.remedy)}
            print(json.dumps({"error": error.to_dict() | told}, sort_keys=True, ensure_ascii=False), file=sys.stderr)
        else:
            self.error_line(str(error))
        return error.exit_status


def concealed(text: str) -> str:
    """Hide secrets that were looked up: the last place where one that came with another program's words can be met."""
    known = sys.modules.get("hermetic.secrets")
    return known.conceal(text) if known else text
