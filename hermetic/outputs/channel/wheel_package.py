"""Turn a wheel (PEP 427, PEP 491) into a conda package: noarch where it is pure Python, for the platform otherwise."""

from __future__ import annotations

import base64
import configparser
import posixpath
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path, PurePosixPath

from hermetic.errors import IntegrityError, UsageError
from hermetic.outputs.channel.archive import PLACEHOLDER, File, Package
from hermetic.outputs.channel.elf import Elf, is_elf, parse_elf, read_elf
from hermetic.outputs.channel.interpreter import Interpreter
from hermetic.outputs.channel.libraries import glibc_requirement, is_glibc
from hermetic.outputs.channel.names import conda_version, python_requirement
from hermetic.outputs.channel.patch import set_run_path
from hermetic.outputs.channel.wheels import WheelFacts

_IN_MEMORY = 16 << 20
"""Bytes: larger members of a wheel are unpacked to disk, so that memory stays bounded."""


@dataclass(frozen=True)
class WheelPackage:
    """A wheel as a package, with the ELF headers of its files (by path below the prefix).

    The build string holds ``HASH`` where the hash of all inputs belongs.
    """

    package: Package
    files: tuple[File, ...]
    licenses: tuple[File, ...]
    elves: Mapping[str, Elf]

    @property
    def direct(self) -> frozenset[str]:
        """The names of the libraries that the files ask for themselves."""
        return frozenset(name for elf in self.elves.values() for name in elf.needed)


def wheel_package(
    wheel: WheelFacts,
    interpreter: Interpreter,
    subdir: str,
    requirements: Iterable[str],
    scratch: Path,
) -> WheelPackage:
    """Give a wheel's content as a conda package. ``scratch`` is a folder for large files and changed ones."""
    layout = _Layout(wheel, interpreter, scratch)
    with zipfile.ZipFile(wheel.path) as archive:
        files = list(layout.files(archive))
    elves: dict[str, Elf] = {}
    if not layout.pure:  # a wheel for all platforms may carry binaries of several; none of them is needed
        for file in files:
            if (elf := _elf(file)) is not None:
                elves[file.path] = elf
    depends = [*requirements, layout.python_requirement()]
    if not layout.pure:
        depends.append(f"python_abi {interpreter.minor}.* *_{interpreter.abi}")
    depends += glibc_requirement(elves.values())
    kind = "py" if layout.pure else f"py{interpreter.minor.replace('.', '')}"
    package = Package(
        name=wheel.name,
        version=conda_version(wheel.version),
        build=f"{kind}HASH_0",
        subdir="noarch" if layout.pure else subdir,
        depends=tuple(sorted(depends)),
        noarch="python" if layout.pure else "",
        license=_license(wheel.metadata),
        purls=(f"pkg:pypi/{wheel.name}@{wheel.version}",),
        entry_points=layout.entry_points if layout.pure else (),
        about=_about(wheel.metadata),
    )
    licenses = tuple(
        File(f"licenses/{path}", file.content)
        for file in files
        if (path := _license_path(file.path, wheel.info)) is not None
    )
    return WheelPackage(package, tuple(files), licenses, elves)


def _elf(file: File) -> Elf | None:
    if isinstance(file.content, Path):
        return read_elf(file.content)
    return parse_elf(file.content, file.path) if is_elf(file.content) else None


@dataclass
class _Layout:
    """Where a wheel's files go below a prefix, and the files that an installer adds."""

    wheel: WheelFacts
    interpreter: Interpreter
    scratch: Path
    entry_points: tuple[str, ...] = ()
    pinned: bool = False

    @property
    def pure(self) -> bool:
        return self.wheel.pure

    @property
    def site(self) -> str:
        return "site-packages" if self.pure else self.interpreter.site_packages

    @property
    def scripts(self) -> str:
        return "python-scripts" if self.pure else "bin"

    def python_requirement(self) -> str:
        tags = {python for python, _, _ in self.wheel.tags}
        if not self.pure or self.pinned or not any(re.fullmatch(r"py3\d*", tag) for tag in tags):
            major, minor = self.interpreter.minor.split(".")
            return f"python >={major}.{minor},<{major}.{int(minor) + 1}.0a0"
        lowest = min((tag.removeprefix("py3") for tag in tags if tag.startswith("py3")), key=lambda t: int(t or 0))
        declared = self.wheel.metadata.get("Requires-Python") or f">=3.{lowest or 0}"
        return python_requirement(str(declared))

    def place(self, member: str) -> str:
        """Give where a member of the wheel goes. Raises IntegrityError if it would leave the prefix."""
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts or "\\" in member or not path.parts:
            raise IntegrityError(f"{self.wheel.path.name}: {member!r} would leave the environment's folder")
        first = path.parts[0]
        if not first.endswith(".data"):
            return f"{self.site}/{path}"
        if len(path.parts) < 3:
            raise IntegrityError(f"{self.wheel.path.name}: {member!r} stands in no scheme folder")
        scheme, rest = path.parts[1], "/".join(path.parts[2:])
        if scheme == "headers":
            self.pinned = True  # the folder holds Python's version
            return f"include/python{self.interpreter.minor}/{self.wheel.name}/{rest}"
        folders = {"purelib": f"{self.site}/", "platlib": f"{self.site}/", "scripts": f"{self.scripts}/", "data": ""}
        if scheme not in folders:
            raise IntegrityError(f"{self.wheel.path.name}: unknown scheme {scheme!r} in {member!r}")
        return f"{folders[scheme]}{rest}"

    def files(self, archive: zipfile.ZipFile) -> Iterator[File]:
        """Give every file of the package: the wheel's own, entry points, INSTALLER and RECORD."""
        info = f"{self.site}/{self.wheel.info}"
        skipped = {f"{info}/{name}" for name in ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED")}
        files: dict[str, File] = {}
        own = {PurePosixPath(name).name for name in archive.namelist()}
        for number, member in enumerate(archive.infolist()):
            if member.is_dir():
                continue
            path = self.place(member.filename)
            if path in skipped:
                continue
            if path in files:
                raise IntegrityError(f"{self.wheel.path.name}: two files for {path}")
            file = self.file(archive, member, path, self.scratch / str(number))
            files[path] = file if self.pure else self.reaching(file, own)
        self.entry_points = tuple(self.console_scripts(files.get(f"{info}/entry_points.txt")))
        if not self.pure:
            for entry in self.entry_points:
                script = self.entry_script(entry)
                files.setdefault(script.path, script)
        files[f"{info}/INSTALLER"] = File(f"{info}/INSTALLER", b"conda\n")
        record = f"{info}/RECORD"
        files[record] = File(record, self.record(files.values(), record))
        yield from files.values()

    def file(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str, large: Path) -> File:
        script = path.startswith(f"{self.scripts}/") and ".data/scripts/" in member.filename
        executable = script or bool((member.external_attr >> 16) & 0o111)
        try:
            if member.file_size > _IN_MEMORY:
                with archive.open(member) as source, large.open("wb") as target:
                    while chunk := source.read(1 << 20):
                        target.write(chunk)
                return File(path, large, executable)
            data = archive.read(member)
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise IntegrityError(
                f"{self.wheel.path.name}: damaged wheel: {member.filename}: {error}", remedy="download it again"
            ) from error
        if script and (shebang := re.match(rb"#!pythonw?(?=[\s])", data)):
            python = f"#!{PLACEHOLDER}/bin/python".encode()
            return File(path, python + data[shebang.end() :], executable, prefix="text")
        return File(path, data, executable)

    def reaching(self, file: File, own: set[str]) -> File:
        """Give an ELF file so that it finds the channel's libraries.

        Python's own run path serves what a wheel needs from the system, unless a file has a ``DT_RUNPATH``:
        then nothing but that counts (ld.so(8)), and the environment's folder has to stand in it.
        """
        elf = _elf(file)
        if not elf or not elf.runpath or all(is_glibc(name) or name in own for name in elf.needed):
            return file
        changed = self.scratch / f"{file.digest()[0]}.elf"
        if isinstance(file.content, Path):
            shutil.copyfile(file.content, changed)
        else:
            changed.write_bytes(file.content)
        library_folder = posixpath.relpath("lib", posixpath.dirname(file.path))
        set_run_path(changed, ":".join([*elf.runpath, f"$ORIGIN/{library_folder}"]))
        return replace(file, content=changed)

    def console_scripts(self, declared: File | None) -> Iterator[str]:
        if declared is None:
            return
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            parser.read_string(declared.read().decode())
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{self.wheel.path.name}: entry_points.txt: {error}") from error
        for section in ("console_scripts", "gui_scripts"):
            if parser.has_section(section):
                for name, value in sorted(parser.items(section)):
                    target = value.split("[")[0].replace(" ", "")
                    if ":" not in target:
                        raise UsageError(f"{self.wheel.path.name}: entry point {name!r} names no function: {value!r}")
                    yield f"{name} = {target}"

    def entry_script(self, entry: str) -> File:
        """Give the script of an entry point; in noarch packages the installer writes it."""
        name, _, target = (part.strip() for part in entry.partition("="))
        module, _, function = target.partition(":")
        text = (
            f"#!{PLACEHOLDER}/bin/python{self.interpreter.minor}\n"
            f"import sys\n\nfrom {module} import {function.split('.')[0]}\n\n"
            f'if __name__ == "__main__":\n    sys.exit({function}())\n'
        )
        return File(f"bin/{name}", text.encode(), executable=True, prefix="text")

    def record(self, files: Iterable[File], record: str) -> bytes:
        """Give RECORD (PEP 376) for the places of this package; what holds the prefix has no digest."""
        lines = []
        for file in files:
            if file.path.startswith(f"{self.site}/"):
                path = file.path.removeprefix(f"{self.site}/")
            else:
                path = "../../../" + file.path.replace("python-scripts/", "bin/", 1)
            sha256, size = file.digest()
            digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()
            path = f'"{path}"' if "," in path or '"' in path else path
            lines.append(f"{path},," if file.prefix else f"{path},sha256={digest},{size}")
        lines += [f"{record.removeprefix(f'{self.site}/')},,"]
        return ("\n".join(sorted(lines)) + "\n").encode()


def _license(metadata: Message) -> str:
    """Give the licence in one line, from the newest kind of field that says it."""
    expression = metadata.get("License-Expression") or ""
    if expression:
        return str(expression)
    named = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or () if c.startswith("License :: OSI")]
    if named:
        return " AND ".join(sorted(named))
    text = str(metadata.get("License") or "").strip()
    return text if text and "\n" not in text and len(text) < 80 and text.upper() != "UNKNOWN" else ""


def _license_path(path: str, info: str) -> str | None:
    """Give the path below ``licenses/`` if a file of dist-info is a licence text."""
    _, found, rest = path.partition(f"{info}/")
    if not found:
        return None
    if rest.startswith("licenses/"):
        return rest.removeprefix("licenses/")
    return rest if re.match(r"(?i)(licen[cs]e|copying|notice|authors)[^/]*\Z", rest) else None


def _about(metadata: Message) -> dict[str, str]:
    about = {"summary": str(metadata.get("Summary") or "")}
    home = metadata.get("Home-page")
    for value in metadata.get_all("Project-URL") or ():
        label, _, url = str(value).partition(",")
        if label.strip().lower() in ("homepage", "home") and not home:
            home = url.strip()
    if home and str(home) != "UNKNOWN":
        about["home"] = str(home)
    return {name: value for name, value in about.items() if value}
