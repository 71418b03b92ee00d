"""The command line: one module per verb, no logic.

Start-up is felt by every user on every call, so nothing is imported here that a no-op does not need.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

INTERRUPTED = 130
INTERNAL_ERROR = 70


def main() -> None:
    """Run the command line with the process's arguments and end the process."""
    from hermetic.cli.instant import answer

    status = 0 if answer(sys.argv[1:]) else _stoppable(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # the reader went away, as `hermetic tree | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if "rattler" in sys.modules:
        os._exit(status)  # py-rattler's runtime threads race with the interpreter's tear-down and may crash it
    sys.exit(status)


def _stoppable(argv: list[str]) -> int:
    """Run so that what ends a CI job, or a closed terminal, leaves as little behind as Ctrl-C does."""
    import signal

    ended: list[int] = []

    def stop(number: int, _: object) -> None:
        ended.append(number)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, stop)
    status = run(argv)
    return 128 + ended[0] if ended and status == INTERRUPTED else status


def run(argv: list[str]) -> int:
    """Run the command line with the given arguments and give its exit status."""
    import argparse
    import gc

    from hermetic import vault_hook

    gc.set_threshold(50_000, 20, 100)  # a short-lived process makes modules and values, hardly any rubbish: 5 to 10 %
    from hermetic.cli.parser import parse, wants_json
    from hermetic.cli.ui import UI

    try:
        arguments = parse(argv)
    except SystemExit as stop:  # argparse ends --help so
        return int(stop.code or 0)
    except ValueError as error:  # a UsageError, which is one
        return UI(argparse.Namespace(json=wants_json(argv))).fail(error)

    def look_up(name: str) -> str | None:
        from pathlib import Path

        from hermetic.workspace.keyvault import look_up as look_up_in

        project = getattr(arguments, "project", None)
        return look_up_in(name, Path(project) if project else None)

    vault_hook.lookup = look_up
    ui = UI(arguments)
    try:
        with ui:
            status = arguments.run(arguments, ui)
        return int(status or 0)
    except KeyboardInterrupt:
        ui.error_line("interrupted; nothing was left half-written")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001  the last handler: every other error must become a message
        return ui.fail(error)
