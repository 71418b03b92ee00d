"""Which CI system this process runs in, told from the variables that each documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FORMATS = ("github", "gitlab", "azure", "junit", "text")
"""How findings can be told: in the ways of three CI systems, as JUnit's XML, which all of them read, or as text."""

_SIGNS = {"github": "GITHUB_ACTIONS", "gitlab": "GITLAB_CI", "azure": "TF_BUILD"}
_CHECKOUTS = {"github": "GITHUB_WORKSPACE", "gitlab": "CI_PROJECT_DIR", "azure": "BUILD_SOURCESDIRECTORY"}


@dataclass(frozen=True)
class CiSystem:
    """A CI system as one job sees it.

    ``name`` is of FORMATS, ``text`` where there is none. ``checkout`` is the repository's folder, to which the places
    of findings are relative. ``outputs`` and ``summary`` are the files in which GitHub takes outputs and a summary.
    """

    name: str
    checkout: Path
    outputs: Path | None = None
    summary: Path | None = None


def find_system(environ: Mapping[str, str], *, here: Path) -> CiSystem:
    """Give the CI system that a process with these variables runs in; ``here`` is its working folder."""
    name = next((name for name, sign in _SIGNS.items() if environ.get(sign, "").lower() == "true"), "text")
    checkout = environ.get(_CHECKOUTS.get(name, ""), "")
    files = {}
    if name == "github":
        for field, variable in (("outputs", "GITHUB_OUTPUT"), ("summary", "GITHUB_STEP_SUMMARY")):
            if path := environ.get(variable):
                files[field] = Path(path)
    return CiSystem(name, Path(checkout) if checkout else here, **files)
