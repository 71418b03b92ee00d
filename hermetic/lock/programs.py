"""Other programs, run beside the event loop, and never left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """How a program ended, and what it wrote."""

    status: int
    output: str
    said: str


def inherited() -> dict[str, str]:
    """Give the environment for another program: without our own variables, which hold keys and passwords."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HERMETIC_")}


async def run(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None, text: str = ""
) -> Ran:
    """Run a program to its end, with ``text`` as its input. It is killed when nobody waits any more.

    Raises OSError if it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=dict(environment), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, said = await process.communicate(text.encode())
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.communicate()  # reap it, and close its pipes while the loop is there to do it
        raise
    return Ran(process.returncode or 0, output.decode(errors="replace"), said.decode(errors="replace"))
