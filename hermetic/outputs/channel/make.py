"""Make a channel: find, package, index. Every step that was done before is left alone."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hermetic.digest import key, pretty_json, sha256_file
from hermetic.errors import MachineError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.outputs.channel import extras
from hermetic.outputs.channel.archive import File, Package, atomic_path, build_hash, write_conda
from hermetic.outputs.channel.download import check_requirements, download
from hermetic.outputs.channel.elf import Elf
from hermetic.outputs.channel.index import read_records, record, write_records
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
from hermetic.outputs.channel.patch import relocate
from hermetic.outputs.channel.python import abi_package, compile_files, plan_python, realise_python
from hermetic.outputs.channel.wheels import WheelFacts, fits, read_wheel, wheel_package, wheel_requirements
from hermetic.platforms import current_platform

DEFAULT_REQUIREMENTS = ("numpy", "pandas", "pip", "requests")
"""What a channel holds when nothing is asked for: enough for a small data-science environment, about 32 MB."""

FORMAT = 1
"""Version of what the packages look like; part of every build string and of the record of what was made."""

_BOOK = "channel.json"


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
        lines = [head, *(f"  left out: {module}" for module in self.left_out)]
        if self.glibc:
            lines.append(f"  its packages need glibc {self.glibc} or newer: declare it as system glibc={self.glibc}")
        lines.append(f"  next: hermetic init --channel demo={self.directory} --system glibc={self.glibc}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give the summary as JSON values."""
        return {
            "directory": str(self.directory),
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
    reporter: Reporter = SILENT,
    jobs: int | None = None,
) -> ChannelSummary:
    """Make a conda channel in ``directory``, or complete the one that is there.

    It gets Python (``interpreter``, default the running one), the system's libraries that it needs, the
    newest wheels that satisfy ``requirements`` and those given as files, and a few packages to try things
    with. Packages that are there stay. What ``requirements`` led to is remembered in the channel: asked
    again, the same channel comes out without a look at the network, unless ``refresh`` is set. ``pyc``
    ships byte code in the packages of one platform.

    The same inputs give the same bytes. A run that is killed leaves an index that names only whole archives.

    Raises UsageError (no CPython, no glibc, a wheel that does not fit), UnsatisfiableError, NetworkError,
    IntegrityError (a damaged wheel), MachineError.
    """
    from filelock import FileLock

    wanted = check_requirements(requirements)
    python = ask(interpreter)
    loader = this_machine()
    given = [read_wheel(path) for path in sorted(wheels)]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / ".lock"), tempfile.TemporaryDirectory(prefix="hermetic-channel-") as scratch:
            for leftover in directory.glob("*/.*.tmp"):
                leftover.unlink(missing_ok=True)
            maker = _Maker(directory, python, loader, pyc, Path(scratch), reporter, jobs or min(4, os.cpu_count() or 1))
            return maker.make(wanted, given, refresh=refresh)
    except OSError as error:
        if isinstance(error, MachineError):
            raise
        if type(error).__module__.startswith("hermetic"):
            raise
        raise MachineError(
            f"the channel could not be written: {error}", remedy="free some space, or choose another folder"
        ) from error


@dataclass(frozen=True)
class _Maker:
    """One making of a channel. ``scratch`` is a folder for files that are changed on their way."""

    directory: Path
    python: Interpreter
    loader: Loader
    pyc: bool
    scratch: Path
    reporter: Reporter
    jobs: int

    @property
    def subdir(self) -> str:
        return current_platform()

    def make(self, requirements: Sequence[str], given: Sequence[WheelFacts], *, refresh: bool) -> ChannelSummary:
        plan = plan_python(self.python, self.loader, self.subdir, pyc=self.pyc)
        asked = [list(requirements), [[w.path.name, w.sha256] for w in given], plan.package.file_name, self.pyc]
        recipe = key(f"channel/{FORMAT}", [*asked, dict(self.python.marker)])
        book = self._read_book()
        if not refresh and (known := book.get(recipe)) is not None and (records := self._intact(known)):
            return self._summary(records, (), plan.left_out)

        found = self._wheels(requirements, given)
        jobs: list[Callable[[], Path]] = []
        libraries = {library.name: library for library in plan.libraries}

        def python_job() -> Path:
            return self._unless_there(plan.package, lambda room: realise_python(plan, room, pyc=self.pyc))

        jobs.append(python_job)
        jobs.append(partial(self._unless_there, abi_package(self.python), lambda _: ([], [])))
        for package, files in [*extras.accel_packages(), *extras.probe_packages(self.subdir)]:
            jobs.append(partial(self._unless_there, package, lambda _, files=files: (files, [])))  # type: ignore[misc]
        jobs += [partial(self._wheel_job, wheel, found, libraries) for wheel in found.values()]
        with task(self.reporter, "channel", "making packages", len(jobs), "packages"):
            paths = self._all(jobs)
            paths += self._all([partial(self._library_job, libraries[name]) for name in sorted(libraries)])
        made = self._index(paths)
        names = sorted(self._name(path) for path in paths)
        known = {name: read_records(self.directory, name.split("/")[0])[name.split("/")[1]]["sha256"] for name in names}
        book[recipe] = known
        self._write_book(book)
        records = self._intact(known)
        assert records is not None
        return self._summary(records, made, plan.left_out)

    def _all(self, jobs: Sequence[Callable[[], Path]]) -> list[Path]:
        def one(job: Callable[[], Path]) -> Path:
            path = job()
            self.reporter.advance("channel")
            return path

        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = [pool.submit(one, job) for job in jobs]
            try:
                return [future.result() for future in waiting]
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise

    def _unless_there(self, package: Package, content: Callable[[Path], tuple[Sequence[File], Sequence[File]]]) -> Path:
        """Write a package unless its archive is there whole: its name tells its inputs."""
        path = self.directory / package.subdir / package.file_name
        if self._whole(path):
            return path
        with tempfile.TemporaryDirectory(dir=self.scratch) as room:
            files, info = content(Path(room))
            return write_conda(self.directory, package, files, info=info)

    def _whole(self, path: Path) -> bool:
        if not path.is_file():
            return False
        known = read_records(self.directory, path.parent.name).get(path.name)
        return known is not None and known.get("sha256") == sha256_file(path)

    # ------------------------------------------------------------------ wheels
    def _wheels(self, requirements: Sequence[str], given: Sequence[WheelFacts]) -> dict[str, WheelFacts]:
        """Give the wheels to package, by project: those given as files win over downloaded ones."""
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

    def _wheel_job(self, wheel: WheelFacts, catalogue: Mapping[str, WheelFacts], libraries: dict[str, Library]) -> Path:
        requirements = wheel_requirements(wheel, catalogue, self.python.environment)
        with tempfile.TemporaryDirectory(dir=self.scratch) as room:
            made = wheel_package(wheel, self.python, self.subdir, requirements, Path(room))
            needed = self._system_libraries(made.elves)
            libraries |= needed
            depends = {
                *made.package.depends,
                *(library_requirement(needed[name]) for name in needed if name in made.direct),
            }
            package = replace(made.package, depends=tuple(sorted(depends)))
            package = replace(
                package,
                build=package.build.replace("HASH", build_hash([FORMAT, wheel.sha256, package.index(), self.pyc])),
            )
            files = list(made.files)

            def content(scratch: Path) -> tuple[Sequence[File], Sequence[File]]:
                compiled = compile_files(self.python, files, scratch) if self.pyc and not package.noarch else []
                return [*files, *compiled], made.licenses

            return self._unless_there(package, content)

    def _system_libraries(self, elves: Mapping[str, Elf]) -> dict[str, Library]:
        """Give the libraries of this machine that a wheel's files need beside its own."""
        own = {elf.soname for elf in elves.values()} | {Path(path).name for path in elves}
        found, _ = self.loader.closure({Path("/nonexistent", path): elf for path, elf in elves.items()}, own=own)
        return {library.name: library for library in found if not _belongs_to_host(library.name)}

    # --------------------------------------------------------------- libraries
    def _library_job(self, library: Library) -> Path:
        needed = [
            self.loader.find(name, library.path, library.elf) for name in library.elf.needed if not is_glibc(name)
        ]
        package = Package(
            name=package_name(library.name),
            version=package_version(library),
            build="",
            subdir=self.subdir,
            depends=tuple(sorted([*glibc_requirement([library.elf]), *(library_requirement(n) for n in needed if n)])),
            about={"summary": f"{library.name}, as it was installed on the machine that made this channel"},
        )
        package = replace(package, build=build_hash([FORMAT, package.index(), sha256_file(library.path)]) + "_0")
        place = f"lib/{library.name}"

        def content(room: Path) -> tuple[Sequence[File], Sequence[File]]:
            return [File(place, relocate(library.path, place, room / "library"), executable=True)], []

        return self._unless_there(package, content)

    # ------------------------------------------------------------ index, record
    def _index(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Add archives to the indexes; give those that were not in them."""
        made = []
        for subdir in sorted({"noarch", *(path.parent.name for path in paths)}):
            records = read_records(self.directory, subdir)
            present = {name: rec for name, rec in records.items() if (self.directory / subdir / name).is_file()}
            for path in paths:
                if path.parent.name == subdir:
                    fresh = record(path)
                    if present.get(path.name) != fresh:
                        made.append(self._name(path))
                    present[path.name] = fresh
            write_records(self.directory, subdir, present)
        return tuple(sorted(made))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.directory).as_posix()

    def _intact(self, known: Mapping[str, str]) -> dict[str, dict[str, Any]] | None:
        """Give the records of packages if all of them are indexed and whole."""
        records = {}
        for name, sha256 in known.items():
            subdir, _, file_name = name.partition("/")
            found = read_records(self.directory, subdir).get(file_name)
            path = self.directory / name
            if found is None or found.get("sha256") != sha256 or not path.is_file() or sha256_file(path) != sha256:
                return None
            records[name] = found
        return records

    def _summary(
        self, records: Mapping[str, Mapping[str, Any]], made: Sequence[str], left_out: Sequence[str]
    ) -> ChannelSummary:
        needs = [text.split(">=")[1].split(",")[0] for r in records.values() for text in r["depends"]
                 if text.startswith("__glibc >=")]  # fmt: skip
        glibc = max(needs, key=lambda text: tuple(map(int, text.split("."))), default="")
        names = tuple(sorted(records))
        return ChannelSummary(self.directory, self.python.version, glibc, names, tuple(made), tuple(left_out))

    def _read_book(self) -> dict[str, dict[str, str]]:
        try:
            data = json.loads((self.directory / _BOOK).read_bytes())
            return dict(data["made"]) if data["format"] == FORMAT else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _write_book(self, book: Mapping[str, Mapping[str, str]]) -> None:
        with atomic_path(self.directory / _BOOK) as temporary:
            temporary.write_text(pretty_json({"format": FORMAT, "made": book}))


def _belongs_to_host(name: str) -> bool:
    """Tell whether a library must be the host's: drivers, and what talks to its display."""
    return name.startswith(("libGL", "libEGL", "libX", "libxcb", "libcuda", "libnvidia", "libdrm", "libwayland"))
