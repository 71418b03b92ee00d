"""Wheels linked from the store's trees into a staging folder, as an installer must (PyPA specifications).

Scripts get the interpreter of the final prefix, RECORD lists what was installed, INSTALLER says by whom.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.errors import BuildError
from hermetic.lock.model import Wheel
from hermetic.outputs.prefix.layout import PrefixLayout
from hermetic.plan.files import FILE, FileEntry
from hermetic.realize.trees import Tree
from hermetic.realize.wheel_tree import record_digest

if TYPE_CHECKING:
    from hermetic.outputs.prefix.links import Linker

INSTALLER = b"hermetic\n"
_SHEBANG_LIMIT = 124  # Linux reads 127 bytes of a first line (255 since 5.1)


@dataclass(frozen=True)
class Placed:
    """A wheel's file in a prefix: what it will be, and from where: a file of a tree, or bytes made for this prefix.

    ``prefixed`` if the bytes hold the prefix.
    """

    entry: FileEntry
    file: str = ""
    data: bytes = b""
    prefixed: bool = False


def place_wheel(wheel: Wheel, tree: Tree, layout: PrefixLayout, prefix: Path) -> list[Placed]:
    """Give what a wheel puts into a prefix, sorted by path, without its RECORD."""
    from installer.scripts import Script

    about = tree.listing.about
    folders = {
        "purelib": layout.site_packages,
        "platlib": layout.site_packages,
        "scripts": layout.scripts,
        "headers": f"{layout.headers}/{wheel.name}",
        "data": "",
    }
    data_folder = about["dist_info"].removesuffix(".dist-info") + ".data/"
    interpreter = f"{prefix}{os.sep}{layout.executable}"
    placed: dict[str, Placed] = {}
    for entry in tree.listing.entries:
        if entry.kind != FILE or "__pycache__" in entry.path.split("/") or entry.path == f"{about['dist_info']}/RECORD":
            continue  # pyc files are made anew, and RECORD is another one
        scheme, rest = about["root"], entry.path
        if rest.startswith(data_folder):
            scheme, _, rest = rest.removeprefix(data_folder).partition("/")
        path = f"{folders[scheme]}/{rest}".lstrip("/")
        source = f"{tree.files}/{entry.path}"
        text = _with_interpreter(source, interpreter) if scheme == "scripts" else None
        if path in placed:
            raise BuildError(f"{wheel.file_name} has {path} twice", remedy=f"choose another version of {wheel.name}")
        if text is None:
            placed[path] = Placed(replace(entry, path=path, executable=entry.executable or scheme == "scripts"), source)
        else:
            placed[path] = _script(path, text)
    for name, module, attribute, section in tree.listing.about["scripts"]:
        script = Script(name, module, attribute, section)
        file_name, data = script.generate(interpreter, "win-amd64" if layout.executable.endswith(".exe") else "posix")
        path = f"{layout.scripts}/{file_name}"
        placed[path] = _script(path, data)
    path = f"{layout.site_packages}/{tree.listing.about['dist_info']}/INSTALLER"
    placed[path] = _made(path, INSTALLER)
    return [placed[path] for path in sorted(placed)]


def record(tree: Tree, layout: PrefixLayout, placed: Iterable[Placed], compiled: Iterable[FileEntry]) -> Placed:
    """Give the RECORD of an installed wheel: every file, relative to site-packages.

    pyc files have no digest in it, as is the custom, and neither have scripts that hold the prefix: so RECORD is
    the same wherever the environment lies.
    """
    path = f"{layout.site_packages}/{tree.listing.about['dist_info']}/RECORD"
    rows = [(_relative(path, layout), "", "")]
    for file in placed:
        if file.prefixed:
            rows.append((_relative(file.entry.path, layout), "", ""))
            continue
        digest = record_digest(file.entry.sha256)
        rows.append((_relative(file.entry.path, layout), f"sha256={digest}", str(file.entry.size)))
    rows += [(_relative(entry.path, layout), "", "") for entry in compiled]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    return _made(path, text.getvalue().encode())


def link_placed(placed: Iterable[Placed], staging: Path, linker: Linker) -> None:
    """Put files into a staging folder."""
    for file in placed:
        target = f"{staging}/{file.entry.path}"
        if file.file:
            linker.link(file.file, target, executable=file.entry.executable)
        else:
            linker.write(target, file.data, executable=file.entry.executable)


def _relative(path: str, layout: PrefixLayout) -> str:
    inside = f"{layout.site_packages}/"
    if path.startswith(inside):  # nearly all: the general way takes a hundred times as long
        return path[len(inside) :]
    return os.path.relpath(path, layout.site_packages).replace(os.sep, "/")


def _made(path: str, data: bytes) -> Placed:
    return Placed(FileEntry(path, FILE, sha256(data).hexdigest(), len(data)), "", data)


def _script(path: str, data: bytes) -> Placed:
    entry = FileEntry(path, FILE, sha256(data).hexdigest(), len(data), executable=True)
    return Placed(entry, "", data, prefixed=True)


def _with_interpreter(source: str, interpreter: str) -> bytes | None:
    """Give a script with ``#!python`` replaced by the interpreter, or None if its first line is another."""
    with Path(source).open("rb") as file:
        first = file.readline()
        if not first.startswith(b"#!python"):
            return None
        rest = file.read()
    gui = first.startswith(b"#!pythonw") and interpreter.endswith("python.exe")
    return shebang(interpreter.replace("python.exe", "pythonw.exe") if gui else interpreter) + rest


def shebang(interpreter: str) -> bytes:
    """Give the first line (or lines) of a script for an interpreter, also for one that the kernel would not take."""
    from shlex import quote

    if " " not in interpreter and len(os.fsencode(interpreter)) <= _SHEBANG_LIMIT:
        return b"#!" + os.fsencode(interpreter) + b"\n"
    return b"#!/bin/sh\n'''exec' " + os.fsencode(quote(interpreter)) + b" \"$0\" \"$@\"\n' '''\n"
