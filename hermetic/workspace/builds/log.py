"""The log of a build: what it tells, line by line, without secrets, on its way to the database.

Lines are gathered and written in chunks, a few times a second, by whoever calls ``flush``. What cannot be written
now (a database that is being restarted) is kept and written later, in its order.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO

from hermetic.secrets import redact

CHUNK = 64 << 10
"""Characters of one chunk, at most: what readers of a running build get at once."""
MOST = 16 << 20
"""Characters of one log, at most: a build that tells more has lost its mind."""
_STEP = 10.0
"""Seconds between two lines that tell how far a task has come."""
_END = "the log ends here: it is full"


class Log:
    """A reporter whose lines are kept; also for what programs print (``take``). Safe to use from any thread.

    ``write`` keeps a text for good; ``names`` are put in place of texts that tell nobody anything, as paths of folders
    that are gone afterwards.
    """

    def __init__(self, write: Callable[[str], None], names: Mapping[str, str] | None = None) -> None:
        self._write = write
        self._names = dict(names or {})
        self._lines: list[str] = []
        self._kept = 0
        self._guard = threading.Lock()
        self._flushing = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def start(self, task: str, label: str, total: int | None = None, unit: str = "") -> None:
        """Tell that a task begins."""
        with self._guard:
            self._tasks[task] = _Task(label, total, unit, time.monotonic())
        self.say(f"{label} ({total} {unit})" if total and unit and unit != "bytes" else label)

    def advance(self, task: str, amount: int = 1) -> None:
        """Tell how far a long task has come, now and then."""
        with self._guard:
            known = self._tasks.get(task)
            line = known.advance(amount) if known else ""
        if line:
            self.say(line)

    def finish(self, task: str, note: str = "") -> None:
        """Tell how a task ended, if there is something to say."""
        with self._guard:
            known = self._tasks.pop(task, None)
        if note:
            self.say(f"{known.label if known else task}: {note}")

    def say(self, message: str) -> None:
        """Keep a message, with the time of day (UTC)."""
        self._keep(f"{time.strftime('%H:%M:%S', time.gmtime())}  {message}")

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.say(f"warning: {message}")

    def call(self, text: str, name: str) -> None:
        """Put a name in place of a text from now on."""
        self._names[text] = name

    def clean(self, text: str) -> str:
        """Give a text as it may be kept: without secrets, and with names for what is only of the moment."""
        for found, name in self._names.items():
            text = text.replace(found, name)
        return redact(text).replace("\0", "")

    def take(self, stream: BinaryIO) -> None:
        """Keep what others print, line by line, until the stream ends."""
        for line in iter(lambda: stream.readline(CHUNK), b""):
            self._keep(line.decode(errors="replace").rstrip("\r\n"))

    def flush(self) -> None:
        """Write what was told so far. If that fails it stays here, and the error is raised."""
        with self._flushing:
            while True:
                with self._guard:
                    chunk, count = _chunk(self._lines)
                if not count:
                    return
                self._write(chunk)
                with self._guard:
                    del self._lines[:count]

    def _keep(self, text: str) -> None:
        text = self.clean(text) + "\n"
        with self._guard:
            if self._kept > MOST:
                return
            self._kept += len(text)
            self._lines += [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
            if self._kept > MOST:
                self._lines.append(f"{_END}\n")


class _Task:
    """A task that is told of while it lasts."""

    def __init__(self, label: str, total: int | None, unit: str, now: float) -> None:
        self.label = label
        self._total = total
        self._unit = unit
        self._done = 0
        self._told = now

    def advance(self, amount: int) -> str:
        """Count; give the line that is due, if one is."""
        self._done += amount
        now = time.monotonic()
        if now - self._told < _STEP:
            return ""
        self._told = now
        share = f" of {_amount(self._total, self._unit)}" if self._total else ""
        return f"{self.label}: {_amount(self._done, self._unit)}{share}"


def _amount(count: int, unit: str) -> str:
    return f"{count / 1e6:.1f} MB" if unit == "bytes" else f"{count} {unit}".rstrip()


def _chunk(lines: list[str]) -> tuple[str, int]:
    """Give the next chunk and how many lines it takes."""
    size = count = 0
    for line in lines:
        if count and size + len(line) > CHUNK:
            break
        size += len(line)
        count += 1
    return "".join(lines[:count]), count


def catch_prints(log: Log) -> Callable[[], None]:
    """Lead this process's output and its children's into the log from now on; give what waits for the last of it."""
    reading, writing = os.pipe()
    for handle in (1, 2):
        os.dup2(writing, handle)
    os.close(writing)
    stream = os.fdopen(reading, "rb")
    thread = threading.Thread(target=log.take, args=(stream,), name="log", daemon=True)
    thread.start()

    def settle() -> None:
        """Close our ends; a child that outlives us may hold its own, and is not waited for."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for handle in (1, 2):
            os.dup2(nowhere, handle)
        os.close(nowhere)
        thread.join(1.0)

    return settle
