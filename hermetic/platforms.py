"""Platforms, the virtual packages that a lock assumes of them, and accelerator profiles.

A lock is made for declared machines, not for the one at hand: a CUDA lock needs no GPU and a macOS lock
no Mac. What a machine is assumed to offer is written down as conda virtual packages (CEP 30).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from platform import machine

from hermetic.errors import UsageError

NOARCH = "noarch"

PLATFORMS = ("linux-64", "linux-aarch64", "linux-ppc64le", "linux-s390x", "osx-64", "osx-arm64", "win-64", "win-arm64")
"""conda subdirs that hermetic can lock for."""

_GLIBC = "2.28"  # RHEL 8 and newer: what manylinux_2_28 wheels and today's conda-forge packages run on
_OSX = "13.0"  # what uv assumes too; scientific wheels for macOS ask for 12 at least

_DEFAULTS: dict[str, dict[str, str]] = {
    "linux": {"__unix": "0", "__linux": "5.10", "__glibc": _GLIBC},
    "osx": {"__unix": "0"},
    "win": {"__win": "10"},
}

_ARCHSPEC = {
    "linux-64": "x86_64",
    "linux-aarch64": "aarch64",
    "linux-ppc64le": "ppc64le",
    "linux-s390x": "s390x",
    "osx-64": "x86_64",
    "osx-arm64": "m1",
    "win-64": "x86_64",
    "win-arm64": "aarch64",
}

_SYSTEM_NAMES = {"glibc": "__glibc", "linux": "__linux", "osx": "__osx", "macos": "__osx", "cuda": "__cuda",
                 "win": "__win", "archspec": "__archspec"}  # fmt: skip

_VERSION = re.compile(r"\d+(\.\d+)*\Z")


@dataclass(frozen=True, order=True)
class VirtualPackage:
    """A property of the target machine, as conda solvers see it: ``__cuda=12.4=0``."""

    name: str
    version: str
    build: str = "0"

    def __str__(self) -> str:
        return f"{self.name}={self.version}={self.build}"

    @classmethod
    def parse(cls, text: str) -> VirtualPackage:
        """Read the form that ``str`` gives. Raises UsageError on any other text."""
        name, *rest = text.split("=")
        if not name.startswith("__") or not rest or len(rest) > 2 or not all(rest):
            raise UsageError(
                f"{text!r} is no virtual package", remedy="write it as __name=version or __name=version=build"
            )
        return cls(name, *rest)


@dataclass(frozen=True)
class Accelerator:
    """What an environment computes on: ``cpu``, or ``cuda`` with the driver's CUDA version."""

    kind: str = "cpu"
    version: str = ""

    def __str__(self) -> str:
        return f"{self.kind}-{self.version}" if self.version else self.kind

    @classmethod
    def parse(cls, text: str) -> Accelerator:
        """Read ``cpu``, ``cuda-12.4`` (also ``cuda12.4``, ``cuda 12``). Raises UsageError on any other text."""
        match = re.fullmatch(r"(?i)\s*(cpu|cuda)[-\s=]?(\d+(?:\.\d+)*)?\s*", text)
        if not match or (match[1].lower() == "cpu") != (match[2] is None):
            raise UsageError(
                f"{text!r} is no accelerator", remedy="use cpu, or cuda with a version: cuda-11.8, cuda-12.4"
            )
        return cls(match[1].lower(), match[2] or "")


def check_platform(text: str) -> str:
    """Give a platform's name back if hermetic can lock for it. Raises UsageError otherwise."""
    if text not in PLATFORMS:
        raise UsageError(f"unknown platform {text!r}", remedy=f"use one of: {', '.join(PLATFORMS)}")
    return text


def current_platform() -> str:
    """Give the conda subdir of the running interpreter's machine."""
    system = {"linux": "linux", "darwin": "osx", "win32": "win"}.get(sys.platform)
    arch = machine().lower()
    names = {
        ("linux", "x86_64"): "linux-64",
        ("linux", "aarch64"): "linux-aarch64",
        ("linux", "ppc64le"): "linux-ppc64le",
        ("linux", "s390x"): "linux-s390x",
        ("osx", "x86_64"): "osx-64",
        ("osx", "arm64"): "osx-arm64",
        ("win", "amd64"): "win-64",
        ("win", "arm64"): "win-arm64",
    }
    try:
        return names[system or "", arch]
    except KeyError:
        raise UsageError(f"hermetic does not know this machine: {sys.platform} on {arch}") from None


def check_system(name: str, version: object) -> tuple[str, str]:
    """Turn a declared property (``glibc``, ``cuda``, ``osx``, ``__anything``) into (virtual package, version).

    Raises UsageError, also for a number: 2.40 is 2.4 then.
    """
    virtual = _SYSTEM_NAMES.get(name.lower(), name if name.startswith("__") else None)
    if virtual is None:
        raise UsageError(
            f"unknown system property {name!r}", remedy=f"use one of: {', '.join(_SYSTEM_NAMES)}, or __name"
        )
    if not isinstance(version, str):
        raise UsageError(
            f"the version of the system property {name!r} is a text, not {type(version).__name__}",
            remedy=f'put it in quotation marks, as in {name} = "2.28": a number loses its last zero',
        )
    if virtual != "__archspec" and not _VERSION.match(version):
        raise UsageError(f"system property {name!r} has no version: {version!r}", remedy=f'write {name} = "2.28"')
    return virtual, version


def system_name(virtual: str) -> str:
    """Give the name under which a manifest declares a virtual package: ``glibc`` for ``__glibc``."""
    short = virtual.removeprefix("__")
    return short if _SYSTEM_NAMES.get(short) == virtual else virtual


def virtual_packages(platform: str, accelerator: Accelerator, system: Mapping[str, str]) -> tuple[VirtualPackage, ...]:
    """Give the virtual packages that a lock for ``platform`` assumes, sorted by name.

    ``system`` maps virtual package names to versions and overrides the defaults; a property that the
    platform cannot have (``__glibc`` on macOS) is left out.
    """
    family = platform.split("-", maxsplit=1)[0]
    found = dict(_DEFAULTS.get(family, {}))
    if family == "osx":
        found["__osx"] = _OSX
    if accelerator.kind == "cuda" and family != "osx":
        found["__cuda"] = accelerator.version
    foreign = {"linux": {"__osx", "__win"}, "osx": {"__glibc", "__linux", "__win", "__cuda"},
               "win": {"__glibc", "__linux", "__osx", "__unix"}}[family]  # fmt: skip
    found.update({name: version for name, version in system.items() if name not in foreign and name != "__archspec"})
    archspec = system.get("__archspec", _ARCHSPEC[platform])
    packages = [VirtualPackage(name, version) for name, version in found.items()]
    return tuple(sorted([*packages, VirtualPackage("__archspec", "1", archspec)]))
