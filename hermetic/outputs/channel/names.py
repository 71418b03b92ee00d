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


def conda_requirement(requirement: Requirement, available: str = "") -> str:
    """Give a PEP 508 requirement, whose marker is known to hold, as a conda MatchSpec.

    ``available`` is the version that the channel has. PEP 440's ``==2.1`` and ``<=2.1`` admit ``2.1+cpu``,
    conda's do not: where the channel's version differs from the wanted one by such a label only, it is named.
    """
    parts = sorted(_conda_range(specifier, available) for specifier in requirement.specifier)
    return f"{normalise(requirement.name)} {','.join(parts)}".strip()


def _conda_range(specifier: Specifier, available: str = "") -> str:
    operator, version = specifier.operator, specifier.version
    if operator == "===":
        return f"=={version}"
    if version.endswith(".*"):  # only with == and != (PEP 440)
        stem = conda_version(version.removesuffix(".*"))
        return f"{stem}.*" if operator == "==" else f"!={stem}.*"
    plain = conda_version(version)
    if operator in ("==", "<=") and "+" in available and conda_version(available.split("+", maxsplit=1)[0]) == plain:
        return f"{operator}{conda_version(available)}"
    if operator == "<" and re.fullmatch(r"(\d+!)?\d+(\.\d+)*", plain):
        # PEP 440: `<2` admits no pre-release of 2; in conda's order 2.0rc1 stands below 2
        return f"<{plain}.0a0" if plain.isdigit() else f"<{plain}a0"
    return f"{operator}{plain}"


def python_requirement(requires_python: str) -> str:
    """Give ``Requires-Python`` as a conda requirement on python."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        parts = sorted(map(_conda_range, SpecifierSet(requires_python)))
    except InvalidSpecifier:
        parts = []
    return f"python {','.join(parts)}".strip()
