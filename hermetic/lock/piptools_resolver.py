"""The pip resolver of pip-tools: the second backend, and the yardstick for the first.

``pip-compile`` chooses the versions, then ``pip install --dry-run --report`` says which file each one is, for the
target's own wheel tags. Both run with this Python, because pip looks at the interpreter that it runs on: so this
backend resolves for this machine's platform and this minor version of Python only. pip's configuration counts, as
it does for uv's: it says where packages come from on this machine.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hermetic.errors import CredentialsError, MachineError, OfflineError
from hermetic.lock.names import normal_name
from hermetic.lock.pip_answers import Findings, answer, satisfied_extras
from hermetic.lock.pip_errors import explain
from hermetic.lock.pip_inputs import index_lines, limit_lines, requirement_lines, write_lines
from hermetic.lock.pip_resolver import PipAnswer, PipRequest
from hermetic.lock.programs import inherited, run
from hermetic.lock.pylock import Candidate, Release
from hermetic.lock.stubs import write_stubs
from hermetic.lock.targets import platform_tags
from hermetic.lock.uv_annotations import Annotations, read_annotations
from hermetic.lock.uv_log import Trace
from hermetic.platforms import current_platform

_KEPT = re.compile(
    r"PIP_(CERT|CLIENT_CERT|CONFIG_FILE|DEFAULT_TIMEOUT|TIMEOUT|EXTRA_INDEX_URL|FIND_LINKS|INDEX_URL|KEYRING_PROVIDER"
    r"|NO_INDEX|PROXY|RETRIES|TRUSTED_HOST|USE_DEPRECATED|USE_FEATURE|CACHE_DIR)\Z"
)
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[([^\]]*)\])?(?:==(\S+)| @ (\S+))")
_FOUND = re.compile(r"Found link (?P<url>\S+?)(?:#\S*)? \(from (?P<page>\S+)\)")
_ROUNDS = 5


class PipToolsResolver:
    """Resolves with pip-tools, on this machine, for this machine. ``cache`` keeps the stubs."""

    def __init__(self, cache: Path) -> None:
        self._stubs = cache / "stubs"

    async def resolve(self, request: PipRequest) -> PipAnswer:
        """Resolve (see the Protocol). Raises MachineError too, for what only another resolver can do."""
        _refuse_foreign(request)
        try:
            return await self._resolve(request)
        except CredentialsError:
            if request.asked:
                raise
            return await self._resolve(replace(request, asked=True))

    async def _resolve(self, request: PipRequest) -> PipAnswer:
        extended = {r.name for r in request.requirements if r.extras} & {p.name for p in request.provided}
        for _ in range(_ROUNDS):
            found = await self._ask(request, extended)
            more = satisfied_extras(found, request) - extended
            if not more:
                break
            extended |= more
        return answer(request, found)

    async def _ask(self, request: PipRequest, extended: Collection[str]) -> Findings:
        stubs = write_stubs(self._stubs, [p for p in request.provided if p.name not in extended])
        with tempfile.TemporaryDirectory(prefix="hermetic-pip-") as name:
            folder = Path(name)
            write_lines(folder / "requirements.in", [*index_lines(request), *requirement_lines(request)])
            write_lines(folder / "constraints.txt", limit_lines(request, stubs))
            if request.keep:
                write_lines(folder / "out.txt", [f"{name}=={version}" for name, version in request.keep.items()])
            await _run([sys.executable, "-m", "piptools", *_compile_arguments(request)], folder, request)
            text = (folder / "out.txt").read_text(encoding="utf-8")
            annotations, trace = read_annotations(_normalised(text)), Trace()
            pins = [pin for line in text.splitlines() if (pin := _PIN.match(line))]
            for pin in pins:
                if pin[2]:
                    trace.extras[normal_name(pin[1])] |= {normal_name(extra) for extra in pin[2].split(",")}
            provided = {project.name for project in request.provided}
            wanted = [pin for pin in pins if normal_name(pin[1]) not in provided]
            releases = await self._files(wanted, folder, request, annotations) if wanted else {}
            for pin in pins:
                if (project := normal_name(pin[1])) in provided:
                    releases[project] = Release(project, pin[3] or "", ())
        return Findings(releases, trace, annotations)

    async def _files(
        self, pins: Sequence[re.Match[str]], folder: Path, request: PipRequest, annotations: Annotations
    ) -> dict[str, Release]:
        """Ask pip which files the pinned versions are, and where each was found."""
        lines = [f"{pin[1]}=={pin[3]}" if pin[3] else f"{pin[1]} @ {pin[4]}" for pin in pins]
        write_lines(folder / "pins.txt", [*index_lines(request), *lines])
        said = await _run([sys.executable, "-m", "pip", *_report_arguments(request)], folder, request)
        for found in _FOUND.finditer(said):
            file = unquote(urlsplit(found["url"]).path.rpartition("/")[2])
            annotations.found_at.setdefault(f"file:{file}", found["page"])
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        releases = {}
        for entry in report["install"]:
            release = _release(entry)
            releases[release.name] = release
            page = annotations.found_at.get(f"file:{release.wheels[0].file_name}", "")
            annotations.found_at[release.name] = re.sub(rf"/{re.escape(release.name)}/?\Z", "", page)
        return releases


def _refuse_foreign(request: PipRequest) -> None:
    here, running = current_platform(), "{}.{}".format(*sys.version_info[:2])
    wanted = ".".join(request.python_version.split(".")[:2])
    if request.platform != here or wanted != running:
        raise MachineError(
            f"pip-tools resolves only for this machine ({here}, Python {running}), not for {request.platform} with "
            f"Python {wanted}",
            remedy="install uv, which resolves for any platform",
        )
    if request.from_source:
        raise MachineError(
            f"pip-tools would run the code of {request.from_source[0]} to learn what it needs",
            remedy="install uv, which can be kept from it",
        )
    if request.offline and request.indexes:
        raise OfflineError("pip-tools cannot resolve from an index offline", remedy="install uv, or lock once online")
    if request.exclude_newer:
        from importlib.metadata import version

        if int(version("pip").partition(".")[0]) < 26:
            raise MachineError(
                f"pip {version('pip')} cannot leave out what is newer than a time", remedy="install pip 26, or uv"
            )


def _compile_arguments(request: PipRequest) -> list[str]:
    options = ["compile", "--quiet", "--no-config", "--no-header", "--allow-unsafe", "--no-strip-extras",
               "--annotation-style=split", "--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-options",
               "--no-emit-find-links", "--output-file=out.txt", "--constraint=constraints.txt",
               "--pip-args=--only-binary=:all:"]  # fmt: skip
    if request.options.pre:
        options.append("--pre")
    if request.exclude_newer:
        options.append(f"--uploaded-prior-to={request.exclude_newer.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    return [*options, "requirements.in"]


def _report_arguments(request: PipRequest) -> list[str]:
    minor = "".join(request.python_version.split(".")[:2])
    platforms = platform_tags(request.platform, request.virtual_packages)
    return ["install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--target=unused",
            "--report=report.json", "--requirement=pins.txt", "--implementation=cp", f"--python-version={minor}",
            f"--abi=cp{minor}", "--abi=abi3", "--abi=none", *(f"--platform={tag}" for tag in platforms),
            *(["--pre"] if request.options.pre else []), *(["-vv"] if len(request.indexes) > 1 else []),
            "--no-input", "--progress-bar=off", "--disable-pip-version-check"]  # fmt: skip


async def _run(command: Sequence[str], folder: Path, request: PipRequest) -> str:
    """Run pip or pip-tools; give what it said."""
    environment = {k: v for k, v in inherited().items() if not k.startswith("PIP_") or _KEPT.match(k)}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONWARNINGS="ignore")
    ran = await run(command, environment, cwd=folder)
    said = ran.output + ran.said
    if ran.status:
        if "No module named piptools" in said:
            raise MachineError("pip-tools is not installed", remedy="install it (pip install pip-tools)")
        raise explain(_reason(said), request)
    return said


def _reason(said: str) -> str:
    """Leave what pip means for people of what it says: its errors, not its tracebacks."""
    kept: list[str] = []
    speaking = False
    for line in said.splitlines():
        if line.lstrip().startswith(("ERROR:", "Traceback ")):
            speaking = "ERROR:" in line
        elif raised := re.match(
            r"(?:pip|piptools|requests|urllib3)\S*(?:Error|NotFound|Exception|Impossible)\S*: (.*)", line
        ):
            line, speaking = raised[1], False  # noqa: PLW2901 - the last line of a traceback is its meaning
            kept.append(line)
            continue
        if speaking and line.strip():
            kept.append(line.strip().removeprefix("ERROR: "))
    return "\n".join(dict.fromkeys(kept)) or said[-2000:]


def _normalised(text: str) -> str:
    """Write the projects of pip-compile's lines as their normalised names."""
    return re.sub(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)", lambda found: normal_name(found[1]), text)


def _release(entry: dict[str, Any]) -> Release:
    info = entry["download_info"]
    url = info["url"]
    sha256 = info.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    file = Candidate(unquote(urlsplit(url).path.rpartition("/")[2]), url, sha256, 0)
    metadata = entry["metadata"]
    return Release(normal_name(metadata["name"]), metadata["version"], (file,), direct=bool(entry.get("is_direct")))
