"""Try a packaged Python before it is offered: it must start from another folder and load nothing of this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from hermetic.errors import BuildError
from hermetic.outputs.channel.archive import PLACEHOLDER, File
from hermetic.outputs.channel.interpreter import Interpreter
from hermetic.outputs.channel.libraries import is_glibc

_QUESTION = """
import importlib, json, platform, sys, sysconfig
failed = {}
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
with open("/proc/self/maps") as maps:
    loaded = sorted({line.split(None, 5)[5].rstrip() for line in maps if ".so" in line})
paths = sysconfig.get_paths()
print(json.dumps({"prefix": sys.prefix, "path": sys.path, "purelib": paths["purelib"], "failed": failed,
                  "loaded": loaded, "version": platform.python_version().rstrip("+")}))
"""


def try_python(interpreter: Interpreter, files: Iterable[File], program: str, scratch: Path) -> None:
    """Put files together in an empty folder and run Python from it. Raises BuildError if anything is not as it must be.

    ``files`` are Python's and those of the libraries that it needs; every extension module is imported.
    """
    prefix = scratch.resolve() / "prefix"
    modules = []
    for file in files:
        target = prefix / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            target.symlink_to(file.link)
        elif file.prefix or isinstance(file.content, bytes):
            target.write_bytes(file.read().replace(PLACEHOLDER.encode(), str(prefix).encode()))
        elif file.path == program or file.path.startswith("lib/lib"):
            target.write_bytes(file.read())  # where a program and its libraries stand decides what they find
        else:
            target.symlink_to(file.content)
        if file.executable and not file.link and not target.is_symlink():
            target.chmod(0o755)
        if "/lib-dynload/" in file.path and file.path.endswith(".so"):
            modules.append(Path(file.path).name.split(".")[0])
    command = [str(prefix / program), "-I", "-B", "-c", _QUESTION, " ".join(sorted(modules))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd=prefix, timeout=120)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise BuildError(f"the packaged Python does not start: {done.stderr.strip()[-500:]}") from None
    failed = {name: reason for name, reason in answer["failed"].items() if _imports(interpreter, name)}
    faults = [f"module {name}: {reason}" for name, reason in failed.items()]
    site = str(prefix / interpreter.site_packages)
    if answer["prefix"] != str(prefix):
        faults.append(f"it takes {answer['prefix']} for its prefix")
    if answer["purelib"] != site or site not in answer["path"]:
        faults.append(f"it does not look for packages in {interpreter.site_packages}")
    inside = (str(prefix), str(scratch.resolve()))
    foreign = [path for path in answer["loaded"] if not path.startswith(inside) and not is_glibc(Path(path).name)]
    if answer["version"] != interpreter.version:
        faults.append(f"it says that it is Python {answer['version']}")
    if foreign:
        faults.append(f"it loads libraries of this machine: {', '.join(foreign)}")
    if faults:
        raise BuildError(
            f"{interpreter.executable} cannot be packaged: {'; '.join(faults)}", remedy="try another CPython"
        )


def _imports(interpreter: Interpreter, module: str) -> bool:
    """Tell whether the installed Python itself can import a module."""
    command = [str(interpreter.executable), "-I", "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
