"""Find the shared libraries that ELF files need on this machine, the way the loader would (ld.so(8)).

glibc's own libraries and the loader stay out: they must be the host's, and a channel says with ``__glibc``
which release it needs.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hermetic.errors import UsageError
from hermetic.outputs.channel.elf import Elf, read_elf

_GLIBC = frozenset(
    """libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libnsl.so.1 libanl.so.1
    libmvec.so.1 libBrokenLocale.so.1 libthread_db.so.1 libc_malloc_debug.so.0 libpcprofile.so libmemusage.so
    libnss_compat.so.2 libnss_db.so.2 libnss_dns.so.2 libnss_files.so.2 libnss_hesiod.so.2""".split()
)

_DEFAULT_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


def is_glibc(name: str) -> bool:
    """Tell whether a library is a part of glibc, the loader included."""
    return name in _GLIBC or name.startswith(("ld-linux", "ld64.so", "ld.so", "linux-vdso"))


@dataclass(frozen=True)
class Library:
    """A shared library of this machine: the name that it is asked for by, its file, and what its header says."""

    name: str
    path: Path
    elf: Elf


@dataclass(frozen=True)
class Loader:
    """The loader's view of this machine. ``root`` holds ``etc/ld.so.cache`` and the default folders."""

    library_path: tuple[str, ...] = ()
    root: Path = Path("/")

    @cached_property
    def cache(self) -> Mapping[str, tuple[str, ...]]:
        """The libraries that ``ldconfig`` knows: name -> paths, in its order."""
        try:
            return parse_cache((self.root / "etc/ld.so.cache").read_bytes())
        except (OSError, struct.error, ValueError):
            return {}

    def find(self, name: str, needing: Path, elf: Elf, inherited: Iterable[str] = ()) -> Library | None:
        """Give the library that the loader takes for a needed ``name``, or None if it would find none.

        ``inherited`` are folders of the programs that load ``needing`` (their ``DT_RPATH``).
        """
        folders = [] if elf.runpath else [*elf.rpath, *inherited]
        folders = [*expand(folders, needing), *self.library_path, *expand(elf.runpath, needing)]
        candidates = [Path(folder, name) for folder in folders]
        candidates += [self.root / path.lstrip("/") for path in self.cache.get(name, ())]
        candidates += [self.root / folder.lstrip("/") / name for folder in _DEFAULT_FOLDERS]
        if "/" in name:
            candidates = [Path(name)]
        for path in candidates:
            if path.is_file() and (found := read_elf(path)) and found.kind == elf.kind:
                return Library(name, path, found)
        return None

    def closure(self, files: Mapping[Path, Elf], *, own: Iterable[str] = ()) -> tuple[list[Library], list[str]]:
        """Give all libraries outside glibc that ``files`` need, directly or not, and the names that are nowhere.

        ``own`` are the names of libraries that come along by another way.
        """
        seen = set(own)
        found: dict[str, Library] = {}
        missing: set[str] = set()
        waiting: list[tuple[Path, Elf, tuple[str, ...]]] = [(path, elf, ()) for path, elf in sorted(files.items())]
        while waiting:
            path, elf, inherited = waiting.pop(0)
            for name in elf.needed:
                if name in seen or is_glibc(name):
                    continue
                seen.add(name)
                library = self.find(name, path, elf, inherited)
                if library is None:
                    missing.add(name)
                else:
                    found[name] = library
                    waiting.append((library.path, library.elf, (*expand(elf.rpath, path), *inherited)))
        return [found[name] for name in sorted(found)], sorted(missing)


def glibc_requirement(elves: Iterable[Elf]) -> tuple[str, ...]:
    """Give the conda requirement on glibc that some ELF files have: the newest release that a symbol comes from."""
    newest = max((elf.glibc for elf in elves), default=())
    return (f"__glibc >={'.'.join(map(str, newest))},<3.0.a0",) if newest else ()


def library_requirement(library: Library) -> str:
    """Give the conda requirement on a library's package."""
    return f"{package_name(library.name)} >={package_version(library)}"


def package_name(name: str) -> str:
    """Give the conda name of a library's package: ``libssl.so.3`` -> ``sys-libssl3``.

    The first part says that it is a copy of the system's, not the package that other channels build.
    """
    stem, _, version = name.partition(".so")
    version = version.strip(".")
    joint = "-" if version and stem[-1:].isdigit() else ""
    return "sys-" + re.sub(r"[^a-z0-9._-]", "x", f"{stem}{joint}{version}".lower())


def package_version(library: Library) -> str:
    """Give a library's version: what its file's own name says (``libz.so.1.2.13``), else its soname, else 0."""
    for name in (library.path.resolve().name, library.elf.soname, library.name):
        if match := re.search(r"\.so\.(\d+(?:\.\d+)*)\Z", name):
            return match[1]
    return "0"


def this_machine() -> Loader:
    """Give the loader of the running machine. Raises UsageError where there is no glibc."""
    if not hasattr(os, "confstr") or not (os.confstr_names.get("CS_GNU_LIBC_VERSION") and _glibc_version()):
        raise UsageError(
            "a channel can be made only on Linux with glibc, for now",
            remedy="make it on such a machine; as a folder, it can be copied and served from anywhere",
        )
    return Loader(tuple(part for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part))


def _glibc_version() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ""


def expand(folders: Iterable[str], needing: Path) -> list[str]:
    """Give run paths with ``$ORIGIN`` put in; what needs the loader's own tokens (``$LIB``) is left out."""
    origin = str(needing.parent.resolve())
    texts = [folder.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin) for folder in folders]
    return [text for text in texts if "$" not in text]


def parse_cache(data: bytes) -> dict[str, tuple[str, ...]]:
    """Read ``ld.so.cache`` in glibc's new format, alone or behind the old one (glibc, ``dl-cache.h``)."""
    start = data.find(b"glibc-ld.so.cache1.1")
    if start < 0:
        return {}
    (count,) = struct.unpack_from("=I", data, start + 20)
    found: dict[str, list[str]] = {}
    for number in range(count):
        _, name_at, path_at = struct.unpack_from("=iII", data, start + 48 + 24 * number)
        name, path = (data[start + at : data.index(b"\0", start + at)].decode() for at in (name_at, path_at))
        found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}
