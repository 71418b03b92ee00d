"""Which solver and which resolver answers: chosen by name here, and only here."""

from __future__ import annotations

from pathlib import Path

from hermetic.errors import MachineError, UsageError
from hermetic.events import Reporter
from hermetic.lock.conda_solver import CondaSolver, RattlerSolver
from hermetic.lock.pip_resolver import PipResolver

CONDA_SOLVERS = ("rattler", "conda-lock")
PIP_RESOLVERS = ("uv", "pip-tools")


def conda_solver(name: str, rattler: RattlerSolver, *, offline: bool) -> CondaSolver:
    """Give the conda solver of a name; the default (an empty name) is py-rattler's. Raises UsageError for another."""
    if name in {"", "rattler"}:
        return rattler
    if name == "conda-lock":
        from hermetic.lock.conda_lock_solver import CondaLockSolver

        return CondaLockSolver(offline=offline)
    raise UsageError(f"unknown conda solver {name!r}", remedy=f"use one of: {', '.join(CONDA_SOLVERS)}")


def pip_resolver(name: str, cache: Path, reporter: Reporter) -> PipResolver:
    """Give the pip resolver of a name. The default (an empty name) is uv, and pip-tools where there is no uv.

    Raises UsageError for another name.
    """
    if name not in {"", *PIP_RESOLVERS}:
        raise UsageError(f"unknown pip resolver {name!r}", remedy=f"use one of: {', '.join(PIP_RESOLVERS)}")
    if name != "pip-tools":
        from hermetic.lock.uv_resolver import UvResolver, find_uv

        try:
            return UvResolver(cache, find_uv())
        except MachineError:
            if name:
                raise
            reporter.warn("uv is not installed: pip-tools resolves, slowly, and for this machine only")
    from hermetic.lock.piptools_resolver import PipToolsResolver

    return PipToolsResolver(cache)
