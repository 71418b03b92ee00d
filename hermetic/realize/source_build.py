"""Wheels built from pinned sources, in a sandbox without network, by a locked build environment.

The environment holds the Python of the lock, with what that needs, and the wheels that the project's build requires:
both by digest. The machine lends its compilers and system headers (``/usr``), so a wheel with compiled parts is as
reproducible as these are alike. That is why the built wheel's digest is locked, and why a machine that builds it again
takes it only if it has that digest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import key, sha256_file
from hermetic.errors import BuildError, IntegrityError, UnsatisfiableError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.lock.model import CondaPackage, Origin, PlatformLock, Tool, Wheel
from hermetic.lock.source import BuildRequirements, BuiltWheel, ResolveBuildRequirements, SourceBuild
from hermetic.platforms import VirtualPackage
from hermetic.realize.bench import BUILD_PREFIX, ENVIRONMENT, Bench, Call
from hermetic.realize.build_system import BuildSystem, build_requirements
from hermetic.realize.sources import Source, obtain
from hermetic.realize.wheel_zip import canonical_wheel
from hermetic.spec.pep508 import normal_name

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store

MakePrefix = Callable[[PlatformLock, Path, Path], None]
"""Makes the environment of a lock in an empty folder (the first path) as it has to be at a place (the second)."""

WHEELS, ENVIRONMENTS = "built-wheel", "build-environment"
_TIMEOUT = 4 * 3600.0
_VERSIONS = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION",
             "POETRY_DYNAMIC_VERSIONING_BYPASS", "UV_DYNAMIC_VERSIONING_BYPASS")  # fmt: skip
"""How the usual backends are told a version that they would ask the history for: its tags may move."""


@dataclass(frozen=True)
class _Work:
    """One wheel on its way: what is built, where, how, and the locked environment that builds it."""

    wanted: SourceBuild
    source: Source
    bench: Bench
    system: BuildSystem
    environment: PlatformLock

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the files that are built."""
        return {"source": dict(self.source.identity), "subdirectory": self.wanted.subdirectory}


class SourceBuilder:
    """Builds wheels, and remembers in the store what was built, so that nothing is built twice.

    It is a ``hermetic.lock.source.BuildWheel``. ``make_prefix`` is given, because prefixes are made further right.
    ``timeout`` is in seconds, for each hook.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        *,
        make_prefix: MakePrefix,
        reporter: Reporter = SILENT,
        offline: bool = False,
        timeout: float | None = _TIMEOUT,
    ) -> None:
        self.store = store
        self.config = config
        self.make_prefix = make_prefix
        self.reporter = reporter
        self.offline = offline or config.offline
        self.timeout = timeout

    def __call__(
        self, source: SourceBuild, environment: PlatformLock, requirements: ResolveBuildRequirements
    ) -> BuiltWheel:
        """Build one wheel for a lock that is being made. See ``BuildWheel``."""
        with task(self.reporter, f"build {source.name}", f"building {source.name} {source.version}".rstrip()):
            found = obtain(source, self.store, reporter=self.reporter, offline=self.offline)
            with Bench(self.store, found, source.subdirectory, source.name) as bench:
                work = _Work(source, found, bench, self._build_system(bench), python_alone(environment))
                tools = _kept_tools(work)
                if tools is None:
                    work = self._with_resolved_tools(work, requirements)
                else:
                    work = replace(work, environment=replace(work.environment, wheels=tools))
                return self._build(work, self._version(work))

    def rebuild(self, wheel: Wheel, environment: PlatformLock, *, root: Path | None = None) -> Path:
        """Build a locked wheel again where it is to be had from nobody, and give its path.

        ``environment`` is the lock of the platform, which holds its Python; ``root`` is the folder that relative
        paths of the spec start from. The wheel is in the store afterwards.

        Raises IntegrityError if another wheel comes out of it, UsageError for a wheel that was never built here.
        """
        origin = wheel.origin
        if origin is None:
            raise UsageError(f"{wheel.file_name} was not built from source")
        source = self._locked_source(wheel, origin, root or self.config.base or Path.cwd())
        with task(self.reporter, f"build {wheel.name}", f"building {wheel.name} {wheel.version} again"):
            found = obtain(source, self.store, reporter=self.reporter, offline=self.offline)
            with Bench(self.store, found, source.subdirectory, source.name) as bench:
                tools = tuple(map(_as_wheel, origin.tools))
                locked = replace(python_alone(environment), wheels=tools)
                work = _Work(source, found, bench, self._build_system(bench), locked)
                built = self._build(work, _normal_version(wheel.version) if found.is_checkout else "")
        if built.sha256 != wheel.sha256 or built.file_name != wheel.file_name:
            raise _another_wheel(wheel, origin, built)
        return Path(built.path)

    def _build_system(self, bench: Bench) -> BuildSystem:
        remembered = key("build-system/1", {**bench.source.identity, "subdirectory": bench.subdirectory})
        if known := self.store.get_result(remembered):
            return BuildSystem.from_dict(known)
        system = bench.build_system()
        self.store.put_result(remembered, system.to_dict())
        return system

    def _with_resolved_tools(self, work: _Work, requirements: ResolveBuildRequirements) -> _Work:
        """Resolve what the build requires: what the project states, then what its backend asks for besides."""
        stated = work.system.requires
        work = self._with_tools(work, stated, requirements)
        asked = self._ask(work, "get_requires", {})
        if not isinstance(asked, list) or not all(isinstance(item, str) for item in asked):
            raise BuildError(f"{work.wanted.name}: its build backend names no requirements, but {asked!r}")
        more = [item for item in asked if item not in stated]
        return self._with_tools(work, (*stated, *more), requirements) if more else work

    def _with_tools(self, work: _Work, texts: Sequence[str], requirements: ResolveBuildRequirements) -> _Work:
        name = work.wanted.name
        wanted = build_requirements(tuple(texts), name)
        try:
            found = requirements(wanted) if wanted else BuildRequirements((), {})
        except UnsatisfiableError as error:
            raise UnsatisfiableError(
                f"{name} must be built, and what its build requires cannot be had as wheels: {error.message}",
                place=work.wanted.place,
                remedy=error.remedy or "choose another version of it",
            ) from None
        from hermetic.store.index import remember_addresses

        remember_addresses(self.store, found.addresses)
        return replace(work, environment=replace(work.environment, wheels=found.wheels))

    def _version(self, work: _Work) -> str:
        """Give the version that a checkout's build is told, empty where the source itself tells it.

        Backends take it from the history, whose tags may move; once known it stands in the lock.
        """
        if not work.source.is_checkout or work.system.version:
            return ""
        stated = self._ask(work, "version", {})
        if not isinstance(stated, str):
            raise BuildError(f"{work.wanted.name}: its build backend gives no version, but {stated!r}")
        return _normal_version(stated)

    def _ask(self, work: _Work, hook: str, variables: Mapping[str, str]) -> Any:
        """Ask a hook for a value, once per source and environment."""
        question = {**work.identity, "environment": work.environment.key(), "hook": hook, "variables": dict(variables)}
        remembered = key("build-hook/1", question)
        known = self.store.get_result(remembered)
        if known is not None and "answer" in known:
            return known["answer"]
        with self.store.staging() as out:
            answer = work.bench.call(self._call(work, hook, variables, remembered), out)
        self.store.put_result(remembered, {"answer": answer})
        return answer

    def _call(self, work: _Work, hook: str, variables: Mapping[str, str], name: str) -> Call:
        log = f"{work.wanted.name}-{hook}-{name[:16]}"
        return Call(hook, work.system, self._environment(work.environment), log, variables, self.timeout)

    def _build(self, work: _Work, version: str) -> BuiltWheel:
        variables = dict.fromkeys(_VERSIONS, version) if version else {}
        question = {
            **work.identity,
            "environment": work.environment.key(),
            "variables": {**ENVIRONMENT, **variables},
        }
        made = key("built-wheel/1", question)
        known = self._known(made)
        if known is None:
            with self.store.lock(f"wheel-{made[:32]}", reporter=self.reporter):
                known = self._known(made) or self._make(work, variables, made)
        _check(known, work)
        return replace(
            known,
            source_sha256=work.source.sha256,
            build=work.environment.key(),
            tools=tuple(map(_as_tool, work.environment.wheels)),
        )

    def _known(self, made: str) -> BuiltWheel | None:
        """Give the wheel of a build that the store remembers."""
        result = self.store.get_result(made)
        if result is None or not self.store.has_tree(WHEELS, made):
            return None
        path = self.store.tree_path(WHEELS, made) / str(result.get("file_name"))
        digest, size = str(result.get("sha256")), result.get("size")
        if not path.is_file() or path.stat().st_size != size or sha256_file(path) != digest:
            self.store.drop_tree(WHEELS, made)
            return None
        if not self.store.has_blob(digest):
            self.store.put_file(path, expected=digest)
        return BuiltWheel(str(path), path.name, digest, path.stat().st_size)

    def _make(self, work: _Work, variables: Mapping[str, str], made: str) -> BuiltWheel:
        with self.store.staging() as out:
            answer = work.bench.call(self._call(work, "build_wheel", variables, made), out)
            built = _wheel_in(out, answer, work.wanted.name)
            with self.store.new_tree(WHEELS, made) as folder:
                path = folder / built.name
                canonical_wheel(built, path)
                digest, size = self.store.put_file(path), path.stat().st_size
        self.store.put_result(made, {"file_name": built.name, "sha256": digest, "size": size})
        known = self._known(made)
        if known is None:
            raise BuildError(f"{built.name} vanished from the store while it was built", remedy="run it again")
        return known

    def _environment(self, lock: PlatformLock) -> Path:
        """Give a folder that holds a build environment, made first if need be."""
        name = key("build-environment/1", {"environment": lock.key(), "prefix": BUILD_PREFIX})
        if not self.store.has_tree(ENVIRONMENTS, name):
            with self.store.lock(f"build-environment-{name[:32]}", reporter=self.reporter):
                if not self.store.has_tree(ENVIRONMENTS, name):
                    self._fetch(lock.wheels)
                    with self.store.new_tree(ENVIRONMENTS, name) as folder:
                        self.make_prefix(lock, folder, Path(BUILD_PREFIX))
        return self.store.tree_path(ENVIRONMENTS, name)

    def _fetch(self, wheels: Sequence[Wheel]) -> None:
        missing = [wheel for wheel in wheels if not self.store.has_blob(wheel.sha256)]
        if not missing:
            return
        from hermetic.store.fetch import fetch
        from hermetic.store.index import wheel_artifact

        artifacts = [wheel_artifact(self.store, self.config, wheel) for wheel in missing]
        fetch(self.store, artifacts, reporter=self.reporter, offline=self.offline)

    def _locked_source(self, wheel: Wheel, origin: Origin, root: Path) -> SourceBuild:
        """Give the source of a locked wheel; an sdist of an index is fetched now."""
        from hermetic.lock.vcs import repository
        from hermetic.secrets import expand

        common = SourceBuild(
            wheel.name, wheel.version, origin.file_name, sha256=origin.sha256, subdirectory=origin.subdirectory
        )
        if origin.commit:
            return replace(common, vcs_url=expand(repository(origin.url)), commit=origin.commit)
        if "://" in origin.url:
            return replace(common, url=expand(origin.url))
        if origin.url:
            return replace(common, path=str(root / Path(origin.url).expanduser()))
        self._fetch([Wheel(wheel.name, wheel.version, origin.file_name, 0, origin.sha256, index=wheel.index)])
        return replace(common, path=str(self.store.blob_path(origin.sha256)))


def python_alone(environment: PlatformLock) -> PlatformLock:
    """Give the part of an environment that its Python needs to run: no other package may be in a build.

    Pure Python packages that a ``python`` depends on (pip, on some channels) stay out: they are no part of it.
    """
    packages = {package.name: package for package in environment.conda}
    needed: dict[str, CondaPackage] = {}
    todo = ["python"]
    while todo:
        package = packages.get(todo.pop())
        if package is None or package.name in needed or package.noarch == "python":
            continue
        needed[package.name] = package
        todo += [match.split()[0] for match in package.depends]
    if "python" not in needed:
        raise UnsatisfiableError("a build from source needs a python", remedy="add python to the environment")
    return PlatformLock(environment.platform, environment.virtual_packages, tuple(needed.values()))


def _kept_tools(work: _Work) -> tuple[Wheel, ...] | None:
    """Give the tools that built the wheel of the old lock, if the source is the same and they run here."""
    before, source = work.wanted.previous, work.source
    now = (source.sha256, work.wanted.commit, work.wanted.subdirectory)
    if before is None or (before.sha256, before.commit, before.subdirectory) != now:
        return None
    from hermetic.lock.targets import wheel_rank, wheel_tags

    python = work.environment.python()
    assert python
    virtual = [VirtualPackage.parse(text) for text in work.environment.virtual_packages]
    tags = wheel_tags(work.environment.platform, python.version, virtual)
    if any(wheel_rank(tool.file_name, tags) is None for tool in before.tools):
        return None
    return tuple(map(_as_wheel, before.tools))


def _as_wheel(tool: Tool) -> Wheel:
    return Wheel(tool.name, tool.version, tool.file_name, tool.size, tool.sha256, index=tool.index, url=tool.url)


def _as_tool(wheel: Wheel) -> Tool:
    return Tool(wheel.name, wheel.version, wheel.file_name, wheel.size, wheel.sha256, wheel.index, wheel.url)


def _normal_version(text: str) -> str:
    """Give a version in PEP 440's normal form; one that has none stays as it is."""
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(text))
    except InvalidVersion:
        return text


def _wheel_in(out: Path, answer: Any, name: str) -> Path:
    """Give the wheel that a build left, whatever else it left there."""
    if not isinstance(answer, str) or not re.fullmatch(r"[A-Za-z0-9_.!+]+(-[A-Za-z0-9_.!+]+){4,5}\.whl", answer):
        raise BuildError(f"{name}: its build backend gives no wheel, but {answer!r}")
    path = out / answer
    if path.is_symlink() or not path.is_file():
        raise BuildError(f"{name}: its build backend says that it made {answer}, and did not")
    return path


def _check(built: BuiltWheel, work: _Work) -> None:
    """Raise BuildError if a wheel is not of the project, or not of the version, that was asked for."""
    name, version = built.file_name.split("-")[:2]
    wanted = work.wanted
    if normal_name(name) != wanted.name:
        raise BuildError(
            f"{wanted.name}: its source gives a wheel of {normal_name(name)}",
            place=wanted.place,
            remedy=f"call the requirement {normal_name(name)}",
        )
    if wanted.version and _normal_version(version) != _normal_version(wanted.version):
        raise BuildError(
            f"{wanted.name}: its source gives version {version}, not {wanted.version}",
            place=wanted.place,
            remedy="choose another version of it",
        )


def _another_wheel(wheel: Wheel, origin: Origin, built: BuiltWheel) -> IntegrityError:
    if built.build != origin.build:
        why = "it was built with another Python than the one that is locked now"
    elif built.file_name.endswith("-any.whl"):
        why = "its build is not reproducible: what it makes depends on more than its source and its tools"
    else:
        why = "it holds compiled parts, and this machine's compiler or system headers differ"
    return IntegrityError(
        f"{wheel.file_name} had to be built again, and another wheel came out: sha256 {built.sha256}, locked is "
        f"{wheel.sha256}; {why}",
        remedy="copy the wheel from a store that has it, or lock again on this machine: "
        f"hermetic lock --update {wheel.name}",
    )
