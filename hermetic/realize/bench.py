"""The place where a source is built: its files laid out once, a fresh copy for every hook, the sandbox around it.

Every hook sees the same paths on every machine, and files that no other hook has touched, so that an answer that was
remembered and one that is asked for leave the same things behind: none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hermetic.errors import BuildError
from hermetic.realize.build_hooks import ANSWER
from hermetic.realize.build_system import BuildSystem, read_build_system
from hermetic.realize.sandbox import run_sandboxed
from hermetic.realize.sources import Source

if TYPE_CHECKING:
    from hermetic.store import Store

BUILD_PREFIX = "/build/env"
"""Where the build environment stands in every sandbox: compilers write it into what they make."""

_SOURCE, _OUT, _SCRIPT = "/build/src", "/build/out", "/build/hook/build_hooks.py"
_LARGEST_ANSWER = 1 << 20
_SHOWN = 30
ENVIRONMENT: Mapping[str, str] = {
    "PATH": f"{BUILD_PREFIX}/bin:/usr/bin:/bin",
    "PIP_NO_INDEX": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
}
"""What a build finds in its environment, beside what every sandbox has."""


@dataclass(frozen=True)
class Call:
    """One hook to call (see ``build_hooks``), in which environment, with which variables, and for whom."""

    hook: str
    system: BuildSystem
    prefix: Path
    name: str
    variables: Mapping[str, str]
    timeout: float | None = None


class Bench:
    """Holds a laid-out source while it is built. A context manager; what was laid out is gone afterwards."""

    def __init__(self, store: Store, source: Source, subdirectory: str, name: str) -> None:
        self.store = store
        self.source = source
        self.subdirectory = subdirectory
        self.name = name
        self._held = ExitStack()
        self._laid_out: tuple[Path, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def build_system(self) -> BuildSystem:
        """Read how the project is built. Raises BuildError."""
        folder, project = self._source()
        return read_build_system(folder / project, self.name)

    def call(self, call: Call, out: Path) -> Any:
        """Call a hook in a sandbox; what it makes lies in ``out``, an empty folder. Gives its answer.

        Raises BuildError with the end of what was said, and the path of all of it.
        """
        folder, project = self._source()
        asked = {
            "hook": call.hook,
            "backend": call.system.backend,
            "backend_path": call.system.backend_path,
            "out": _OUT,
        }
        with self.store.staging() as fresh:
            source, log = fresh / "src", fresh / "log"
            shutil.copytree(folder, source, symlinks=True)
            try:
                done = run_sandboxed(
                    (f"{BUILD_PREFIX}/bin/python", _SCRIPT, json.dumps(asked)),
                    writable={_SOURCE: source, _OUT: out},
                    readable={BUILD_PREFIX: call.prefix, _SCRIPT: Path(__file__).with_name("build_hooks.py")},
                    environment={**ENVIRONMENT, **call.variables},
                    cwd=str(Path(_SOURCE, project)),
                    timeout=call.timeout,
                    log=log,
                )
            except BuildError as error:  # the time is over
                raise BuildError(
                    f"{self.name}: {error.message}", remedy=f"all of it: {self._keep(log, call)}"
                ) from None
            if done.status:
                raise self._failed(call, done.status, done.tail, self._keep(log, call))
        return self._answer(call, out)

    def _source(self) -> tuple[Path, str]:
        """Give the folder of all files, laid out at the first call, and the project's path in it."""
        if self._laid_out is None:
            folder = self._held.enter_context(self.store.staging())
            root = self.source.lay_out(folder)
            project = root / self.subdirectory
            if not project.is_dir() or not project.resolve().is_relative_to(folder.resolve()):
                raise BuildError(f"{self.name}: {self.source.label} has no folder {self.subdirectory}")
            self._laid_out = folder, project.relative_to(folder).as_posix()
        return self._laid_out

    def _answer(self, call: Call, out: Path) -> Any:
        """Read what the hook's script wrote down. A build may have put anything there."""
        try:
            handle = os.open(out / ANSWER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(handle, "rb") as file:  # noqa: PTH123  a descriptor
                return json.loads(file.read(_LARGEST_ANSWER))
        except (OSError, ValueError, RecursionError):
            raise BuildError(f"{self.name}: its build backend ended before it answered {call.hook}") from None

    def _failed(self, call: Call, status: int, tail: str, log: Path) -> BuildError:
        shown = "\n".join(tail.strip().splitlines()[-_SHOWN:])
        what = {"build_wheel": "its build", "version": "asking for its version"}.get(call.hook, "asking what it needs")
        return BuildError(
            f"{self.name}: {what} failed with status {status}\n{shown}", remedy=f"{_advice(tail)}all of it: {log}"
        )

    def _keep(self, log: Path, call: Call) -> Path:
        """Keep a log where the user can read it; one of the same build that failed before is replaced."""
        kept = self.store.root / "logs" / f"{call.name}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        log.replace(kept)
        return kept


def _advice(tail: str) -> str:
    text = tail.lower()
    network = ("name resolution", "network is unreachable", "could not resolve", "nodename nor servname",
               "failed to establish a new connection", "name or service not known")  # fmt: skip
    if any(sign in text for sign in network):
        return "builds have no network: choose a version whose sdist holds all that it needs; "
    compilers = ("gcc", "cc", "g++", "c++", "clang", "gfortran", "rustc", "cargo", "make", "cmake", "ninja")
    if any(f"{sign}' failed: no such file" in text or f"{sign}: not found" in text for sign in compilers):
        return "a compiler is missing: install the machine's, which builds use; "
    if "no module named" in text:
        return "it imports what its build requirements do not name: choose another version of it; "
    return ""
