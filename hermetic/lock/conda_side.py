"""The conda side of one platform: the requirements, the channels' addresses of the moment, and the old pins."""

from __future__ import annotations

from collections.abc import Sequence

from hermetic.lock.channels import channels_of
from hermetic.lock.conda_solver import CondaRequest
from hermetic.lock.incremental import kept_conda, rivals
from hermetic.lock.job import Job, Target
from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.platforms import current_platform, virtual_packages
from hermetic.spec.model import CondaRequirement

PYTHON = "python"


def wants_python(target: Target) -> bool:
    """Tell whether pip requirements need a Python that the spec does not limit: then the newest that fits is chosen.

    A bare ``python`` limits nothing, so it counts as none.
    """
    named = [requirement.match for requirement in target.spec.conda if requirement.name == PYTHON]
    return bool(target.spec.pip) and all(match == PYTHON for match in named)


async def solve_conda(job: Job, target: Target, more: Sequence[CondaRequirement] = ()) -> tuple[CondaPackage, ...]:
    """Solve the conda requirements of one platform, and ``more``. Raises what the solver raises."""
    requirements = (*target.spec.conda, *more)
    if not requirements:
        return ()
    channels = channels_of(target.spec, job.config)
    names = [channel.name for channel in channels]
    return await job.conda.solve(
        CondaRequest(
            platform=target.platform,
            channels=channels,
            requirements=requirements,
            virtual_packages=target.virtual_packages,
            keep=kept_conda(job.previous, target.platform, names, job.update, job.exclude_newer),
            moving=bool(job.update),
            rivals=rivals(job.previous, names),
            exclude_newer=job.exclude_newer,
        )
    )


async def environment_here(job: Job, python_version: str) -> PlatformLock:
    """Give the smallest environment of this machine's platform that has a Python of the same minor version."""
    here = current_platform()
    assumed = virtual_packages(here, job.spec.accelerator, dict(job.spec.system))
    minor = ".".join(python_version.split(".")[:2])
    conda = await job.conda.solve(
        CondaRequest(
            platform=here,
            channels=channels_of(job.spec, job.config),
            requirements=(CondaRequirement(PYTHON, f"{PYTHON} {minor}.*"),),
            virtual_packages=assumed,
            exclude_newer=job.exclude_newer,
        )
    )
    return PlatformLock(here, tuple(map(str, assumed)), conda)
