"""Explicit lists (CEP 23): the archives are named already; only what a lock says of them is looked up."""

from __future__ import annotations

from hermetic.errors import UnsatisfiableError
from hermetic.lock.job import Job, Target
from hermetic.lock.model import CondaPackage
from hermetic.lock.pip_resolver import PipAnswer


async def resolve_exact(job: Job, target: Target) -> tuple[tuple[CondaPackage, ...], PipAnswer]:
    """Give the packages of an explicit list."""
    raise UnsatisfiableError("explicit lists are not locked yet")
