"""Side by side in one run: commands in turn (A B C A B C ...), as whole processes, reported as ratios.

Absolute times drift with the machine; a ratio of neighbours in time does not. Each command's own noise is
printed beside it: the spread of its runs, as (max - min) / median.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
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


@dataclass
class Runs:
    """What was measured of a case: wall seconds and peak resident bytes (of the largest process) of each run."""

    case: Case
    wall: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.wall)

    @property
    def noise(self) -> float:
        return (max(self.wall) - min(self.wall)) / self.median


def once(case: Case) -> tuple[float, int]:
    """Run a case once; give wall seconds and peak resident bytes. A failing command ends the benchmark."""
    case.before()
    begin = time.perf_counter()
    process = subprocess.Popen(
        list(case.command),
        env={**os.environ, **case.env},
        cwd=case.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{case.name}: {shlex.join(case.command)} ended with {process.returncode}\n{output.decode()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return wall, usage.ru_maxrss * unit


def compare(title: str, cases: Sequence[Case], *, runs: int = 5, warmup: int = 1) -> list[Runs]:
    """Run cases in turn and print their medians, their noise, and their ratio to the first one."""
    measured = [Runs(case) for case in cases]
    for number in range(warmup + runs):
        for result in measured:
            wall, peak = once(result.case)
            if number >= warmup:
                result.wall.append(wall)
                result.peak.append(peak)
    width = max(len(case.name) for case in cases)
    print(f"\n{title} ({runs} runs in turn, {os.cpu_count()} CPUs)")
    print(f"  {'':{width}}  {'median':>9}  {'noise':>6}  {'peak MB':>8}  {'ratio':>6}")
    for result in measured:
        ratio = statistics.median(a / b for a, b in zip(measured[0].wall, result.wall, strict=True))
        print(
            f"  {result.case.name:{width}}  {result.median:8.3f}s  {result.noise:5.0%}"
            f"  {statistics.median(result.peak) / 1e6:8.0f}  {ratio:5.2f}x"
        )
    if path := os.environ.get("BENCHMARK_JSON"):
        with Path(path).open("a") as file:
            for result in measured:
                file.write(json.dumps({"title": title, "name": result.case.name, "wall": result.wall}) + "\n")
    return measured


def peak_of_self() -> int:
    """Give this process's peak resident bytes so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
