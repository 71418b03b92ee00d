"""Which pip projects a conda package provides: how the two sides of a lock know each other's packages.

A record's purls say it best (CEP 63). Where they are silent, a shipped table knows the names that differ
(names.json), and the same normalised name (PEP 503) serves the rest. Only packages that need Python are asked:
conda's ``cmake`` is a program, not pip's project of that name. What an archive really carries is checked when it
is built, against its ``*.dist-info``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache

from hermetic.lock.model import CondaPackage

_PURL = re.compile(r"pkg:pypi/(?P<name>[^@?#]+)(?:@(?P<version>[^?#]+))?")


@dataclass(frozen=True, order=True)
class Provided:
    """A pip project that a conda package installs: its normalised name, its version, the conda package's name."""

    name: str
    version: str
    conda: str


def normal_name(name: str) -> str:
    """Normalise a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def provided(packages: tuple[CondaPackage, ...]) -> tuple[Provided, ...]:
    """Give the pip projects that conda packages install, sorted by name, one entry per project.

    Where several packages claim one project (``matplotlib`` and ``matplotlib-base``), the one whose own name it
    is speaks, else the first by name.
    """
    found: dict[str, Provided] = {}
    for package in sorted(packages, key=lambda p: p.name):
        for name, version in _projects(package):
            if name not in found or normal_name(package.name) == name:
                found[name] = Provided(name, version, package.name)
    return tuple(sorted(found.values()))


def conda_names(project: str) -> tuple[str, ...]:
    """Give the conda names under which a pip project is likely found, the likeliest first: for advice to people."""
    name = normal_name(project)
    others = tuple(conda for conda, projects in _table().items() if name in projects)
    return others or (name,)


def needs_python(package: CondaPackage) -> bool:
    """Tell whether a conda package is a Python one: what has no Python in its ``depends`` has no ``*.dist-info``."""
    return package.noarch == "python" or any(
        re.split(r"[ =<>!~\[]", dependency, maxsplit=1)[0] in {"python", "python_abi"} for dependency in package.depends
    )


def _projects(package: CondaPackage) -> list[tuple[str, str]]:
    stated = [match for purl in package.purls if (match := _PURL.match(purl))]
    if stated:
        return [(normal_name(match["name"]), match["version"] or package.version) for match in stated]
    if not needs_python(package):
        return []
    names = _table().get(package.name, [normal_name(package.name)])
    return [(name, package.version) for name in names]


@cache
def _table() -> dict[str, list[str]]:
    """Read the shipped table: conda name -> the projects it installs (an empty list: none)."""
    from pathlib import Path

    text = Path(__file__).with_name("names.json").read_text(encoding="utf-8")
    table: dict[str, list[str]] = json.loads(text)
    return table
