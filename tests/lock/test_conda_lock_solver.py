"""The second conda solver: absent executables are told, never fetched; one that is there is asked by conda-lock.

No conda can be installed where these tests run, so ``conda`` is played by a script that takes conda's arguments and
environment, solves with py-rattler, and answers in conda's JSON. What is tested is our side and conda-lock's.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny_channel import pure, python, record, write_channel

from hermetic.errors import MachineError, Place, UnsatisfiableError
from hermetic.lock.conda_lock_solver import CondaLockSolver, find_program
from hermetic.lock.conda_solver import ChannelAt, CondaRequest, CondaSolver, RattlerSolver
from hermetic.lock.model import CondaPackage
from hermetic.platforms import Accelerator, virtual_packages
from hermetic.spec.model import CondaRequirement

PLAYER = """\
import asyncio, json, os, sys
from rattler import BuildString, Channel, Gateway, GenericVirtualPackage, MatchSpec, PackageName, Version, solve

def main():
    arguments, channels, specs = iter(sys.argv[1:]), [], []
    assert next(arguments) == "create"
    for argument in arguments:
        if argument == "--channel":
            channels.append(next(arguments))
        elif argument == "--prefix":
            next(arguments)
        elif not argument.startswith("--"):
            specs.append(argument)
    assert os.environ["CONDA_CHANNEL_PRIORITY"] == "strict"
    platform = os.environ["CONDA_SUBDIR"]
    virtual = [("__unix", "0", "0")] + [
        (f"__{key[15:].lower()}", value, "0")
        for key, value in os.environ.items() if key.startswith("CONDA_OVERRIDE_") and value and key[15:] != "ARCHSPEC"
    ]
    packages = [GenericVirtualPackage(PackageName(n), Version(v), BuildString(b)) for n, v, b in virtual]
    try:
        records = asyncio.run(solve(
            [Channel(url) for url in channels], [MatchSpec(spec) for spec in specs], platforms=[platform, "noarch"],
            gateway=Gateway(cache_dir=os.environ["CONDA_PKGS_DIRS"]), virtual_packages=packages,
        ))
    except Exception as error:
        print(json.dumps({"exception_name": "UnsatisfiableError", "message": str(error), "success": False}))
        return 1
    fetch = [json.loads(record.to_json()) for record in records]
    print("Collecting package metadata: done")
    print(json.dumps({"success": True, "actions": {"FETCH": fetch, "LINK": [{"name": f["name"]} for f in fetch]}}))
    return 0

status = main()
sys.stdout.flush()
os._exit(status)
"""


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return write_channel(
        tmp_path / "channel",
        python("3.11.7"),
        python("3.12.1"),
        record("numpy", "1.26.4", "python >=3.11,<3.12.0a0", "__glibc >=2.17", build="py311_0", license="BSD-3-Clause"),
        pure("six", "1.16.0"),
        pure("six", "1.17.0"),
        record("accel", "1.0", build="cpu_0"),
        record("accel", "1.0", "__cuda >=12", build="cuda_0", build_number=1),
    )


@pytest.fixture
def conda(tmp_path: Path) -> str:
    program = tmp_path / "bin" / "conda"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PLAYER}")
    program.chmod(0o755)
    return str(program)


def request(channel: Path, *matches: str, accelerator: str = "cpu", **more: Any) -> CondaRequest:
    return CondaRequest(
        platform="linux-64",
        channels=(ChannelAt("demo", channel.as_uri()),),
        requirements=tuple(
            CondaRequirement(match.partition(" ")[0], match, place=Place("environment.yml", n))
            for n, match in enumerate(matches, 1)
        ),
        virtual_packages=virtual_packages("linux-64", Accelerator.parse(accelerator), {}),
        **more,
    )


def solve(solver: CondaSolver, asked: CondaRequest) -> tuple[CondaPackage, ...]:
    return asyncio.run(solver.solve(asked))


@pytest.mark.parametrize("accelerator", ["cpu", "cuda-12.4"])
def test_both_solvers_give_the_same_packages(channel: Path, conda: str, tmp_path: Path, accelerator: str) -> None:
    asked = request(channel, "python 3.11.*", "numpy * py311_*", "six >=1.16,<1.17", "accel", accelerator=accelerator)
    assert solve(CondaLockSolver(conda), asked) == solve(RattlerSolver(tmp_path / "repodata"), asked)


def test_old_pins_stay_where_they_fit(channel: Path, conda: str, tmp_path: Path) -> None:
    old = solve(RattlerSolver(tmp_path / "repodata"), request(channel, "six 1.16.*", "python 3.11.*"))
    assert solve(CondaLockSolver(conda), request(channel, "six", "python", keep=old)) == old


def test_what_cannot_be_met_is_told_in_the_users_terms(channel: Path, conda: str) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        solve(CondaLockSolver(conda), request(channel, "python", "numpy <1"))
    assert caught.value.place == Place("environment.yml", 2)
    assert "numpy <1" in caught.value.message


def test_what_conda_cannot_do_is_refused(channel: Path, conda: str) -> None:
    with pytest.raises(MachineError, match="newer than a time"):
        solve(CondaLockSolver(conda), request(channel, "six", exclude_newer=datetime(2026, 1, 1, tzinfo=UTC)))
    private = CondaRequest("linux-64", (ChannelAt("demo", "https://me:pw@conda.example.org/x"),), (), ())
    with pytest.raises(MachineError, match="command line") as caught:
        solve(CondaLockSolver(conda), private)
    assert "pw" not in str(caught.value)


def test_without_an_executable_nothing_is_fetched(
    channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("CONDA_EXE", raising=False)
    monkeypatch.delenv("MAMBA_EXE", raising=False)
    with pytest.raises(MachineError, match="none is installed") as caught:
        solve(CondaLockSolver(), request(channel, "six"))
    assert caught.value.remedy == "install one of them, or use the default solver, which needs none"


def test_the_executable_is_found(conda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONDA_EXE", raising=False)
    monkeypatch.delenv("MAMBA_EXE", raising=False)
    monkeypatch.setenv("PATH", str(Path(conda).parent))
    assert find_program() == conda


def test_a_program_that_is_no_conda(channel: Path, tmp_path: Path) -> None:
    program = tmp_path / "conda"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    with pytest.raises(UnsatisfiableError, match="hello"):
        solve(CondaLockSolver(str(program)), request(channel, "six"))
