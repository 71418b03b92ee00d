"""Run commands and shells in a project's environments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hermetic.errors import MachineError, UsageError
from hermetic.events import SILENT, Reporter

KEPT_WHEN_CLEAN = ("HOME", "USER", "LOGNAME", "TERM", "LANG", "TMPDIR", "SHELL")
"""Variables of the caller that even a clean environment needs to work at all."""

_PYTHONS = re.compile(r"(?:python|pip)[\d.]*")

COMMAND_NOT_FOUND = 127
"""What a POSIX shell gives for a command that is not there."""


def run_command(
    project: str | None,
    name: str | None,
    command: Sequence[str],
    *,
    locked: bool = False,
    clean: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> int:
    """Run a command in an environment, built first if it has to be; give its exit status.

    On POSIX the command replaces this process, so that signals and the terminal are its own.
    """
    try:
        prefix, label = _built(project, name, locked=locked, offline=offline, reporter=reporter)
    except UsageError as error:
        from hermetic.project.project import open_project

        if name is None or name in (names := open_project(project).names):
            raise
        raise UsageError(
            f"no environment {name!r}; there are: {', '.join(names) or 'none'}",
            place=error.place,
            remedy=f"if {name!r} is the command, write -- before it: hermetic run -- {name}",
        ) from None
    environment = _environment(prefix, clean=clean)
    _tell_of_the_hosts(command[0], environment, prefix, label, reporter)
    return _replace_process(command, environment, prefix)


def run_shell(
    project: str | None,
    name: str | None,
    *,
    locked: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
) -> int:
    """Start the user's shell in an environment, built first if it has to be; give its exit status."""
    prefix, label = _built(project, name, locked=locked, offline=offline, reporter=reporter)
    environment = _environment(prefix, clean=False)
    if environment.get("HERMETIC_SHELL"):
        raise UsageError(
            f"this shell is in the environment {environment['HERMETIC_SHELL']!r} already",
            remedy="leave it first, with 'exit'",
        )
    shell = os.environ.get("SHELL") or shutil.which("bash") or "/bin/sh"
    environment["HERMETIC_SHELL"] = label
    environment["PS1"] = f"({label}) {environment.get('PS1', '$ ')}"
    # start-up files would put their own directories before ours and take the prompt
    quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["--no-rcs"], "fish": ["--no-config"]}
    return _replace_process([shell, *quiet.get(Path(shell).name, [])], environment, prefix)


def _built(
    project: str | None, name: str | None, *, locked: bool, offline: bool, reporter: Reporter
) -> tuple[Path, str]:
    """Give where an environment is built, and its name."""
    from hermetic.project.noop import built_already

    done = built_already(project, name, None)
    if done is None:
        from hermetic.project.building import build_environment

        done = build_environment(project, name, locked=locked, offline=offline, reporter=reporter)
    return Path(done["prefix"]), str(done["name"])


def _tell_of_the_hosts(
    command: str, environment: Mapping[str, str], prefix: Path, label: str, reporter: Reporter
) -> None:
    """Warn where a Python of this machine would run because the environment has none."""
    if not _PYTHONS.fullmatch(command):
        return
    found = shutil.which(command, path=environment.get("PATH", os.defpath))
    if found and not Path(found).is_relative_to(prefix):
        reporter.warn(f"{label} has no {command}: {found} runs, which is no part of it; to have one, add python")


def _environment(prefix: Path, *, clean: bool) -> dict[str, str]:
    from hermetic.outputs.prefix.activation import activation_environment

    base: Mapping[str, str] = os.environ
    if clean:
        base = {key: value for key, value in os.environ.items() if key in KEPT_WHEN_CLEAN or key.startswith("LC_")}
        base |= {"PATH": os.defpath}
    return activation_environment(prefix, base)


def _replace_process(command: Sequence[str], environment: Mapping[str, str], prefix: Path) -> int:
    program = shutil.which(command[0], path=environment.get("PATH", os.defpath))
    if program is None:
        print(
            f"hermetic: {command[0]}: no such command in {prefix}\n"
            "  see what the environment holds with 'hermetic tree'",
            file=sys.stderr,
        )
        return COMMAND_NOT_FOUND
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        try:
            os.execve(program, list(command), dict(environment))
        except OSError as error:
            raise MachineError(
                f"cannot run {program}: {error.strerror}", remedy="check the file's mode and format"
            ) from None
    return subprocess.run([program, *command[1:]], env=dict(environment), check=False).returncode
