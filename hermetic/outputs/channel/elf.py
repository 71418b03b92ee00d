"""Read and slim ELF files: what a library needs, which glibc it needs, and its bytes without debug symbols.

Only what the channel asks for, in pure Python, so that the output does not depend on which binutils a
machine has. Little- and big-endian, 32 and 64 bits (System V ABI, "Object Files").
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from hermetic.errors import UsageError

MAGIC = b"\x7fELF"

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_SHF_ALLOC = 2
_SHT_NOBITS = 8
_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)\Z")
_ABI_MARKERS = {"GLIBC_ABI_DT_RELR": (2, 36)}
"""Version names of glibc that say a feature instead of a number, and the release that brought it."""


_DAMAGE = (struct.error, IndexError, OverflowError, ValueError)
"""What reading wild offsets and counts can end in."""


@dataclass(frozen=True)
class Elf:
    """What the dynamic section of one ELF file says. ``kind`` is (class, byte order, machine): only equal ones link."""

    kind: tuple[int, int, int]
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    glibc: tuple[int, ...] = ()
    dynamic: bool = False


def is_elf(data: bytes) -> bool:
    """Tell whether a file's first bytes are those of an ELF file."""
    return data[:4] == MAGIC


def read_elf(path: Path) -> Elf | None:
    """Read a file, or give None if it is no ELF file (a linker script named ``.so``, a text).

    It is mapped, not read: of a library of half a gigabyte, only the headers and tables are touched.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            return None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return parse_elf(data, str(path))


def parse_elf(data: bytes | mmap, name: str = "file") -> Elf:
    """Read the bytes of an ELF file. Raises UsageError if they are damaged."""
    try:
        return _Reader(data).read()
    except _DAMAGE as error:
        raise UsageError(f"{name}: damaged ELF file: {error}") from error


class _Reader:
    """The bytes of one ELF file, with its headers decoded."""

    def __init__(self, data: bytes | mmap) -> None:
        if not is_elf(data[:4]) or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise ValueError("no ELF header")
        self.data = data
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        self.word = "Q" if self.wide else "I"
        header = "HHI" + self.word * 3 + "IHHHHHH"
        (_, self.machine, _, _, self.phoff, self.shoff, _, _, self.phentsize, self.phnum, self.shentsize, self.shnum,
         self.shstrndx) = self.unpack(header, 16)  # fmt: skip
        self.segments = [self.segment(self.phoff + n * self.phentsize) for n in range(self.phnum)]

    def unpack(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.data, offset)

    def segment(self, offset: int) -> tuple[int, int, int, int]:
        """Give (type, file offset, address, size in the file)."""
        if self.wide:
            kind, _, start, address, _, size = self.unpack("IIQQQQ", offset)
        else:
            kind, start, address, _, size = self.unpack("IIIII", offset)
        return kind, start, address, size

    def text(self, offset: int) -> str:
        end = self.data.find(b"\0", offset)
        if end < 0:
            raise ValueError("a string without an end")
        return self.data[offset:end].decode()

    def at(self, address: int) -> int:
        """Give the file offset of a memory address."""
        for kind, start, begin, size in self.segments:
            if kind == _PT_LOAD and begin <= address < begin + size:
                return start + address - begin
        raise ValueError(f"address {address:#x} is in no segment")

    def read(self) -> Elf:
        kind = (self.data[4], self.data[5], self.machine)
        interpreter = next((self.text(start) for t, start, _, _ in self.segments if t == _PT_INTERP), "")
        dynamic = next(((start, size) for t, start, _, size in self.segments if t == _PT_DYNAMIC), None)
        if dynamic is None:
            return Elf(kind, interpreter)
        entries: list[tuple[int, int]] = []
        step = 16 if self.wide else 8
        for offset in range(dynamic[0], dynamic[0] + dynamic[1], step):
            tag, value = self.unpack(self.word * 2, offset)
            if tag == 0:
                break
            entries.append((tag, value))
        first = dict(reversed(entries))
        if _DT_STRTAB not in first:
            return Elf(kind, interpreter)
        strings = self.at(first[_DT_STRTAB])

        def texts(wanted: int) -> tuple[str, ...]:
            return tuple(self.text(strings + value) for tag, value in entries if tag == wanted)

        def folders(wanted: int) -> tuple[str, ...]:
            return tuple(part for text in texts(wanted) for part in text.split(":") if part)

        glibc = self.glibc(first, strings)
        soname = "".join(texts(_DT_SONAME)[:1])
        return Elf(
            kind, interpreter, soname, texts(_DT_NEEDED), folders(_DT_RPATH), folders(_DT_RUNPATH), glibc, dynamic=True
        )

    def glibc(self, first: dict[int, int], strings: int) -> tuple[int, ...]:
        """Give the newest glibc release that a symbol is needed from, from the version needs (``.gnu.version_r``)."""
        newest: tuple[int, ...] = ()
        if _DT_VERNEED not in first:
            return newest
        offset = self.at(first[_DT_VERNEED])
        for _ in range(first.get(_DT_VERNEEDNUM, 0)):
            _, count, _, aux, following = self.unpack("HHIII", offset)
            place = offset + aux
            for _ in range(count):
                _, _, _, name, after = self.unpack("IHHII", place)
                text = self.text(strings + name)
                if match := _GLIBC.match(text):
                    newest = max(newest, tuple(map(int, match[1].split("."))))
                newest = max(newest, _ABI_MARKERS.get(text, ()))
                place += after
            offset += following
        return newest

    def strip(self) -> bytes:
        """Give the file without the sections that are never loaded (debug information, symbol table)."""
        names = "IIQQQQIIQQ" if self.wide else "IIIIIIIIII"
        if not self.shnum or self.shentsize != struct.calcsize(self.order + names):
            return bytes(self.data)
        sections = [list(self.unpack(names, self.shoff + n * self.shentsize)) for n in range(self.shnum)]
        loaded = [n for n, section in enumerate(sections) if n == 0 or section[2] & _SHF_ALLOC]
        end = max(start + size for _, start, _, size in self.segments)
        end = max([end, *(s[4] + s[5] for n in loaded if n and (s := sections[n])[1] != _SHT_NOBITS)])
        dropped = [sections[n] for n in range(self.shnum) if n not in loaded]
        # symbols name sections by number, and offsets are addresses: only a tail can be cut without a linker
        if loaded != list(range(len(loaded))) or any(s[4] < end and s[5] for s in dropped) or self.shoff < end:
            return bytes(self.data)
        table = sections[self.shstrndx][4]
        text = bytearray(b"\0")
        kept = []
        for section in (sections[n] for n in loaded):
            if section[1]:
                section[0], name = len(text), self.text(table + section[0])
                text += name.encode() + b"\0"
            section[6] = section[6] if section[6] < len(loaded) else 0
            kept.append(section)
        name_at = len(text)
        text += b".shstrtab\0"
        kept.append([name_at, 3, 0, 0, end, len(text), 0, 0, 1, 0])
        out = bytearray(self.data[:end]) + text
        out += bytes(-len(out) % 8)
        shoff = len(out)
        for section in kept:
            out += struct.pack(self.order + names, *section)
        struct.pack_into(self.order + self.word, out, 40 if self.wide else 32, shoff)
        struct.pack_into(self.order + "HH", out, 60 if self.wide else 48, len(kept), len(kept) - 1)
        return bytes(out)


def strip(data: bytes) -> bytes:
    """Give an ELF file without debug information and symbols; one that cannot be slimmed safely comes back as it is."""
    try:
        return _Reader(data).strip()
    except _DAMAGE:
        return data
