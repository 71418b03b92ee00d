"""Values that later steps of a job use, given to the CI system in its own way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hermetic.consume.ci.commands import azure_command
from hermetic.consume.ci.systems import CiSystem
from hermetic.errors import MachineError, UsageError


def tell_outputs(system: CiSystem, values: Mapping[str, str], dotenv: Path | None = None) -> list[str]:
    """Give values to later steps, and give the lines that must be printed for it.

    GitHub: steps' outputs of these names. Azure: variables ``hermetic_NAME``, and the same as a step's outputs.
    Everywhere: lines ``HERMETIC_NAME=value`` at the end of the file ``dotenv``, which GitLab reads as a report. Raises
    UsageError for a value of several lines, or with characters that do not print: it could set other names.
    """
    for name, value in values.items():
        if not value.isprintable():
            raise UsageError(
                f"the {name} {value!a} cannot be given to a CI system", remedy="use names of plain letters"
            )
    if dotenv:
        _append(dotenv, [f"HERMETIC_{name.upper()}={value}" for name, value in values.items()])
    if system.name == "github" and system.outputs:
        _append(system.outputs, [f"{name}={value}" for name, value in values.items()])
    if system.name != "azure":
        return []
    lines = []
    for name, value in values.items():
        variable = {"variable": f"hermetic_{name}"}
        lines.append(azure_command("task.setvariable", variable, value))
        lines.append(azure_command("task.setvariable", {**variable, "isOutput": "true"}, value))
    return lines


def append_text(path: Path, text: str) -> None:
    """Write at the end of a file that other steps may have begun. Raises MachineError if the system refuses."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror}", remedy="look at the folder's rights, or choose another file"
        ) from None


def _append(path: Path, lines: list[str]) -> None:
    append_text(path, "".join(f"{line}\n" for line in lines))


def outputs_of(path: Path) -> dict[str, str]:
    """Give what later steps want of a document that ``hermetic build --json`` printed. Raises UsageError for others."""
    remedy = "give the file that 'hermetic build --json' was written to"
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy=remedy) from None
    except ValueError:
        raise UsageError(f"{path} is not JSON", remedy=remedy) from None
    for names in (("reference", "digest"), ("prefix", "key")):
        if isinstance(value, dict) and all(isinstance(value.get(name), str) for name in names):
            return {name: value[name] for name in names}
    raise UsageError(f"{path} has neither an image nor an environment", remedy=remedy)
