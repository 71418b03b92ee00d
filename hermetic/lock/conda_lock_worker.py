"""The other side of conda_lock_solver: asks conda-lock, in a process of its own.

conda-lock writes to its process's environment, prints as it goes and takes long to import; here none of that
matters. One JSON question comes on standard input, one JSON answer goes to standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        answer = _solve(question)
    json.dump(answer, sys.stdout)


def _solve(question: dict[str, Any]) -> dict[str, Any]:
    from conda_lock.conda_solver import solve_specs_for_arch
    from conda_lock.models.channel import Channel
    from conda_lock.virtual_package import virtual_package_repo_from_specification

    platform = question["platform"]
    with TemporaryDirectory(prefix="hermetic-conda-") as name:
        # JSON is YAML, and this file is conda-lock's way to be told of virtual packages.
        stated = Path(name) / "virtual-packages.yaml"
        stated.write_text(json.dumps({"subdirs": {platform: {"packages": question["virtual_packages"]}}}))
        virtual = virtual_package_repo_from_specification(stated)
    channels = [Channel(url=url, used_env_vars=()) for url in question["channels"]]
    try:
        with virtual, virtual.conda_virtual_package_overrides(platform):
            plan = solve_specs_for_arch(question["program"], [*channels, virtual.channel], question["specs"], platform)
    except subprocess.CalledProcessError as error:
        return {"error": _reason(error.stdout or error.stderr or "")}
    except (RuntimeError, FileNotFoundError) as error:
        return {"error": {"message": str(error)}}
    return {"packages": plan["actions"]["FETCH"], "virtual_channel": virtual.channel_url}


def _reason(output: str) -> dict[str, Any]:
    try:
        found = json.loads(output[output.index("{") : output.rindex("}") + 1])
    except ValueError:
        return {"message": output[-2000:]}
    return found if isinstance(found, dict) else {"message": output[-2000:]}


if __name__ == "__main__":
    main()
