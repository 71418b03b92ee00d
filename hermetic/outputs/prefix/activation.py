"""The environment variables of a prefix in use: what ``conda activate`` would set, without a shell to stay in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import BuildError, MachineError

if TYPE_CHECKING:
    from hermetic.secrets import Lookup

_UNSET = "***unset***"
"""How conda writes a variable that an environment takes away."""

_SOURCE_AND_TELL = 'for script in "$@"; do . "$script" 1>&2; done; command -p env -0'
_OF_THE_SHELL = ("_", "SHLVL", "PWD", "OLDPWD")  # what the shell sets for itself


def activation_environment(
    prefix: Path, base: Mapping[str, str] | None = None, lookup: Lookup | None = None
) -> dict[str, str]:
    """Give the variables of a process that runs in a prefix: ``base`` (default: ours), changed by the prefix.

    The prefix's folders come first in ``PATH``, its variables are set, then its packages' activation scripts
    (``etc/conda/activate.d``) are run once, and what they export is taken over. Secrets that the environment's own
    variables refer to are put in last, so no script sees them; ``lookup`` as in ``secret_value``. Raises BuildError for
    a script that fails, MachineError where there is no shell for it, CredentialsError for a secret that is not there.
    """
    environment = dict(os.environ if base is None else base)
    folders = [str(folder) for folder in _folders(prefix)]
    rest = [part for part in environment.get("PATH", os.defpath).split(os.pathsep) if part not in folders]
    environment["PATH"] = os.pathsep.join([*folders, *rest])
    for name in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"):  # another Python's; not ours
        environment.pop(name, None)
    environment["CONDA_PREFIX"] = str(prefix)
    environment["CONDA_DEFAULT_ENV"] = prefix.name
    environment["CONDA_SHLVL"] = "1"
    declared = _strings(prefix / "conda-meta" / "state", "env_vars")
    for name, value in (_packages_variables(prefix) | declared).items():
        if value == _UNSET:
            environment.pop(name, None)
        else:
            environment[name] = value
    scripts = sorted((prefix / "etc" / "conda" / "activate.d").glob("*.sh"))
    if scripts and os.name == "posix":
        environment = _run_scripts(scripts, environment)
    ours = {name: value for name, value in declared.items() if environment.get(name) == value}
    return environment | with_secrets(ours, lookup)


def with_secrets(variables: Mapping[str, str], lookup: Lookup | None = None) -> dict[str, str]:
    """Give those of an environment's variables that refer to secrets, with the secrets in place of the references.

    Raises CredentialsError for a secret that is not there.
    """
    found = {name: value for name, value in variables.items() if "${secret:" in value}
    if not found:
        return {}
    from hermetic.secrets import resolve

    return {
        name: resolve(value, needed_by=f"the environment variable {name}", lookup=lookup)
        for name, value in found.items()
    }


def _folders(prefix: Path) -> list[Path]:
    if sys.platform == "win32":
        library = prefix / "Library"
        return [prefix, library / "mingw-w64" / "bin", library / "usr" / "bin", library / "bin", prefix / "Scripts"]
    return [prefix / "bin"]


def _packages_variables(prefix: Path) -> dict[str, str]:
    """Give the variables of packages (``env_vars.d``). What they refer to is not looked up: they are other people's."""
    found: dict[str, str] = {}
    for file in sorted((prefix / "etc" / "conda" / "env_vars.d").glob("*.json")):
        found |= _strings(file, None)
    return found


def _strings(file: Path, member: str | None) -> dict[str, str]:
    try:
        values = json.loads(file.read_bytes())
        values = values[member] if member else values
        return {str(name): str(value) for name, value in values.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BuildError(f"{file} cannot be read", remedy="build the environment anew") from None


def _run_scripts(scripts: list[Path], environment: Mapping[str, str]) -> dict[str, str]:
    shell = shutil.which("bash", path=environment.get("PATH")) or shutil.which("sh")
    if shell is None:
        raise MachineError("there is no shell to run the environment's activation scripts", remedy="install bash")
    answer = subprocess.run(
        [shell, "-c", _SOURCE_AND_TELL, "activate", *map(str, scripts)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if answer.returncode or not answer.stdout:
        said = answer.stderr.decode(errors="replace").strip()
        raise BuildError(
            f"an activation script in {scripts[0].parent} failed" + (f": {said}" if said else ""),
            remedy="try them one by one in a shell",
        )
    pairs = (item.partition("=") for item in answer.stdout.decode("utf-8", "surrogateescape").split("\0"))
    found = {name: value for name, equals, value in pairs if equals and name not in _OF_THE_SHELL}
    return found | {name: environment[name] for name in _OF_THE_SHELL if name in environment}
