"""Make a channel: find, package, index. Every step that was done before is left alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hermetic.digest import key, sha256_file
from hermetic.errors import HermeticError, MachineError, OfflineError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.outputs.channel import extras
from hermetic.outputs.channel.archive import FORMAT, File, Package, build_hash
from hermetic.outputs.channel.download import check_requirements, download
from hermetic.outputs.channel.elf import Elf
from hermetic.outputs.channel.folder import Folder
from hermetic.outputs.channel.interpreter import Interpreter, ask
from hermetic.outputs.channel.libraries import (
    Library,
    Loader,
    glibc_requirement,
    is_glibc,
    library_requirement,
    package_name,
    package_version,
    this_machine,
)
from hermetic.outputs.channel.licenses import system_licenses
from hermetic.outputs.channel.patch import relocate
from hermetic.outputs.channel.python import PythonPlan, abi_package, compile_files, plan_python, realise_python
from hermetic.outputs.channel.trial import try_python
from hermetic.outputs.channel.wheel_package import wheel_package
from hermetic.outputs.channel.wheels import WheelFacts, fits, read_wheel, wheel_requirements
from hermetic.platforms import current_platform

DEFAULT_REQUIREMENTS = ("numpy", "pandas", "pip", "requests")
"""What a channel holds when nothing is asked for: enough for a small data-science environment, about 32 MB."""


@dataclass(frozen=True)
class ChannelSummary:
    """What a channel holds after it was made.

    ``packages`` are all archives that were asked for, ``made`` those that were not there before (both as
    ``subdir/file``). ``glibc`` is the oldest release of glibc that all of them run on.
    """

    directory: Path
    python: str
    glibc: str
    packages: tuple[str, ...]
    made: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """Give the summary for people, with the next step."""
        count = f"{len(self.packages)} packages, python {self.python}"
        head = f"made {self.directory}: {count}" if self.made else f"{self.directory} is complete: {count}"
        address = str(self.directory)
        address = address if address.startswith(("/", ".")) else f"./{address}"
        system = f" --system glibc={self.glibc}" if self.glibc else ""
        return "\n".join(
            [
                head,
                *(f"  left out: {module}" for module in self.left_out),
                *([f"  it needs a machine with glibc {self.glibc} or newer"] if self.glibc else []),
                f"  next: hermetic init --channel demo={address}{system}",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the summary as JSON values."""
        return {
            "directory": str(self.directory.absolute()),
            "python": self.python,
            "glibc": self.glibc,
            "packages": list(self.packages),
            "made": list(self.made),
            "left_out": list(self.left_out),
        }


def make_channel(
    directory: Path,
    *,
    requirements: Sequence[str] = DEFAULT_REQUIREMENTS,
    wheels: Sequence[Path] = (),
    interpreter: Path | None = None,
    pyc: bool = False,
    refresh: bool = False,
    offline: bool = False,
    reporter: Reporter = SILENT,
    jobs: int | None = None,
) -> ChannelSummary:
    """Make a conda channel in ``directory``, or complete the one that is there.

    It gets Python (``interpreter``, default the running one), the system's libraries that it needs, the
    newest wheels that satisfy ``requirements`` and those given as files, and a few packages to try things
    with. Packages that are there stay. What ``requirements`` led to is remembered in the channel: asked
    again, the same channel comes out without a look at the network, unless ``refresh`` is set; ``offline`` allows
    nothing else. ``pyc`` ships byte code in the packages of one platform.

    The same inputs give the same bytes. A run that is killed leaves an index that names only whole archives.

    Raises UsageError (no CPython, no glibc, a wheel that does not fit), UnsatisfiableError, NetworkError, OfflineError,
    IntegrityError (a damaged wheel), MachineError.
    """
    from filelock import FileLock

    wanted = check_requirements(requirements)
    python = ask(interpreter)
    loader = this_machine()
    given = [read_wheel(path) for path in sorted(wheels)]
    if offline and refresh:
        raise UsageError("--refresh looks for newer wheels, and --offline forbids it", remedy="leave out one of them")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / ".lock"), tempfile.TemporaryDirectory(prefix="hermetic-channel-") as scratch:
            folder = Folder(directory)
            folder.clean()
            count = jobs or min(4, os.cpu_count() or 1)
            maker = _Maker(folder, python, loader, pyc, Path(scratch), reporter, count, offline)
            return maker.make(wanted, given, refresh=refresh)
    except HermeticError:
        raise
    except OSError as error:
        raise MachineError(
            f"the channel could not be written: {error}", remedy="free some space, or choose another folder"
        ) from error


@dataclass(frozen=True)
class _Maker:
    """One making of a channel. ``scratch`` is a folder for files that are changed on their way."""

    folder: Folder
    python: Interpreter
    loader: Loader
    pyc: bool
    scratch: Path
    reporter: Reporter
    jobs: int
    offline: bool

    @property
    def subdir(self) -> str:
        return current_platform()

    def make(self, requirements: Sequence[str], given: Sequence[WheelFacts], *, refresh: bool) -> ChannelSummary:
        plan = plan_python(self.python, self.loader, self.subdir, pyc=self.pyc)
        asked = [list(requirements), [[w.path.name, w.sha256] for w in given], plan.package.file_name, self.pyc]
        recipe = key(f"channel/{FORMAT}", [*asked, dict(self.python.marker)])
        names = None if refresh else self.folder.recall(recipe)
        if names is None:
            names = self._packages(plan, self._wheels(requirements, given))
        records, made = self.folder.publish(recipe, names)
        needs = [dep.split(">=")[1].split(",")[0] for r in records.values() for dep in r["depends"]
                 if dep.startswith("__glibc >=")]  # fmt: skip
        glibc = max(needs, key=lambda text: tuple(map(int, text.split("."))), default="")
        return ChannelSummary(
            self.folder.directory, self.python.version, glibc, tuple(sorted(records)), made, plan.left_out
        )

    def _packages(self, plan: PythonPlan, wheels: Mapping[str, WheelFacts]) -> list[str]:
        """Make every package that is not there yet, and give the names of all."""
        libraries = {library.name: library for library in plan.libraries}
        jobs: list[Callable[[Path], str]] = [
            lambda room: self.folder.add(plan.package, room, partial(self._python, plan)),
            lambda room: self.folder.add(abi_package(self.python), room, lambda _: ([], [])),
            *(partial(self._wheel, wheel, wheels, libraries) for wheel in wheels.values()),
            *(partial(self._small, package, files) for package, files in extras.packages(self.subdir)),
        ]
        names = self._all("packages", jobs)
        # only now is it known which libraries the wheels need
        licenses = system_licenses(library.path for library in libraries.values())
        found = [libraries[name] for name in sorted(libraries)]
        return names + self._all("libraries", [partial(self._library, lib, licenses.get(lib.path)) for lib in found])

    def _small(self, package: Package, files: Sequence[File], room: Path) -> str:
        return self.folder.add(package, room, lambda _: (files, []))

    def _python(self, plan: PythonPlan, room: Path) -> tuple[Sequence[File], Sequence[File]]:
        files, info = realise_python(plan, room, pyc=self.pyc)
        libraries = [self._library_file(library, room / library.name) for library in plan.libraries]
        try_python(self.python, [*files, *libraries], plan.program, room)
        return files, info

    def _all(self, what: str, jobs: Sequence[Callable[[Path], str]]) -> list[str]:
        """Run jobs, several at a time, each with an empty folder for its files; the first failure ends all."""

        def one(job: Callable[[Path], str]) -> str:
            with tempfile.TemporaryDirectory(dir=self.scratch) as room:
                name = job(Path(room))
            self.reporter.advance(what)
            return name

        with task(self.reporter, what, f"making {what}", len(jobs), "packages"), ThreadPoolExecutor(self.jobs) as pool:
            waiting = [pool.submit(one, job) for job in jobs]
            try:
                return [future.result() for future in waiting]
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise

    # ------------------------------------------------------------------ wheels
    def _wheels(self, requirements: Sequence[str], given: Sequence[WheelFacts]) -> dict[str, WheelFacts]:
        """Give the wheels to package, by project: those given as files win over downloaded ones."""
        if requirements and self.offline:
            raise OfflineError(
                f"which wheels these need was never looked up, and we are offline: {', '.join(requirements)}",
                remedy="make the channel once online, or give the wheels as files: --wheel FILE.whl",
            )
        folder = self.scratch / "wheels"
        folder.mkdir()
        with task(self.reporter, "wheels", "downloading wheels"):
            paths = download(requirements, self.python, folder)
        found = {wheel.name: wheel for wheel in map(read_wheel, paths)}
        for wheel in given:
            if not fits(wheel, self.python):
                raise UsageError(
                    f"{wheel.path.name} does not run on Python {self.python.minor} on {self.subdir}",
                    remedy="give a wheel whose name has tags of this Python and machine",
                )
            found[wheel.name] = wheel
        return dict(sorted(found.items()))

    def _wheel(
        self, wheel: WheelFacts, catalogue: Mapping[str, WheelFacts], libraries: dict[str, Library], room: Path
    ) -> str:
        requirements = wheel_requirements(wheel, catalogue, self.python.environment)
        made = wheel_package(wheel, self.python, self.subdir, requirements, room)
        needed = self._system_libraries(made.elves)
        libraries |= needed
        direct = {library_requirement(library) for name, library in needed.items() if name in made.direct}
        package = replace(made.package, depends=tuple(sorted({*made.package.depends, *direct})))
        build = package.build.replace("HASH", build_hash([wheel.sha256, package.index(), self.pyc]))

        def content(scratch: Path) -> tuple[Sequence[File], Sequence[File]]:
            compiled = []
            if self.pyc and not package.noarch:
                (scratch / "pyc").mkdir()
                compiled = compile_files(self.python, made.files, scratch / "pyc")
            return [*made.files, *compiled], made.licenses

        return self.folder.add(replace(package, build=build), room, content)

    def _system_libraries(self, elves: Mapping[str, Elf]) -> dict[str, Library]:
        """Give the libraries of this machine that a wheel's files need beside its own."""
        own = {elf.soname for elf in elves.values()} | {Path(path).name for path in elves}
        found, _ = self.loader.closure({Path("/nonexistent", path): elf for path, elf in elves.items()}, own=own)
        return {library.name: library for library in found if not _belongs_to_host(library.name)}

    # --------------------------------------------------------------- libraries
    def _library(self, library: Library, copyright_file: Path | None, room: Path) -> str:
        needed = [self.loader.find(n, library.path, library.elf) for n in library.elf.needed if not is_glibc(n)]
        info = [File("licenses/copyright", copyright_file)] if copyright_file else []
        package = Package(
            name=package_name(library.name),
            version=package_version(library),
            build="",
            subdir=self.subdir,
            depends=tuple(sorted([*glibc_requirement([library.elf]), *(library_requirement(n) for n in needed if n)])),
            about={"summary": f"{library.name}, as it was installed on the machine that made this channel"},
        )
        inputs = [package.index(), sha256_file(library.path), *(file.digest()[0] for file in info)]
        package = replace(package, build=f"{build_hash(inputs)}_0")
        return self.folder.add(package, room, lambda _: ([self._library_file(library, room / "library")], info))

    def _library_file(self, library: Library, scratch: Path) -> File:
        place = f"lib/{library.name}"
        return File(place, relocate(library.path, place, scratch), executable=True)


def _belongs_to_host(name: str) -> bool:
    """Tell whether a library must be the host's: drivers, and what talks to its display."""
    return name.startswith(("libGL", "libEGL", "libX", "libxcb", "libcuda", "libnvidia", "libdrm", "libwayland"))
