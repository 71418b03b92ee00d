"""Package a CPython installation: pyenv's, a distribution's, python.org's, python-build-standalone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from hermetic.errors import BuildError, UsageError
from hermetic.outputs.channel.archive import PLACEHOLDER, File, Package, build_hash
from hermetic.outputs.channel.elf import Elf, read_elf
from hermetic.outputs.channel.interpreter import Interpreter
from hermetic.outputs.channel.libraries import Library, Loader, glibc_requirement, library_requirement
from hermetic.outputs.channel.patch import relocate

_LEFT_OUT_FOLDERS = {
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "turtledemo", "tkinter",
}  # fmt: skip
"""Tests, the windowed parts (they would pull in an X server's libraries), and what others installed."""

_LEFT_OUT_FILES = (
    "*.a", "*.o", "*.pyc", "EXTERNALLY-MANAGED", "sitecustomize.py", "usercustomize.py", "_tkinter.*", "turtle.py",
    "_test*.so", "_ctypes_test.*.so", "_xxtestfuzz.*.so", "xxlimited*.so", "nis.*.so", "libpython*.so*",
)  # fmt: skip

_SHARED_PREFIXES = {"/", "/usr", "/usr/local", "/opt"}
"""Prefixes too common to be replaced wherever they stand in a text."""

# Debian's and Ubuntu's Python looks for packages in dist-packages, outside virtual environments. sysconfig.py can be
# told otherwise in its text; site is frozen in the program, so sitecustomize has to add what it overlooks.
_DEBIAN = (
    (r'os\.path\.join\(prefix, "local/lib",', 'os.path.join(prefix, "lib",'),
    (r'"dist-packages"', '"site-packages"'),
    (r"prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'"),
    (r"'DEB_PYTHON_INSTALL_LAYOUT', 'posix_local'", "'DEB_PYTHON_INSTALL_LAYOUT', 'posix_prefix'"),
    (r"prefix_scheme = 'deb_system'", "prefix_scheme = 'posix_prefix'"),
    (r"else:(\s+)prefix_scheme = 'posix_local'", r"else:\1prefix_scheme = 'posix_prefix'"),
)

_SITECUSTOMIZE = b'''\
"""Find site-packages: the site module in this program is Debian's, which looks in dist-packages."""

import os
import site
import sys

if sys.prefix == sys.base_prefix:
    folder = os.path.join(sys.prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    site.getsitepackages = lambda prefixes=None: [folder]
    if folder not in sys.path and not sys.flags.no_site:
        site.addsitedir(folder)
'''


@dataclass(frozen=True)
class PythonPlan:
    """Python as a package to be: its files as they lie on this machine, and what is to become of them.

    ``elves`` are the ELF files among ``files``, by path below the prefix; ``libraries`` those of this machine
    that they need; ``left_out`` the extension modules that had to stay behind, with the reason.
    """

    interpreter: Interpreter
    package: Package
    files: tuple[File, ...]
    elves: Mapping[str, Elf]
    libraries: tuple[Library, ...]
    left_out: tuple[str, ...]
    program: str


def plan_python(interpreter: Interpreter, loader: Loader, subdir: str, *, pyc: bool = False) -> PythonPlan:
    """Find what belongs to a Python installation. The build string is made from all that determines the bytes.

    Raises UsageError if the interpreter itself needs a library that is not there.
    """
    program = f"bin/python{interpreter.minor}{'t' if interpreter.free_threaded else ''}"
    files: dict[str, File] = {file.path: file for file in _tree(interpreter)}
    files[program] = File(program, interpreter.executable, executable=True)
    libraries: dict[str, Library] = {}
    left_out: list[str] = []
    elves: dict[str, Elf] = {}
    for path, file in sorted(files.items()):
        if not isinstance(file.content, Path) or (elf := read_elf(file.content)) is None:
            continue
        found, missing = loader.closure({file.content: elf})
        if missing and path == program:
            raise UsageError(f"{file.content} needs {', '.join(missing)}, which this machine does not have")
        if missing:
            left_out.append(f"{PurePosixPath(path).name} (needs {', '.join(missing)})")
            del files[path]
        else:
            elves[path] = elf
            libraries |= {library.name: library for library in found}
    for name in [name for name in libraries if name.startswith("libpython")]:
        library = libraries.pop(name)
        files[f"lib/{name}"], elves[f"lib/{name}"] = File(f"lib/{name}", library.path, executable=True), library.elf
        plain = name.split(".so")[0] + ".so"
        if plain != name:
            files[f"lib/{plain}"] = File(f"lib/{plain}", link=name)
    for file in _commands(interpreter, program):
        files.setdefault(file.path, file)
    ordered = tuple(files[path] for path in sorted(files))
    package = Package(
        name="python",
        version=interpreter.version,
        build="",
        subdir=subdir,
        depends=tuple(sorted([*glibc_requirement(elves.values()), *map(library_requirement, libraries.values())])),
        constrains=(f"python_abi {interpreter.minor}.* *_{interpreter.abi}",),
        license="Python-2.0",
        about={"summary": "CPython, as it was installed on the machine that made this channel"},
        python_site_packages_path=interpreter.site_packages if interpreter.free_threaded else "",
    )
    content = [[f.path, f.link or f.digest()[0], f.executable, f.prefix] for f in ordered]
    package = replace(package, build=f"{build_hash([package.index(), content, pyc])}_0_{interpreter.flavour}")
    needed = tuple(libraries[name] for name in sorted(libraries))
    return PythonPlan(interpreter, package, ordered, elves, needed, tuple(left_out), program)


def realise_python(plan: PythonPlan, scratch: Path, *, pyc: bool = False) -> tuple[list[File], list[File]]:
    """Give the planned package's files, relocatable, and those of its metadata; ``scratch`` takes what is changed."""
    files = []
    for number, file in enumerate(plan.files):
        if file.path in plan.elves:
            assert isinstance(file.content, Path)
            changed = relocate(
                file.content,
                file.path,
                scratch / f"{number}.elf",
                forget=str(plan.interpreter.prefix),
                program=file.path == plan.program,
            )
            files.append(replace(file, content=changed))
        else:
            files.append(file)
    if pyc:
        (scratch / "pyc").mkdir()
        files += compile_files(plan.interpreter, files, scratch / "pyc")
    licenses = [File("licenses/LICENSE.txt", file.content) for file in files if file.path.endswith("/LICENSE.txt")]
    return files, licenses[:1]


def abi_package(interpreter: Interpreter) -> Package:
    """Give ``python_abi``: what packages with extension modules hold on to, so that they fit Python."""
    return Package(
        name="python_abi",
        version=interpreter.minor,
        build=f"8_{interpreter.abi}",
        build_number=8,
        subdir="noarch",
        noarch="generic",
        constrains=(f"python {interpreter.minor}.* *_{interpreter.flavour}",),
        license="BSD-3-Clause",
    )


def _tree(interpreter: Interpreter) -> Iterator[File]:
    """Give the files of the standard library and the headers, where they go below any prefix."""
    stdlib = f"lib/{interpreter.stdlib.name}"
    if interpreter.stdlib.is_relative_to(interpreter.prefix):
        stdlib = interpreter.stdlib.relative_to(interpreter.prefix).as_posix()
    yield from _folder(interpreter, interpreter.stdlib, stdlib)
    dynload = interpreter.dynload
    if dynload and not dynload.is_relative_to(interpreter.stdlib):
        yield from _folder(interpreter, dynload, f"{stdlib}/lib-dynload")
    if interpreter.include.is_dir():
        yield from _folder(interpreter, interpreter.include, f"include/{interpreter.include.name}")
    if b"dist-packages" in (interpreter.stdlib / "site.py").read_bytes():
        yield File(f"{stdlib}/sitecustomize.py", _SITECUSTOMIZE)
    yield File(f"{interpreter.site_packages}/README.txt", b"Installed packages go here.\n")


def _folder(interpreter: Interpreter, folder: Path, place: str) -> Iterator[File]:
    for path in sorted(folder.iterdir()):
        target = f"{place}/{path.name}"
        if path.is_dir():
            if path.name not in _LEFT_OUT_FOLDERS and not path.is_symlink():
                yield from _folder(interpreter, path, target)
            continue
        if any(fnmatchcase(path.name, pattern) for pattern in _LEFT_OUT_FILES) or not path.is_file():
            continue
        yield _file(interpreter, path, target)  # a symbolic link gives the file that it leads to


def _file(interpreter: Interpreter, path: Path, place: str) -> File:
    executable = bool(path.stat().st_mode & 0o100)
    with path.open("rb") as stream:
        head = stream.read(4096)
    if b"\0" in head:
        return File(place, path, executable)
    data = path.read_bytes()
    if path.name in {"site.py", "sysconfig.py"} or place.endswith("/sysconfig/__init__.py"):
        data = _debian(data)
    data, prefixed = _without_prefix(data, path.name, str(interpreter.prefix))
    data = re.sub(rb"\A#! */usr/local/bin/python\d?", b"#!/usr/bin/env python3", data)
    return File(place, data, executable, prefix="text" if prefixed else "")


def _debian(data: bytes) -> bytes:
    text = data.decode()
    if "dist-packages" not in text:
        return data
    for old, new in _DEBIAN:
        text = re.sub(old, new, text)
    return text.encode()


def _without_prefix(data: bytes, name: str, prefix: str) -> tuple[bytes, bool]:
    """Put the placeholder where a text names the prefix that Python was built for."""
    if prefix in _SHARED_PREFIXES:
        if not (name.startswith("_sysconfigdata") or name == "Makefile"):
            return data, False
        pattern = rf"(?<![\w./-]){re.escape(prefix)}(?=/(?:bin|lib|include|share|man)\b|['\"\s]|\Z)"
    else:
        pattern = rf"{re.escape(prefix)}(?![\w.-])"
    changed, count = re.subn(pattern.encode(), PLACEHOLDER.encode(), data)
    return changed, bool(count)


def _commands(interpreter: Interpreter, program: str) -> Iterator[File]:
    """Give the other names of the program, and pydoc."""
    name = program.removeprefix("bin/")
    for link in ("python", "python3", f"python{interpreter.minor}"):
        if link != name:
            yield File(f"bin/{link}", link=name)
    script = (
        f"#!{PLACEHOLDER}/bin/{name}\nimport sys\n\nfrom pydoc import cli\n\n"
        'if __name__ == "__main__":\n    sys.exit(cli())\n'
    )
    yield File(f"bin/pydoc{interpreter.minor}", script.encode(), executable=True, prefix="text")
    for link in ("pydoc", "pydoc3"):
        yield File(f"bin/{link}", link=f"pydoc{interpreter.minor}")


def compile_files(interpreter: Interpreter, files: Sequence[File], scratch: Path) -> list[File]:
    """Give the byte code of a package's modules: unchecked hashes and relative names, so the same bytes everywhere.

    A module that holds the prefix is left out: its byte code would hold it too, in a string with a length.
    """
    modules = {f.path: f for f in files if f.path.endswith(".py") and not f.prefix and not f.link}
    for path, file in modules.items():
        target = scratch / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read())
    if not modules:
        return []
    # no -I: it would ignore the fixed hash seed, which older Pythons' byte code depends on
    command = [str(interpreter.executable), "-s", "-B", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode",
               "unchecked-hash", "-s", str(scratch), str(scratch)]  # fmt: skip
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=scratch)
    compiled = sorted(scratch.rglob("*.pyc"))
    if done.returncode > 1 or not compiled:
        raise BuildError(f"compiling Python modules failed: {done.stderr.strip()[-500:]}")
    return [File(path.relative_to(scratch).as_posix(), path.read_bytes()) for path in compiled]
