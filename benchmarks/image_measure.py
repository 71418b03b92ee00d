"""Measuring for ``image.py``: steps of several tools in turn, with all that they set going, and a table of ratios.

A docker client does nothing itself: the processor time that is told is that of all processes below the benchmark
(clients, daemons, containers; not the registry and the index), whoever started them. The peak of memory is that of
the largest process that the step itself waited for, so it says nothing of what a daemon uses.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CHILD_SUBREAPER = 36
_LAUNCHER = """
import json, os, sys, time
begin = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - begin
with open(sys.argv[1], "w") as file:
    json.dump([wall, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)], file)
"""
"""A process inherits the peak of the one that starts it, so that has to be a small one."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Step:
    """A command to time."""

    tool: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Run:
    """One run: wall and processor seconds, peak resident bytes of a process, bytes sent to the registry, output."""

    wall: float
    cpu: float
    peak: int
    sent: int
    said: str = field(default="", repr=False)

    def __add__(self, other: Run) -> Run:
        """Give what both take one after the other."""
        return Run(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak), self.sent + other.sent)


@dataclass(frozen=True)
class Row:
    """All runs of a step."""

    tool: str
    runs: tuple[Run, ...]

    @property
    def wall(self) -> float:
        return statistics.median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        return statistics.median(run.cpu for run in self.runs)

    @property
    def peak(self) -> float:
        return statistics.median(run.peak for run in self.runs)

    @property
    def sent(self) -> float:
        return statistics.median(run.sent for run in self.runs)

    @property
    def noise(self) -> float:
        if len(self.runs) < 2:
            return 0.0
        low, _, high = statistics.quantiles([run.wall for run in self.runs], n=4, method="inclusive")
        return (high - low) / self.wall


@dataclass
class Measure:
    """Runs steps. ``received`` tells the bytes that the registry's relay has seen, ``servers`` are left out of cpu."""

    received: Callable[[], int] = lambda: 0
    servers: Callable[[], Sequence[int]] = tuple
    results: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)  # what daemons leave behind stays below us, and is counted

    def once(self, step: Step) -> Run:
        """Run a step. One that fails ends the benchmark."""
        os.sync()  # nobody waits for what another wrote
        with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile() as told:
            sent, cpu = self.received(), self._cpu()
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, told.name, *step.command],
                env={**os.environ, **step.env},
                cwd=step.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
            )
            cpu, sent = self._cpu() - cpu, self.received() - sent
            wall, peak, code = json.load(told)
            output.seek(0)
            said = output.read().decode(errors="replace")
        if code:
            sys.exit(f"{step.tool}: {shlex.join(step.command)} ended with {code}\n{said[-4000:]}")
        return Run(wall, cpu, peak, sent, said)

    def show(self, title: str, rows: Sequence[Row], load: float) -> None:
        """Print a table: how many times the first row's wall and processor time a row takes."""
        width = max(len(row.tool) for row in rows)
        sends = any(row.sent > 10_000 for row in rows)
        count = len(rows[0].runs)
        print(f"\n{title} ({count} run{'s' * (count > 1)}, {os.cpu_count()} processors, load {load:.1f})")
        print(f"  {'':{width}}  {'median':>9}  {'best':>9}  {'noise':>5}  {'cpu':>8}  {'peak MB':>7}"
              f"{'sent MB':>10}  {'wall':>7}  {'cpu':>7}" if sends else
              f"  {'':{width}}  {'median':>9}  {'best':>9}  {'noise':>5}  {'cpu':>8}  {'peak MB':>7}"
              f"  {'wall':>7}  {'cpu':>7}")  # fmt: skip
        first = rows[0]
        for row in rows:
            best = min(run.wall for run in row.runs)
            sent = f"{row.sent / 1e6:10.3f}" if sends else ""
            print(
                f"  {row.tool:{width}}  {row.wall:8.3f}s  {best:8.3f}s  {row.noise:5.0%}  {row.cpu:7.2f}s"
                f"  {row.peak / 1e6:7.0f}{sent}  {row.wall / first.wall:6.2f}x"
                f"  {row.cpu / max(first.cpu, 1e-3):6.2f}x",
                flush=True,
            )
            self.results.append({
                "title": title, "tool": row.tool, "load": load, "wall": [run.wall for run in row.runs],
                "cpu": [run.cpu for run in row.runs], "peak": [run.peak for run in row.runs],
                "sent": [run.sent for run in row.runs],
            })  # fmt: skip

    def write(self, path: Path) -> None:
        """Write all results as JSON."""
        path.write_text(json.dumps(self.results, indent=1) + "\n")

    def _cpu(self) -> float:
        """Tell the processor seconds of all that ended below us, or lives there and is no server of ours."""
        times: dict[int, tuple[int, int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                times[int(entry)] = int(fields[1]), sum(map(int, fields[11:15]))
        ours, servers = {os.getpid()}, set(self.servers())
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in times.items():
            children.setdefault(parent, []).append(pid)
        ticks, waiting = 0, list(ours)
        while waiting:
            for child in children.get(waiting.pop(), []):
                if child not in servers:
                    ticks += times[child][1]
                    waiting.append(child)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ticks / _TICK + ended.ru_utime + ended.ru_stime
