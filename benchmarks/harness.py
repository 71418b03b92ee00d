"""Side by side in one run: commands in turn (A B C, B C A, ...), as whole processes, reported as ratios.

Absolute times drift with the machine; a ratio of neighbours in time does not. For every command stand its median wall
time, its best, its noise (the middle half of its runs, as (75 % - 25 %) / median), the processor time of it and of all
that it started, and the peak memory of its largest process. Two ratios lead to the first command: of wall times,
as the median of the ratios within each round, and of processor times. On a machine that does other things at the
same time, trust the second.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A command to time. ``before`` runs, untimed, ahead of each of its runs (to empty a cache, say)."""

    name: str
    command: Sequence[str]
    before: Callable[[], object] = lambda: None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Run:
    """One run: wall and processor seconds, and peak resident bytes of the largest process."""

    wall: float
    cpu: float
    peak: int


@dataclass
class Runs:
    """All runs of a case."""

    case: Case
    runs: list[Run] = field(default_factory=list)

    @property
    def walls(self) -> list[float]:
        return [run.wall for run in self.runs]

    @property
    def cpus(self) -> list[float]:
        return [run.cpu for run in self.runs]

    @property
    def peak(self) -> float:
        return statistics.median(run.peak for run in self.runs)

    @property
    def noise(self) -> float:
        if len(self.runs) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.walls, n=4, method="inclusive")
        return (high - low) / statistics.median(self.walls)


def once(case: Case) -> Run:
    """Run a case once. A failing command ends the benchmark."""
    case.before()
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            list(case.command),
            env={**os.environ, **case.env},
            cwd=case.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")
            sys.exit(f"{case.name}: {shlex.join(case.command)} ended with {process.returncode}\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def compare(title: str, cases: Sequence[Case], *, runs: int = 5, warmup: int = 1) -> list[Runs]:
    """Run cases in turn and print what was measured, with the ratios of the first one to each."""
    measured = [Runs(case) for case in cases]
    load = os.getloadavg()[0]
    for number in range(warmup + runs):
        start = number % len(measured)  # whoever runs first after another's clean-up pays for it: not always the same
        for result in [*measured[start:], *measured[:start]]:
            run = once(result.case)
            if number >= warmup:
                result.runs.append(run)
    load = max(load, os.getloadavg()[0])
    width = max(len(case.name) for case in cases)
    print(f"\n{title} ({runs} runs in turn, {os.cpu_count()} processors, load {load:.1f})")
    print(
        f"  {'':{width}}  {'median':>8}  {'best':>8}  {'noise':>5}  {'cpu':>8}  {'peak MB':>7}  {'wall':>6}  {'cpu':>6}"
    )
    first = measured[0]
    for result in measured:
        wall = statistics.median(a / b for a, b in zip(first.walls, result.walls, strict=True))
        cpu = statistics.median(first.cpus) / max(statistics.median(result.cpus), 1e-4)
        print(
            f"  {result.case.name:{width}}  {statistics.median(result.walls):7.3f}s  {min(result.walls):7.3f}s"
            f"  {result.noise:5.0%}  {statistics.median(result.cpus):7.3f}s  {result.peak / 1e6:7.0f}"
            f"  {wall:5.2f}x  {cpu:5.2f}x",
            flush=True,
        )
    if path := os.environ.get("BENCHMARK_JSON"):
        with Path(path).open("a") as file:
            for result in measured:
                line = {"title": title, "name": result.case.name, "load": load, "wall": result.walls}
                file.write(json.dumps({**line, "cpu": result.cpus, "peak": result.peak}) + "\n")
    return measured
