"""Names, versions and requirements of Python packages, said the conda way.

PEP 440 version sets and conda's are close, not equal: ``~=`` and ``===`` are spelled differently, a
pre-release sorts alike, and conda knows no ``+local`` labels in ranges.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier


def normalise(name: str) -> str:
    """Give a project's normalised name (PEP 503), which is its conda name here too."""
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_version(version: str) -> str:
    """Give a PEP 440 version as conda takes it: normalised, and without the dash that separates conda's parts."""
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(version)).replace("-", "_")
    except InvalidVersion:
        return version.replace("-", "_")


def conda_requirement(requirement: Requirement) -> str:
    """Give a PEP 508 requirement, whose marker is known to hold, as a conda MatchSpec."""
    parts = sorted(filter(None, map(_conda_range, requirement.specifier)))
    return f"{normalise(requirement.name)} {','.join(parts)}".strip()


def _conda_range(specifier: Specifier) -> str:
    operator, version = specifier.operator, specifier.version
    if operator == "===":
        return f"=={version}"
    if version.endswith(".*"):  # only with == and != (PEP 440)
        stem = conda_version(version.removesuffix(".*"))
        return f"{stem}.*" if operator == "==" else f"!={stem}.*"
    if operator == "~=":
        return f"~={conda_version(version)}"
    if operator == "<" and not re.search(r"[a-z]", version):
        # PEP 440: `<2` admits no pre-release of 2; in conda's order 2.0rc1 stands below 2
        return f"<{conda_version(version)}.0a0" if version.isdigit() else f"<{conda_version(version)}a0"
    return f"{operator}{conda_version(version)}"


def python_requirement(requires_python: str) -> str:
    """Give ``Requires-Python`` as a conda requirement on python."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        parts = sorted(filter(None, map(_conda_range, SpecifierSet(requires_python))))
    except InvalidSpecifier:
        parts = []
    return f"python {','.join(parts)}".strip()
