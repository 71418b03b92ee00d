"""The pip resolver of uv, as a program: one run per platform, which gives files, digests and edges together.

uv resolves for a target that it does not run on. What conda provides is shown to it as tiny wheels without
dependencies, bound by URL constraints: so uv checks every requirement against conda's versions, backtracks over
them like over any other, and fetches nothing for them.

Files, digests and sizes come from the ``pylock.toml`` that uv writes (PEP 751). The dependency edges, and which
wheel of a release uv would install, stand only in its log, which is therefore read too (``uv_log``).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hermetic.errors import MachineError, UnsatisfiableError
from hermetic.lock.model import Wheel
from hermetic.lock.pip_resolver import PipAnswer, PipRequest
from hermetic.lock.pylock import Candidate, read_pylock
from hermetic.lock.stubs import write_stubs
from hermetic.lock.uv_log import Trace, read_trace
from hermetic.platforms import VirtualPackage
from hermetic.spec.model import PipRequirement

_MANYLINUX = ((2, 40), (2, 39), (2, 38), (2, 37), (2, 36), (2, 35), (2, 34), (2, 33), (2, 32), (2, 31), (2, 28),
              (2, 17))  # fmt: skip
_FIXED = {
    "osx-64": "x86_64-apple-darwin",
    "osx-arm64": "aarch64-apple-darwin",
    "win-64": "x86_64-pc-windows-msvc",
    "win-arm64": "aarch64-pc-windows-msvc",
}
_ARCHITECTURES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}

# Settings of uv that would change the answer behind the spec's back; where to look and how to connect may stay.
_FOREIGN = frozenset(
    f"UV_{name}"
    for name in "BUILD_CONSTRAINT CONSTRAINT CUSTOM_COMPILE_COMMAND EXCLUDE EXCLUDE_NEWER FORK_STRATEGY INDEX_STRATEGY "
    "NO_BINARY NO_BINARY_PACKAGE NO_BUILD NO_BUILD_PACKAGE NO_SOURCES OFFLINE OVERRIDE PRERELEASE PROJECT PYTHON "
    "RESOLUTION SYSTEM_PYTHON TORCH_BACKEND WORKING_DIR WORKING_DIRECTORY".split()
)


class UvResolver:
    """Resolves with uv. ``program`` is the executable; by default the one that uv's own package brought."""

    def __init__(self, program: str | None = None) -> None:
        self._program = program

    async def resolve(self, request: PipRequest) -> PipAnswer:
        """Resolve (see the Protocol)."""
        target = python_platform(request.platform, request.virtual_packages)
        with tempfile.TemporaryDirectory(prefix="hermetic-uv-") as name:
            folder = Path(name)
            stubs = write_stubs(folder / "provided", request.provided)
            _write_inputs(folder, request, stubs)
            status, output = await self._run(
                [*_arguments(request, target), "requirements.in"], folder, _environment(request)
            )
            if status:
                raise UnsatisfiableError(output)
            found = read_pylock(folder / "pylock.toml")
        trace = read_trace(output)
        return _answer(request, found, trace, set(stubs))

    async def _run(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run uv; give its exit status and what it said. It is killed when the wait is cancelled."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._program or find_uv(), *arguments, cwd=folder, env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise MachineError(
                f"cannot run uv: {error.strerror}", remedy="install it again (pip install --force-reinstall uv)"
            ) from None
        try:
            _, said = await process.communicate()
        except BaseException:
            process.kill()
            raise
        return process.returncode or 0, said.decode(errors="replace")


def find_uv() -> str:
    """Give the path of uv's executable. Raises MachineError if it is not installed."""
    import uv

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        raise MachineError("uv is not installed", remedy="install it (pip install uv)") from None


def python_platform(platform: str, virtual_packages: tuple[VirtualPackage, ...]) -> str:
    """Give uv's name of a target. Raises MachineError for one that uv cannot resolve for."""
    if platform in _FIXED:
        return _FIXED[platform]
    if platform not in _ARCHITECTURES:
        raise MachineError(
            f"uv cannot resolve pip requirements for {platform}",
            remedy="take these packages from conda, or lock on such a machine with pip-tools",
        )
    glibc = next((v.version for v in virtual_packages if v.name == "__glibc"), "2.17")
    have = tuple(int(part) for part in glibc.split(".")[:2])
    level = next((level for level in _MANYLINUX if level <= have), _MANYLINUX[-1])
    return f"{_ARCHITECTURES[platform]}-manylinux_{level[0]}_{level[1]}"


def _arguments(request: PipRequest, target: str) -> list[str]:
    options = ["pip", "compile", "--quiet", "--no-progress", "--color=never", "--format=pylock.toml",
               "--output-file=pylock.toml", "--index-strategy=unsafe-best-match", "--no-python-downloads",
               f"--python={sys.executable}", f"--python-version={request.python_version}",
               f"--python-platform={target}", "--constraints=constraints.txt", "--only-binary=:all:"]  # fmt: skip
    if request.exclude_newer:
        options.append(f"--exclude-newer={request.exclude_newer.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    if request.options.pre:
        options.append("--prerelease=allow")
    if request.offline:
        options.append("--offline")
    return options


def _environment(request: PipRequest) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    environment["RUST_LOG"] = "uv_resolver=debug"
    if osx := next((v.version for v in request.virtual_packages if v.name == "__osx"), ""):
        environment["MACOSX_DEPLOYMENT_TARGET"] = osx
    return environment


def _write_inputs(folder: Path, request: PipRequest, stubs: Mapping[str, Path]) -> None:
    """Write what uv reads. Addresses stand in the file, not on the command line, which others may see."""
    lines = [f"--{name} {value}" for name, value in index_options(request)]
    lines += [requirement_line(requirement, request.root) for requirement in request.requirements]
    (folder / "requirements.in").write_text("\n".join(lines) + "\n", encoding="utf-8")
    limits = [requirement_line(requirement, request.root) for requirement in request.constraints]
    limits += [f"{name} @ {path.as_uri()}" for name, path in stubs.items()]
    (folder / "constraints.txt").write_text("\n".join(limits) + "\n", encoding="utf-8")
    if request.keep:
        pins = [f'[[packages]]\nname = "{name}"\nversion = "{version}"\n' for name, version in request.keep.items()]
        text = 'lock-version = "1.0"\ncreated-by = "hermetic"\n' + "".join(pins)
        (folder / "pylock.toml").write_text(text, encoding="utf-8")


def index_options(request: PipRequest) -> list[tuple[str, str]]:
    """Give the options of a requirements file that say where to look."""
    options = request.options
    found = [("index-url", options.index)] if options.index else []
    found += [("extra-index-url", url) for url in options.extra_indexes]
    found += [("find-links", _absolute(link, request.root)) for link in options.find_links]
    return found + ([("no-index", "")] if options.no_index else [])


def requirement_line(requirement: PipRequirement, root: Path) -> str:
    """Give a requirement as a requirements file holds it, relative paths made absolute."""
    if requirement.url.startswith((".", "/", "~")):
        path = _absolute(requirement.url, root)
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
        return f"{requirement.name}{extras} @ {Path(path).as_uri()}{marker}" if requirement.name else path + marker
    return requirement.text


def _absolute(location: str, root: Path) -> str:
    if "://" in location:
        return location
    path = Path(location).expanduser()
    return str(path if path.is_absolute() else (root.absolute() / path).resolve())


def _answer(request: PipRequest, found: Mapping[str, tuple[str, list[Candidate]]], trace: Trace,
            provided: set[str]) -> PipAnswer:  # fmt: skip
    wheels, addresses = [], {}
    for name, (version, candidates) in found.items():
        if name in provided:
            continue
        chosen = trace.files.get((name, version))
        file = next((c for c in candidates if c.file_name == chosen), candidates[0])
        addresses[file.sha256] = file.url
        wheels.append(
            Wheel(
                name=name,
                version=version,
                file_name=file.file_name,
                size=file.size,
                sha256=file.sha256,
                requires=tuple(sorted(n for n in trace.edges.get((name, version), ()) if n in found and n != name)),
                extras=tuple(sorted(trace.extras.get(name, ()))),
            )
        )
    satisfied = tuple(sorted(name for name in found if name in provided))
    return PipAnswer(tuple(sorted(wheels)), (), addresses, satisfied)
