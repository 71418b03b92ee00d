"""Reporters that draw events: bars for a person at a terminal, lines for a log."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from hermetic.cli.ui import concealed

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Lines:
    """Plain lines on standard error. Warnings always; messages and the ends of tasks on request."""

    def __init__(self, *, tasks: bool, messages: bool) -> None:
        self._tasks = tasks
        self._messages = messages
        self._labels: dict[str, str] = {}

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:  # noqa: ARG002
        """Remember the task's label."""
        self._labels[task] = label

    def advance(self, task: str, amount: int = 1) -> None:
        """Draw nothing: a log wants outcomes."""

    def finish(self, task: str, note: str = "") -> None:
        """Print the task's label and outcome."""
        label = self._labels.pop(task, task)
        if self._tasks:
            print(concealed(f"{label}: {note or 'done'}"), file=sys.stderr)

    def say(self, message: str) -> None:
        """Print a message."""
        if self._messages:
            print(concealed(message), file=sys.stderr)

    def warn(self, message: str) -> None:
        """Print a warning."""
        print(concealed(f"warning: {message}"), file=sys.stderr)


class Bars:
    """Bars on a terminal, drawn by rich, which is loaded when the first task starts."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def _started(self) -> Progress:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(stderr=True, no_color=not self._colour)
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[amount]}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            self._progress.start()
        return self._progress

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        """Add a bar."""
        with self._lock:
            progress = self._started()
            self._tasks[task] = progress.add_task(label, total=total, amount="", unit=unit)

    def advance(self, task: str, amount: int = 1) -> None:
        """Move a bar."""
        with self._lock:
            if self._progress is None or task not in self._tasks:
                return
            identity = self._tasks[task]
            self._progress.advance(identity, amount)
            state = self._progress.tasks[self._progress.task_ids.index(identity)]
            self._progress.update(identity, amount=_amount(state.completed, state.total, state.fields["unit"]))

    def finish(self, task: str, note: str = "") -> None:  # noqa: ARG002
        """Take a bar away; what is left to tell is said by the verb."""
        with self._lock:
            identity = self._tasks.pop(task, None)
            if self._progress is not None and identity is not None:
                self._progress.remove_task(identity)

    def say(self, message: str) -> None:
        """Print a message above the bars."""
        self._line(message)

    def warn(self, message: str) -> None:
        """Print a warning above the bars."""
        self._line(f"warning: {message}")

    def _line(self, text: str) -> None:
        text = concealed(text)
        with self._lock:
            if self._progress is not None:
                self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=sys.stderr)

    def close(self) -> None:
        """Take all bars away."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None


def _amount(done: float, total: float | None, unit: str) -> str:
    if unit == "bytes":
        return f"{human_bytes(int(done))}/{human_bytes(int(total))}" if total else human_bytes(int(done))
    return f"{int(done)}/{int(total)} {unit}" if total else f"{int(done)} {unit}"


def human_bytes(count: int) -> str:
    """Write a number of bytes for a person: ``1.5 MB`` (decimal units, as registries use)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
