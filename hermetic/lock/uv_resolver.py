"""The pip resolver of uv, as a program: one run per platform, which gives files, digests and edges together.

uv resolves for a target that it does not run on. What conda provides is shown to it as tiny wheels without
dependencies, bound by URL constraints: so uv checks every requirement against conda's versions, backtracks over
them like over any other, and fetches nothing for them. What has no wheel is never built by uv: it is told that such
a project needs nothing, and the built wheel says later what it does need.

Files, digests and sizes come from the ``pylock.toml`` that uv writes (PEP 751). The dependency edges, and which
wheel of a release uv would install, stand only in its log, which is therefore read too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.config import patience
from hermetic.errors import CredentialsError, MachineError, UnsatisfiableError
from hermetic.lock.pip_inputs import index_lines, limit_lines, requirement_lines, write_lines
from hermetic.lock.pip_resolver import IndexAt, PipAnswer, PipRequest
from hermetic.lock.programs import inherited, run
from hermetic.lock.stubs import write_stubs
from hermetic.platforms import VirtualPackage
from hermetic.secrets import expand
from hermetic.spec.model import PipOptions, PipRequirement

if TYPE_CHECKING:
    from hermetic.lock.pip_answers import Findings
    from hermetic.lock.pylock import Release
    from hermetic.lock.uv_annotations import Annotations
    from hermetic.lock.uv_log import Trace

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
_TO_PYLOCK = ("--format=pylock.toml", "--output-file=pylock.toml")
_ROUNDS = 5
"""How often extras of what conda provides may lead to more such extras; two is the most seen."""


class UvResolver:
    """Resolves with uv. ``cache`` keeps the stubs; ``program`` is the executable, by default uv's own package's."""

    def __init__(self, cache: Path, program: str | None = None) -> None:
        self._stubs = cache / "stubs"
        self._program = program

    async def resolve(self, request: PipRequest) -> PipAnswer:
        """Resolve (see the Protocol)."""
        try:
            return await self._resolve(request)
        except CredentialsError:
            if request.asked:
                raise
            return await self._resolve(replace(request, asked=True))

    async def _resolve(self, request: PipRequest) -> PipAnswer:
        target = python_platform(request.platform, request.virtual_packages)
        extended = {r.name for r in request.requirements if r.extras} & {p.name for p in request.provided}
        for _ in range(_ROUNDS):
            found = await self._ask(request, target, extended)
            from hermetic.lock.pip_answers import answer, satisfied_extras  # loaded while uv runs (pip_side)

            more = satisfied_extras(found, request) - extended
            if not more:
                break
            extended |= more
        return answer(request, found)

    async def _ask(self, request: PipRequest, target: str, extended: Collection[str]) -> Findings:
        """Run uv once, or twice where its log or several indexes leave something open.

        ``extended`` are projects of conda's whose extras are asked for: their metadata comes from the index.
        """
        stubs = write_stubs(self._stubs, [p for p in request.provided if p.name not in extended])
        with tempfile.TemporaryDirectory(prefix="hermetic-uv-") as name:
            folder = Path(name)
            write_lines(folder / "requirements.in", [*index_lines(request), *requirement_lines(request)])
            write_lines(folder / "constraints.txt", limit_lines(request, stubs))
            if request.keep:
                from hermetic.lock.pylock import write_pins

                write_pins(folder / "pylock.toml", dict(request.keep))
            arguments = [*_arguments(request, target), *_forbid_builds(folder, request.from_source)]
            try:
                said = await self._run([*arguments, *_TO_PYLOCK], folder, request)
            except UnsatisfiableError:
                if len(request.indexes) > 1:
                    await self._refuse_silence(request, request.indexes)
                raise
            from hermetic.lock.pip_answers import Findings, without_user
            from hermetic.lock.pylock import read_pylock
            from hermetic.lock.uv_annotations import Annotations
            from hermetic.lock.uv_log import read_trace

            releases = read_pylock((folder / "pylock.toml").read_text(encoding="utf-8"))
            trace = read_trace(said)
            annotations = Annotations()
            if _ambiguous(request) or not _complete(trace, releases):
                annotations = await self._annotate(arguments, folder, request, releases)
            if len(request.indexes) > 1:
                used = {without_user(address).rstrip("/") for address in annotations.found_at.values()}
                silent = [i for i in request.indexes if i.url and without_user(expand(i.url)).rstrip("/") not in used]
                await self._refuse_silence(request, silent)
        return Findings(releases, trace, annotations)

    async def _annotate(
        self, arguments: Sequence[str], folder: Path, request: PipRequest, releases: Mapping[str, Release]
    ) -> Annotations:
        pins = [f"{r.name}=={r.version}" for r in releases.values() if not r.direct]
        write_lines(folder / "annotated.txt", pins)
        more = ["--output-file=annotated.txt", "--emit-index-annotation", "--annotation-style=split", "--no-header"]
        await self._run([*arguments, *more], folder, request)
        from hermetic.lock.uv_annotations import read_annotations

        return read_annotations((folder / "annotated.txt").read_text(encoding="utf-8"))

    async def _refuse_silence(self, request: PipRequest, indexes: Sequence[IndexAt]) -> None:
        """Ask indexes alone that gave nothing: among several, uv passes over one that refuses access, silently.

        What that one has would then come from another index, or from whoever put the same name there.
        Raises CredentialsError.
        """
        wanted = next((r.name for r in request.requirements if not r.url), "")
        if request.offline or not wanted:
            return
        for index in indexes:
            alone = replace(
                request, indexes=(index,), requirements=(PipRequirement(wanted),), constraints=(), keep={},
                options=PipOptions(), provided=(), built={}, from_source=(),
            )  # fmt: skip
            with tempfile.TemporaryDirectory(prefix="hermetic-uv-") as name:
                write_lines(Path(name) / "requirements.in", [*index_lines(alone), wanted])
                write_lines(Path(name) / "constraints.txt", [])
                target = python_platform(request.platform, request.virtual_packages)
                with suppress(UnsatisfiableError):
                    await self._run([*_arguments(alone, target), "--no-deps", *_TO_PYLOCK], Path(name), alone)

    async def _run(self, arguments: Sequence[str], folder: Path, request: PipRequest) -> str:
        """Run uv; give what it said."""
        command = [self._program or find_uv(), *arguments, "requirements.in"]
        try:
            ran = await run(command, _environment(request), cwd=folder)
        except OSError as error:
            raise MachineError(
                f"cannot run uv: {error.strerror}", remedy="install it again (pip install --force-reinstall uv)"
            ) from None
        if ran.status:
            from hermetic.lock.pip_errors import explain

            raise explain(ran.said, request)
        return ran.said


def find_uv() -> str:
    """Give the path of uv's executable. Raises MachineError if it is not installed."""
    try:
        import uv

        return str(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
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
    # All indexes count alike, as they do for pip: the files that people write mean that.
    strategy = "unsafe-best-match" if len(request.indexes) > 1 else "first-index"
    options = ["pip", "compile", "--quiet", "--no-progress", "--color=never", f"--index-strategy={strategy}",
               "--no-python-downloads", f"--python={sys.executable}", f"--python-version={request.python_version}",
               f"--python-platform={target}", "--constraints=constraints.txt", "--only-binary=:all:"]  # fmt: skip
    options += [f"--no-binary={name}" for name in request.from_source]
    if request.exclude_newer:
        options.append(f"--exclude-newer={request.exclude_newer.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    if request.options.pre:
        options.append("--prerelease=allow")
    if request.offline:
        options.append("--offline")
    return options


def _environment(request: PipRequest) -> dict[str, str]:
    foreign = _FOREIGN | ({"UV_NO_CONFIG", "UV_CONFIG_FILE"} if request.from_source else frozenset())
    waits = patience()
    environment = {"UV_HTTP_TIMEOUT": str(max(1, round(waits.timeout))), "UV_HTTP_RETRIES": str(waits.retries)}
    environment |= {name: value for name, value in inherited().items() if name not in foreign}
    environment.update(RUST_LOG="uv_resolver=debug", UV_NO_WRAP="1", COLUMNS="100000")
    if osx := next((v.version for v in request.virtual_packages if v.name == "__osx"), ""):
        environment["MACOSX_DEPLOYMENT_TARGET"] = osx
    return environment


def _forbid_builds(folder: Path, names: Sequence[str]) -> list[str]:
    """Tell uv what sdists need (nothing) before it asks them: that would run their code, unconfined, with network.

    The folder's ``uv.toml`` adds to the user's configuration. Where the environment names another file, or none, the
    same is put into a copy of that.
    """
    if not names:
        return []
    lines = [line for name in names for line in ("[[dependency-metadata]]", f'name = "{name}"', "requires-dist = []")]
    named = os.environ.get("UV_CONFIG_FILE")
    if not named and not os.environ.get("UV_NO_CONFIG"):
        write_lines(folder / "uv.toml", lines)
        return []
    before = Path(named).read_text(encoding="utf-8").splitlines() if named else []
    write_lines(folder / "own.toml", [*before, *lines])
    return ["--config-file=own.toml"]


def _ambiguous(request: PipRequest) -> bool:
    """Tell whether only uv can say where a file came from."""
    return len(request.indexes) > 1 or any("://" in link for link in request.options.find_links)


def _complete(trace: Trace, releases: Mapping[str, Release]) -> bool:
    """Tell whether a log's edges lead to all that was chosen: if not, uv's log has changed."""
    seen, todo = set(trace.direct), list(trace.direct)
    while todo:
        name = todo.pop()
        version = releases[name].version if name in releases else ""
        for needed in trace.edges.get((name, version), set()) - seen:
            seen.add(needed)
            todo.append(needed)
    return releases.keys() <= seen
