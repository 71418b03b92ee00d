"""Progress as data: rooms report events, reporters in the command line draw them.

The logic never prints. A room takes a ``Reporter`` (by default one that says nothing) and tells it what
starts, advances and ends; bars, plain lines and JSON lines are three ways of drawing the same events.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Reporter(Protocol):
    """What a room may tell the person who waits. Implementations must be safe to call from any thread."""

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        """Begin a task. ``task`` is unique; ``total`` counts ``unit`` ("bytes", "packages", ...) if known."""

    def advance(self, task: str, amount: int = 1) -> None:
        """Add to a task's progress, in the unit it was started with."""

    def finish(self, task: str, note: str = "") -> None:
        """End a task, with a short word on its outcome ("cached", "14 packages")."""

    def say(self, message: str) -> None:
        """Tell something worth a line: a decision, a move of a pin."""

    def warn(self, message: str) -> None:
        """Tell something that the user should change, though the work goes on."""


class Silent:
    """A reporter that says nothing: the default of every room."""

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        """Say nothing."""

    def advance(self, task: str, amount: int = 1) -> None:
        """Say nothing."""

    def finish(self, task: str, note: str = "") -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""


SILENT: Reporter = Silent()


@contextmanager
def task(reporter: Reporter, name: str, label: str, total: int | None = None, unit: str = "") -> Iterator[None]:
    """Report a task around a block; it is finished also when the block raises."""
    reporter.start(name, label, total, unit)
    note = ""
    try:
        yield
    except BaseException:
        note = "failed"
        raise
    finally:
        reporter.finish(name, note)
