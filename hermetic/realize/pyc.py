"""Compiled modules, made once per package and Python, by the environment's own interpreter in parallel.

The bytes depend on the sources, their place in a prefix and the Python package, and on nothing else: not on the
prefix (the name in a pyc is relative; Python's import puts the real one in), not on order, job count or hash seed.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import BuildError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import CondaPackage
from hermetic.plan.files import Listing
from hermetic.plan.keys import pyc_tree_key
from hermetic.realize.faults import machine_fault
from hermetic.realize.trees import FILES, Tree, find_tree, normalise, read_tree, write_listing

if TYPE_CHECKING:
    from hermetic.store import Store

KIND = "pyc"
TASK = "compile"
_BATCH = 16
_OPTIONS = ("-S", "-B", "-W", "ignore")
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": os.defpath}


@dataclass(frozen=True)
class Interpreter:
    """The Python that compiles: its package, its executable, and the tag of its pyc files (``cpython-311``)."""

    package: CondaPackage
    executable: Path
    tag: str


@dataclass(frozen=True)
class Source:
    """A module to compile: its place in a prefix, its digest, and where its bytes are now."""

    path: str
    sha256: str
    file: str


def pyc_path(source: str, tag: str) -> str:
    """Give the place of a module's pyc (PEP 3147)."""
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def interpreter(package: CondaPackage, executable: Path) -> Interpreter:
    """Ask a Python for the tag of its pyc files. Raises BuildError if it does not run."""
    command = [os.fspath(executable), *_OPTIONS, "-c", "import sys; print(sys.implementation.cache_tag)"]
    try:
        answer = subprocess.run(command, env=_ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False)
        tag, said = answer.stdout.strip(), answer.stderr.strip()
    except OSError as error:
        tag, said = "", str(error)
    if not tag:
        raise BuildError(
            f"the environment's python {package.version} does not run on this machine"
            + (f": {said.splitlines()[-1]}" if said else ""),
            remedy="it may need a newer system (see the virtual packages in the lock), or a library that it lacks",
        )
    return Interpreter(package, executable, tag)


def pyc_trees(
    store: Store,
    python: Interpreter,
    groups: Sequence[Sequence[Source]],
    *,
    jobs: int | None = None,
    reporter: Reporter = SILENT,
) -> list[Tree]:
    """Give one tree of pyc files for each group of sources, compiled first where the store lacks it.

    Modules that do not compile have no pyc, as with ``compileall``. Raises BuildError if the interpreter fails.
    """
    keys = [pyc_tree_key(python.package, [(s.path, s.sha256) for s in group]) for group in groups]
    found = {key: find_tree(store, KIND, key) for key in keys}
    missing = {key: group for key, group in zip(keys, groups, strict=True) if found[key] is None}
    if missing:
        with ExitStack() as stack:
            folders = {key: stack.enter_context(store.new_tree(KIND, key)) for key in missing}
            work = [item for key, group in missing.items() for item in _targets(folders[key], group, python.tag)]
            with task(reporter, TASK, "compiling modules", len(work), "modules"):
                failed = _compile(python, work, jobs or os.cpu_count() or 1, reporter)
            for folder in folders.values():
                skipped = sorted(name for name, target in failed if target.startswith(f"{folder}/"))
                write_listing(folder, Listing(normalise(folder / FILES), {"skipped": skipped}))
    return [found[key] or read_tree(store, KIND, key) for key in keys]


def _targets(folder: Path, group: Sequence[Source], tag: str) -> list[list[str]]:
    files = folder / FILES
    files.mkdir()
    targets = [f"{files}/{pyc_path(source.path, tag)}" for source in group]
    for parent in {target.rpartition("/")[0] for target in targets}:
        Path(parent).mkdir(parents=True, exist_ok=True)
    return [[source.file, source.path, target] for source, target in zip(group, targets, strict=True)]


def _compile(python: Interpreter, work: list[list[str]], jobs: int, reporter: Reporter) -> list[tuple[str, str]]:
    """Compile [file, name, target] items in worker processes; give (name, target) of those that cannot be."""
    work = sorted(work, key=lambda item: -os.path.getsize(item[0]))  # noqa: PTH202  the large ones first
    batches: queue.SimpleQueue[list[list[str]]] = queue.SimpleQueue()
    workers = max(1, min(jobs, len(work) // _BATCH + 1))
    step = max(1, min(_BATCH, len(work) // (workers * 4) + 1))
    for start in range(0, len(work), step):
        batches.put(work[start : start + step])
    failed: list[tuple[str, str]] = []
    faults: list[BaseException] = []

    def finished(count: int) -> bool:
        reporter.advance(TASK, count)
        return bool(faults)

    def serve() -> None:
        try:
            failed.extend(_serve(python, empty, batches, finished))
        except BaseException as fault:  # noqa: BLE001  raised again by the thread that waits
            faults.append(fault)

    with tempfile.TemporaryDirectory(prefix="hermetic-") as empty:
        threads = [threading.Thread(target=serve, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if faults:
        raise faults[0]
    return failed


def _serve(
    python: Interpreter, folder: str, batches: queue.SimpleQueue[list[list[str]]], finished: Callable[[int], bool]
) -> list[tuple[str, str]]:
    """Feed one worker until the batches end, or ``finished`` says that it is all for nothing.

    ``folder`` is empty: Python looks for its modules there first.
    """
    worker = Path(__file__).with_name("pyc_worker.py").read_text()
    command = [os.fspath(python.executable), *_OPTIONS, "-c", worker]
    failed = []
    with subprocess.Popen(
        command, env=_ENVIRONMENT, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        while True:
            try:
                batch = batches.get_nowait()
            except queue.Empty:
                break
            try:
                process.stdin.write(json.dumps(batch).encode() + b"\n")
                process.stdin.flush()
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = b""
            if not answer:
                process.kill()
                with suppress(BrokenPipeError):
                    process.stdin.close()
                said = process.stderr.read().decode(errors="replace").strip().splitlines() or ["it died"]
                doing = "the environment's Python failed while it compiled modules"
                if fault := machine_fault(RuntimeError(said[-1]), doing):
                    raise fault
                raise BuildError(f"{doing}: {said[-1]}", remedy="build again, with fewer --jobs if memory is short")
            failed += [(batch[position][1], batch[position][2]) for position in json.loads(answer)]
            if finished(len(batch)):
                break
    return failed
