"""A root file system from Debian packages, as a value: nothing is unpacked, and no script of a package runs.

What maintainer scripts would have done, and what programs need of it, is done here, the same way every time: the
merged ``/usr`` (``/bin`` leads to ``/usr/bin``), users and groups, certificates in one bundle, shells, the time zone,
and what scanners read to know which packages are in it. Owners are 0:0, setuid and setgid bits are dropped.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from hermetic.errors import IntegrityError
from hermetic.outputs.oci.bases.deb import Entry, read_deb
from hermetic.plan.files import FILE, FOLDER, LINK, FileEntry
from hermetic.store.guard import printable

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32")
"""Folders of the root that are links into /usr (the file-hierarchy of Debian since 12)."""

_LEFT_OUT = ("bug", "doc", "groff", "info", "linda", "lintian", "locale", "man", "menu")
"""Folders of /usr/share that no program needs; copyright files stay."""

_MODES = 0o1777


@dataclass(frozen=True, slots=True)
class RootEntry(FileEntry):
    """An entry of a root file system: as any, but with permission bits of its own."""

    bits: int = 0o755

    @property
    def mode(self) -> int:
        """The permission bits."""
        return self.bits


@dataclass(frozen=True)
class _Content:
    """A file's bytes: in memory, or in the spool from ``start`` on."""

    size: int
    start: int = -1
    data: bytes = b""


@dataclass
class Root:
    """A root file system that grows package by package. ``spool`` takes the bytes of files."""

    spool: BinaryIO
    _entries: dict[str, RootEntry] = field(default_factory=dict)
    _contents: dict[str, _Content] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _control: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def add(self, path: Path, label: str) -> Mapping[str, str]:
        """Add a package's files; give the fields of its control file. Raises IntegrityError for what cannot be."""
        own: dict[str, tuple[RootEntry, _Content]] = {}  # for hard links, which may lead to what is left out

        def take(entry: Entry, pieces: Iterable[memoryview]) -> None:
            path, kept = _moved(entry.path), not _is_left_out(entry.path)
            if entry.kind == "hard link":
                first, content = own[entry.target]
                own[entry.path] = first, content
                if kept:
                    self._put(replace(first, path=path), label, content)
            elif entry.kind == FILE:
                content = self._spooled(pieces)
                found = RootEntry(path, FILE, size=content.size, bits=entry.mode & _MODES)
                own[entry.path] = found, content
                if kept:
                    self._put(found, label, content)
            elif entry.kind == LINK and kept and entry.path not in _MERGED:
                self._put(RootEntry(path, LINK, target=_target(entry), bits=0o777), label)
            elif entry.kind == FOLDER and kept and path:
                self._put(RootEntry(path, FOLDER, bits=entry.mode & _MODES), label)

        control = read_deb(path, take, label=label)
        self._control[control["Package"]] = control
        return control

    def finish(self) -> None:
        """Write what no package holds."""
        for name in _MERGED:
            if name in {"bin", "lib", "sbin"} or f"usr/{name}" in self._entries:
                self.link(name, f"usr/{name}")
        for name in ("dev", "proc", "sys", "run", "usr/local/bin", "mnt", "opt", "srv", "media", "var/tmp", "var/log"):
            self.folder(name)
        for name in ("tmp", "var/tmp", "run/lock"):
            self.folder(name, 0o1777)
        self.folder("root", 0o700)
        self.link("var/run", "/run")
        self.link("var/lock", "/run/lock")
        for source, path in _COPIES.items():
            if (data := self.read(source)) is not None:
                self.file(path, data)
        for path, data in _FALLBACKS.items():
            if path not in self._entries:
                self.file(path, data)
        self._certificates()
        self._shells()
        if "usr/share/zoneinfo/Etc/UTC" in self._entries:
            self.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
            self.file("etc/timezone", b"Etc/UTC\n")
        if "usr/bin/which.debianutils" in self._entries:
            self.link("usr/bin/which", "which.debianutils")
        for name, control in self._control.items():
            self.file(f"var/lib/dpkg/status.d/{name}", _status(control))

    def entries(self) -> Iterator[tuple[RootEntry, Callable[[], Iterator[bytes]]]]:
        """Give all entries by path, each with what gives a file's bytes."""
        for path, entry in sorted(self._entries.items()):
            yield entry, lambda path=path: self._pieces(path)  # type: ignore[misc]

    def read(self, path: str) -> bytes | None:
        """Give a file's bytes, or None if there is no such file."""
        return b"".join(self._pieces(path)) if path in self._contents else None

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file of our own, in the place of what is there."""
        self._own(path)
        self._put(RootEntry(path, FILE, size=len(data), bits=mode), "", _Content(len(data), data=data))

    def link(self, path: str, target: str) -> None:
        """Write a link of our own, in the place of what is there."""
        self._own(path)
        self._put(RootEntry(path, LINK, target=target, bits=0o777), "")

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Make sure of a folder."""
        self._put(RootEntry(path, FOLDER, bits=mode), "")

    def _own(self, path: str) -> None:
        entry = self._entries.get(path)
        if entry and entry.kind == FOLDER and any(name.startswith(f"{path}/") for name in self._entries):
            raise IntegrityError(f"the packages of the base hold a folder /{path}, where none may be")
        self._entries.pop(path, None)
        self._contents.pop(path, None)

    def _put(self, entry: RootEntry, label: str, content: _Content | None = None) -> None:
        """Put an entry in its place. ``label`` is the package's that has it, empty for our own."""
        path = entry.path
        self._parents(path, label)
        old = self._entries.get(path)
        if old and not old.kind == entry.kind == FOLDER:
            raise IntegrityError(
                f"{label}: {printable(path)} is in {self._owners.get(path) or 'another package'} too",
                remedy="pin the base anew with 'hermetic base update'",
            )
        if old and label and self._owners.get(path):  # a folder of two packages keeps the mode that the first gave it
            return
        self._owners[path] = label
        self._entries[path] = entry
        if content:
            self._contents[path] = content

    def _parents(self, path: str, label: str) -> None:
        parent = path.rpartition("/")[0]
        while parent:
            entry = self._entries.get(parent)
            if entry is None:
                self._entries[parent] = RootEntry(parent, FOLDER)
            elif entry.kind != FOLDER:
                raise IntegrityError(f"{label}: {printable(path)} lies below {printable(parent)}, which is no folder")
            parent = parent.rpartition("/")[0]

    def _spooled(self, pieces: Iterable[memoryview]) -> _Content:
        start = self.spool.tell()
        for piece in pieces:
            self.spool.write(piece)
        return _Content(self.spool.tell() - start, start)

    def _pieces(self, path: str) -> Iterator[bytes]:
        content = self._contents[path]
        if content.start < 0:
            yield content.data
            return
        self.spool.seek(content.start)
        left = content.size
        while left:
            piece = self.spool.read(min(left, 1 << 20))
            left -= len(piece)
            yield piece

    def _certificates(self) -> None:
        """Write the bundle that update-ca-certificates makes, and the links beside it."""
        folder = "usr/share/ca-certificates/"
        found = [path for path in sorted(self._contents) if path.startswith(folder) and path.endswith(".crt")]
        if not found:
            return
        bundle = []
        for path in found:
            data = self.read(path) or b""
            bundle.append(data if data.endswith(b"\n") else data + b"\n")
            name = posixpath.basename(path).removesuffix(".crt").replace(" ", "_")
            self.link(f"etc/ssl/certs/{name}.pem", f"/{path}")
        self.file("etc/ssl/certs/ca-certificates.crt", b"".join(bundle))
        self.file("etc/ca-certificates.conf", "".join(f"{path.removeprefix(folder)}\n" for path in found).encode())

    def _shells(self) -> None:
        names = {f"/{place}/{name}" for name in _SHELLS for place in ("bin", "usr/bin") if self._has(f"usr/bin/{name}")}
        self.file("etc/shells", b"".join(f"{name}\n".encode() for name in ("# /etc/shells", *sorted(names))))

    def _has(self, path: str) -> bool:
        return path in self._entries


_SHELLS = ("bash", "dash", "rbash", "sh")
_COPIES = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
    "usr/share/base-files/profile": "etc/profile",
    "usr/share/base-files/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/base-files/dot.bashrc": "root/.bashrc",
    "usr/share/base-files/dot.profile": "root/.profile",
}
"""What base-passwd, base-files and libc-bin put in its place when they are configured."""

_FALLBACKS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
}


def _moved(path: str) -> str:
    """Give where a path of a package is in the merged /usr."""
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path


def _target(entry: Entry) -> str:
    """Give a link's target so that it means in the merged /usr what it meant in the package."""
    old, new = entry.path, _moved(entry.path)
    target = entry.target
    if target.startswith("/"):
        return f"/{_moved(posixpath.normpath(target).strip('/'))}"
    meant = _moved(posixpath.normpath(posixpath.join(posixpath.dirname(old), target)))
    means = _moved(posixpath.normpath(posixpath.join(posixpath.dirname(new), target)))
    return target if meant == means else f"/{meant}"


def _is_left_out(path: str) -> bool:
    first, _, rest = path.removeprefix("usr/share/").partition("/")
    if not path.startswith("usr/share/") or first not in _LEFT_OUT:
        return False
    return not (first == "doc" and posixpath.basename(rest) in {"copyright", "COPYING", "LICENSE"})


def _status(control: Mapping[str, str]) -> bytes:
    """Give a package's paragraph of dpkg's status."""
    lines = []
    for name, value in control.items():
        lines.append(f"{name}: {value}" if value else f"{name}:")
        if name == "Package":
            lines.append("Status: install ok installed")
    return ("\n".join(lines) + "\n").encode()
