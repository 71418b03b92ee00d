"""Ask a Python interpreter what it is and where its parts lie, whoever built it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hermetic.errors import UsageError

_QUESTION = """
import json, os, platform, sys, sysconfig
base = getattr(sys, "_base_executable", None) or sys.executable
try:
    import select as extension
    dynload = os.path.dirname(getattr(extension, "__file__", "") or "")
except ImportError:
    dynload = ""
impl = sys.implementation
v = impl.version
full = "{0.major}.{0.minor}.{0.micro}".format(v)
if v.releaselevel != "final":
    full += v.releaselevel[0] + str(v.serial)
print(json.dumps({
    "executable": os.path.realpath(base),
    "prefix": sys.base_prefix,
    "stdlib": os.path.dirname(os.__file__),
    "dynload": dynload,
    "include": sysconfig.get_path("include", vars={"base": sys.base_prefix, "platbase": sys.base_exec_prefix}),
    "implementation": impl.name,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "marker": {
        "implementation_name": impl.name,
        "implementation_version": full,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": "",
        "platform_system": platform.system(),
        "platform_version": "",
        "python_full_version": platform.python_version().rstrip("+"),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    },
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython installation: the base one, when a virtual environment's interpreter was asked.

    ``stdlib`` and ``dynload`` are the folders of the standard library's modules and extension modules.
    ``marker`` is the environment of PEP 508 markers, without what belongs to the running kernel.
    """

    asked: Path
    executable: Path
    prefix: Path
    stdlib: Path
    dynload: Path | None
    include: Path
    free_threaded: bool
    marker: tuple[tuple[str, str], ...]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of PEP 508 markers."""
        return dict(self.marker)

    @property
    def version(self) -> str:
        """The full version, as conda writes it: ``3.11.7``, ``3.14.0rc1``."""
        return self.environment["python_full_version"]

    @property
    def minor(self) -> str:
        """Major and minor version: ``3.11``."""
        return self.environment["python_version"]

    @property
    def abi(self) -> str:
        """The ABI tag of extension modules: ``cp311``."""
        return f"cp{self.minor.replace('.', '')}{'t' if self.free_threaded else ''}"

    @property
    def flavour(self) -> str:
        """The end of the build strings of ``python``: what ``python_abi`` tells the ABIs of one version apart by."""
        return self.abi if self.free_threaded else "cpython"

    @property
    def site_packages(self) -> str:
        """Where packages go, below a prefix."""
        return f"lib/python{self.minor}{'t' if self.free_threaded else ''}/site-packages"


def ask(interpreter: Path | None = None) -> Interpreter:
    """Ask an interpreter (default: the running one) what it is.

    Raises UsageError if it does not run, is not CPython, or is older than 3.8.
    """
    path = interpreter or Path(sys.executable)
    try:
        answer = subprocess.run(
            [path, "-I", "-c", _QUESTION], capture_output=True, text=True, check=True, timeout=60, encoding="utf-8"
        ).stdout
        facts = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        detail = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1:]
        raise UsageError(
            f"{path} is no Python interpreter that runs here: {' '.join(detail)}",
            remedy="give the path of a CPython 3.8 or newer",
        ) from error
    if facts["implementation"] != "cpython":
        raise UsageError(
            f"{path} is {facts['implementation']}, and only CPython can be packaged", remedy="give a CPython"
        )
    found = Interpreter(
        asked=path,
        executable=Path(facts["executable"]),
        prefix=Path(facts["prefix"]),
        stdlib=Path(facts["stdlib"]),
        dynload=Path(facts["dynload"]) if facts["dynload"] else None,
        include=Path(facts["include"]),
        free_threaded=facts["free_threaded"],
        marker=tuple(sorted(facts["marker"].items())),
    )
    if tuple(map(int, found.minor.split("."))) < (3, 8):
        raise UsageError(f"{path} is Python {found.minor}", remedy="give a CPython 3.8 or newer")
    return found
