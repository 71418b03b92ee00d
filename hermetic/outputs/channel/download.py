"""Get wheels with pip, as it is configured on this machine: its index, mirrors, credentials and cache."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hermetic.errors import CredentialsError, HermeticError, MachineError, NetworkError, UnsatisfiableError, UsageError
from hermetic.outputs.channel.interpreter import Interpreter

_NETWORK = re.compile(
    r"(?i)connection (?:broken|refused|reset|error)|NewConnectionError|Max retries|timed? ?out|ProxyError|SSLError"
    r"|name resolution|network is unreachable|5\d\d Server Error|HTTP error 5\d\d|too many 5\d\d error"
)
_REFUSED = re.compile(r"\b40[13] (?:Client )?Error|HTTP error 40[13]")


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
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "pip.log"  # pip passes over an index that fails, and tells only its log that it did
    command = [sys.executable, "-m", "pip", *other, "download", "--quiet", "--disable-pip-version-check", "--no-input",
               "--log", str(log), "--only-binary", ":all:", "--dest", str(directory), *requirements]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode(errors="replace")
        raise _failure(said, log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")
    return sorted(directory.glob("*.whl"))


def _failure(said: str, log: str) -> HermeticError:
    """Give the error that pip's words and its log amount to."""
    from hermetic.secrets import redact

    lines = said.splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    # an unknown project is a 404 and no fault; what else an index answered explains why nothing was found
    faults = re.findall(r"Could not fetch URL .*", log) + errors
    if refused := next((fault for fault in faults if _REFUSED.search(fault)), None):
        return CredentialsError(
            f"pip's index refuses: {redact(refused)}", remedy="give pip the credentials: in its configuration or netrc"
        )
    if broken := next((fault for fault in faults if _NETWORK.search(fault)), None):
        return NetworkError(
            f"pip could not download: {redact(broken)}",
            remedy="check the connection and pip's index, or give wheels as files",
        )
    message = redact("\n  ".join(errors[-3:]))
    return UnsatisfiableError(
        f"no wheels for this: {message}", remedy="ask for other versions; a project without wheels cannot be taken"
    )
