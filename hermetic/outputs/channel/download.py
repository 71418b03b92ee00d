"""Get wheels with pip, as it is configured on this machine: its index, mirrors, credentials and cache."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hermetic.errors import HermeticError, MachineError, NetworkError, UnsatisfiableError, UsageError
from hermetic.outputs.channel.interpreter import Interpreter

_NETWORK = re.compile(
    r"(?i)connection (?:broken|refused|reset)|NewConnectionError|Max retries|timed? ?out|ProxyError|SSLError"
    r"|name resolution|HTTP error|network is unreachable"
)


def check_requirements(requirements: Sequence[str]) -> tuple[str, ...]:
    """Give requirements in canonical text, sorted. Raises UsageError for one that is not PEP 508."""
    from packaging.requirements import InvalidRequirement, Requirement

    checked = set()
    for text in requirements:
        try:
            checked.add(str(Requirement(text)))
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{text!r} is no requirement: {reason}", remedy="write it as NAME, NAME>=1, or FILE.whl"
            ) from None
    return tuple(sorted(checked))


def download(requirements: Sequence[str], interpreter: Interpreter, directory: Path) -> list[Path]:
    """Download the newest wheels that satisfy all requirements on this machine, with what they need.

    Raises UnsatisfiableError, NetworkError, or MachineError where there is no pip.
    """
    if not requirements:
        return []
    if importlib.util.find_spec("pip") is None:
        raise MachineError(
            "pip is missing", remedy=f"install it: {sys.executable} -m ensurepip, or give wheels as files"
        )
    other = [] if interpreter.prefix == Path(sys.base_prefix) else ["--python", str(interpreter.asked)]
    command = [sys.executable, "-m", "pip", *other, "download", "--quiet", "--disable-pip-version-check", "--no-input",
               "--only-binary", ":all:", "--dest", str(directory), *requirements]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode:
        raise _failure(done.stderr)
    return sorted(directory.glob("*.whl"))


def _failure(text: str) -> HermeticError:
    from hermetic.secrets import redact

    errors = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    message = redact("\n  ".join(errors[-3:] or text.strip().splitlines()[-3:]))
    if _NETWORK.search(text):
        return NetworkError(
            f"pip could not download: {message}", remedy="check the connection and pip's index, or give wheels as files"
        )
    return UnsatisfiableError(
        f"no wheels for this: {message}", remedy="ask for other versions; a project without wheels cannot be taken"
    )
