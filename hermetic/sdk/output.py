"""What the Python API tells while it works: nothing, or lines on standard output; warnings are always kept."""

from __future__ import annotations

import threading
import warnings

from hermetic.sdk.errors import HermeticWarning


class Output:
    """A reporter for programs and notebooks. ``warnings`` holds what should be changed, whether shown or not."""

    def __init__(self, *, show: bool) -> None:
        self.warnings: list[str] = []
        self._show = show
        self._labels: dict[str, str] = {}
        self._lock = threading.Lock()

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        """Tell that a task begins."""
        self._labels[task] = label
        self._print(f"{label} ({total} {unit})" if total and unit and unit != "bytes" else label)

    def advance(self, task: str, amount: int = 1) -> None:
        """Tell nothing: lines that move belong to a terminal."""

    def finish(self, task: str, note: str = "") -> None:
        """Tell how a task ended, if there is something to say."""
        label = self._labels.pop(task, task)
        if note:
            self._print(f"{label}: {note}")

    def say(self, message: str) -> None:
        """Tell a message."""
        self._print(message)

    def warn(self, message: str) -> None:
        """Keep a warning, and tell it."""
        self.warnings.append(message)
        self._print(f"warning: {message}")

    def pass_on(self) -> None:
        """Hand warnings that were not shown to Python's ``warnings``."""
        if not self._show:
            for message in self.warnings:
                warnings.warn(message, HermeticWarning, stacklevel=4)

    def _print(self, line: str) -> None:
        if self._show:
            with self._lock:
                print(line, flush=True)
