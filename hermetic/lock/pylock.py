"""The ``pylock.toml`` (PEP 751) that uv writes: releases, and the files of each that fit the target."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Candidate:
    """One file of a release. ``size`` is 0 where the index does not tell it."""

    file_name: str
    url: str
    sha256: str
    size: int


def read_pylock(path: Path) -> dict[str, tuple[str, list[Candidate]]]:
    """Give project -> (version, wheels)."""
    with path.open("rb") as file:
        data = tomllib.load(file)
    return {
        package["name"]: (package.get("version", ""), [_candidate(w) for w in _files(package)])
        for package in data.get("packages", [])
    }


def _files(package: dict[str, Any]) -> list[dict[str, Any]]:
    return package.get("wheels") or ([package["archive"]] if "archive" in package else [])


def _candidate(file: dict[str, Any]) -> Candidate:
    url = file.get("url") or file.get("path", "")
    name = file.get("name") or unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    return Candidate(name, url, file.get("hashes", {}).get("sha256", ""), file.get("size", 0))
