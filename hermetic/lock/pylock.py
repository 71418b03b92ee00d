"""The ``pylock.toml`` (PEP 751) that uv writes: releases, and the files of each that fit the target."""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Candidate:
    """One file of a release. ``url`` is an address or a path; ``size`` is 0 where the index does not tell it."""

    file_name: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Release:
    """A chosen version of a project: the wheels that fit, and the sdist where one was asked for."""

    name: str
    version: str
    wheels: tuple[Candidate, ...]
    sdist: Candidate | None = None
    direct: bool = False
    """Whether a URL or a path named the file."""


def read_pylock(text: str) -> dict[str, Release]:
    """Give the releases of a pylock by project."""
    return {package["name"]: _release(package) for package in tomllib.loads(text).get("packages", [])}


def write_pins(path: Path, pins: dict[str, str]) -> None:
    """Write old pins in the form that uv takes as preferences: a pylock without files."""
    lines = ['lock-version = "1.0"', 'created-by = "hermetic"']
    for name, version in sorted(pins.items()):
        lines += ["[[packages]]", f'name = "{name}"', f'version = "{version}"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _release(package: dict[str, Any]) -> Release:
    archive = package.get("archive")
    wheels = [_candidate(wheel) for wheel in ([archive] if archive else package.get("wheels", []))]
    return Release(
        package["name"],
        package.get("version", ""),
        tuple(wheel for wheel in wheels if wheel.file_name.endswith(".whl")),
        _candidate(package["sdist"]) if "sdist" in package else None,
        archive is not None,
    )


def _candidate(file: dict[str, Any]) -> Candidate:
    url = file.get("url") or file.get("path", "")
    path = urlsplit(url).path if "://" in url else url
    name = file.get("name") or posixpath.basename(unquote(path).replace("\\", "/"))
    return Candidate(name, url, file.get("hashes", {}).get("sha256", ""), file.get("size", 0))
