"""Conda solving by conda-lock and a conda, mamba or micromamba: the second backend, used where one is installed.

conda-lock finds an executable by itself too, but where there is none it downloads one; so it is looked for here, and
its absence is an error. Old pins are kept all together where they fit together, else none of them is: conda cannot
prefer. What it cannot do at all is refused.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from hermetic.errors import HermeticError, MachineError, NetworkError, UnsatisfiableError
from hermetic.lock.conda_solver import CondaRequest, package_from
from hermetic.lock.model import CondaPackage
from hermetic.lock.programs import run
from hermetic.secrets import access, redact
from hermetic.spec.model import CondaRequirement

PROGRAMS = ("micromamba", "mamba", "conda")


class CondaLockSolver:
    """The conda solver of conda-lock. ``program`` is the executable; by default the first that is found."""

    def __init__(self, program: str | None = None, *, offline: bool = False) -> None:
        self._program = program
        self._offline = offline

    async def solve(self, request: CondaRequest) -> tuple[CondaPackage, ...]:
        """Solve (see the Protocol). Raises MachineError too, for what only another solver can do."""
        program = self._program or find_program()
        if request.exclude_newer:
            raise MachineError("conda cannot leave out what is newer than a time", remedy="use the default solver")
        for channel in request.channels:
            if access(channel.url).headers:
                raise MachineError(
                    f"channel {channel.name} needs credentials, and conda-lock would show them on a command line",
                    remedy="use the default solver",
                )
        found = await self._ask(program, request, ())
        names = {package.name for package in found}
        pins = tuple(package for package in request.keep if package.name in names)
        if not pins:
            return found
        try:
            return await self._ask(program, request, pins)
        except UnsatisfiableError:
            return found

    async def _ask(
        self, program: str, request: CondaRequest, pins: tuple[CondaPackage, ...]
    ) -> tuple[CondaPackage, ...]:
        locations = {channel.name: channel.url.rstrip("/") for channel in request.channels}
        question = {
            "program": program,
            "platform": request.platform,
            "channels": list(locations.values()),
            "specs": [_spec(requirement, locations) for requirement in request.requirements]
            + [f"{package.name}=={package.version}={package.build}" for package in pins],
            "virtual_packages": {
                v.name: v.version if v.build == "0" else f"{v.version} {v.build}" for v in request.virtual_packages
            },
        }
        environment = {**os.environ, "CONDA_CHANNEL_PRIORITY": "strict", "MAMBA_CHANNEL_PRIORITY": "strict"}
        if self._offline:
            environment.update(CONDA_OFFLINE="true", MAMBA_OFFLINE="true")
        worker = [sys.executable, "-m", "hermetic.lock.conda_lock_worker"]
        ran = await run(worker, environment, text=json.dumps(question))
        if ran.status:
            raise MachineError(
                f"conda-lock failed: {redact(ran.said.strip().splitlines()[-1] if ran.said.strip() else '')}",
                remedy="use the default solver",
            )
        answer = json.loads(ran.output)
        if "error" in answer:
            raise _explain(answer["error"], request)
        return tuple(
            sorted(
                package_from(_record(stated), _channel(stated, locations))
                for stated in answer["packages"]
                if not str(stated["url"]).startswith(answer["virtual_channel"])
            )
        )


def find_program() -> str:
    """Give the path of a conda, mamba or micromamba. Raises MachineError if none is installed."""
    for name in ("MAMBA_EXE", "CONDA_EXE"):
        if (named := os.environ.get(name)) and shutil.which(named):
            return named
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    raise MachineError(
        "the conda-lock solver needs conda, mamba or micromamba, and none is installed",
        remedy="install one of them, or use the default solver, which needs none",
    )


def _spec(requirement: CondaRequirement, locations: dict[str, str]) -> str:
    return f"{locations[requirement.channel]}::{requirement.match}" if requirement.channel else requirement.match


def _record(stated: dict[str, Any]) -> dict[str, Any]:
    """Give a FETCH action in the words of repodata; conda and mamba differ in a few."""
    return {**stated, "build": stated.get("build") or stated.get("build_string", "")}


def _channel(stated: dict[str, Any], locations: dict[str, str]) -> str:
    url = str(stated["url"])
    return next(
        (name for name, location in locations.items() if url.startswith(f"{location}/")), str(stated["channel"])
    )


def _explain(error: dict[str, Any], request: CondaRequest) -> HermeticError:
    problems = error.get("solver_problems") or []
    text = redact(
        "\n  ".join([*problems, str(error.get("message", ""))] if problems else [str(error.get("message", ""))])
    )
    name = str(error.get("exception_name", ""))
    if "HTTP" in name or "Connection" in name or "HTTP" in text.partition("\n")[0]:
        return NetworkError(f"conda cannot read a channel: {text}", remedy="check the network and the channels")
    place = next((r.place for r in request.requirements if r.place and r.name in text), None)
    return UnsatisfiableError(
        f"the requirements for {request.platform} cannot be met: {text.strip()}",
        place=place,
        remedy="loosen or remove one of the requirements that contradict each other",
    )
