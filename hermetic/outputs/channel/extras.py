"""Small packages that every channel of ours carries, to try what larger ones do.

``accel`` has a CPU and a CUDA variant, chosen by ``__cuda``, for four platforms, so that a lock for other
machines can be tried. ``prefix-probe`` holds the prefix in a binary.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from hermetic.outputs.channel.archive import EPOCH, PLACEHOLDER, File, Package

ACCEL_PLATFORMS = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")
_YEAR = 365 * 86400 * 1000


def packages(subdir: str) -> Iterator[tuple[Package, list[File]]]:
    """Give all of them, for a channel that is made on a machine of ``subdir``."""
    yield from _accel()
    yield from _probe(subdir)


def _accel() -> Iterator[tuple[Package, list[File]]]:
    """Give ``accel`` 1.0 for CPU and CUDA 12, and 0.9, a year older, for CPU."""
    for subdir in ACCEL_PLATFORMS:
        new = Package(
            name="accel",
            version="1.0",
            build="cpu_0",
            subdir=subdir,
            license="Apache-2.0",
            about={"summary": "a stand-in for a package with CPU and CUDA variants"},
        )
        old = replace(new, version="0.9", timestamp=EPOCH * 1000 - _YEAR)
        cuda = replace(new, build="cuda_1", build_number=1, depends=("__cuda >=12",))
        for package in (new, old, cuda) if not subdir.startswith("osx") else (new, old):
            text = f"accel {package.version} {package.build} for {subdir}, in {PLACEHOLDER}\n"
            yield package, [File("share/accel.txt", text.encode(), prefix="text")]


def _probe(subdir: str) -> Iterator[tuple[Package, list[File]]]:
    """Give ``prefix-probe``, a program that prints the prefix it was installed to, where we can write its machine code.

    It needs no compiler and no library: a static ELF file of one segment, put together here.
    """
    if subdir == "linux-64":
        package = Package(
            name="prefix-probe",
            version="1.0",
            build="h0_0",
            subdir=subdir,
            license="Apache-2.0",
            about={"summary": "prints the prefix that it was installed to, from a string in its binary"},
        )
        yield package, [File("bin/prefix-probe", _probe_x86_64(), executable=True, prefix="binary")]


def _probe_x86_64() -> bytes:
    """Give the program: write(1, prefix, strlen(prefix)); write(1, newline, 1); exit(0)."""
    text = PLACEHOLDER.encode() + b"\0"
    code = bytes.fromhex(
        "488d3537000000"  #  0 lea rsi, [rip + text]
        "31d2"  #            7 xor edx, edx
        "803c1600"  #        9 loop: cmp byte [rsi + rdx], 0
        "7405"  #           13 je write
        "48ffc2"  #         15 inc rdx
        "ebf5"  #           18 jmp loop
        "bf01000000"  #     20 write: mov edi, 1
        "b801000000"  #     25 mov eax, 1 (write)
        "0f05"  #           30 syscall
        "488d3516000000"  # 32 lea rsi, [rip + newline]
        "ba01000000"  #     39 mov edx, 1
        "b801000000"  #     44 mov eax, 1 (write)
        "0f05"  #           49 syscall
        "31ff"  #           51 xor edi, edi
        "b83c000000"  #     53 mov eax, 60 (exit)
        "0f05"  #           58 syscall
        "90"  #             60
        "0a"  #             61 newline
    )
    base, header = 0x400000, 64 + 56
    size = header + len(code) + len(text)
    elf = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, base + header, 64, 0, 0, 64, 56, 1,
                      64, 0, 0)  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)  # one PT_LOAD, readable, executable
    return elf + segment + code + text
