"""What can be said of pip requirements before anything is resolved.

Wheels only, unless the spec allows a project to be built; and no package from both sides: where conda provides a
project, its version serves the pip requirement or contradicts it, and either is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from hermetic.errors import SpecError, UnsatisfiableError
from hermetic.events import Reporter
from hermetic.lock.markers import holds
from hermetic.lock.names import Provided
from hermetic.lock.pip_inputs import local_path
from hermetic.lock.stubs import pip_version
from hermetic.spec.model import CondaRequirement, PipRequirement, Spec
from hermetic.spec.pep508 import ARCHIVES

_ALL = ":all:"


def may_build(name: str, spec: Spec) -> bool:
    """Tell whether a spec allows a project to be built from source."""
    return name in spec.source_builds or _ALL in spec.source_builds


def is_wheel(requirement: PipRequirement) -> bool:
    """Tell whether a direct reference names a wheel."""
    return requirement.url.partition("#")[0].lower().endswith(".whl")


def is_vcs(requirement: PipRequirement) -> bool:
    """Tell whether a direct reference names a VCS checkout."""
    return requirement.url.startswith(("git+", "hg+", "svn+", "bzr+"))


def refuse_missing(spec: Spec, root: Path) -> None:
    """Refuse files and folders that are not there, before any index is asked for anything. Raises SpecError."""
    for requirement in spec.pip:
        path = requirement.url.partition("#")[0]
        if path and "://" not in path and not os.path.exists(local_path(path, root)):  # noqa: PTH110 - too long a name
            raise SpecError(
                f"there is no {'file' if path.lower().endswith(ARCHIVES) else 'folder'} {path}",
                place=requirement.place,
                remedy="correct the path: it starts from the folder of the file that names it",
            )
        if is_wheel(requirement) and not requirement.name:
            raise SpecError(
                f"{path} is no name of a wheel",
                place=requirement.place,
                remedy="give the file the name that it was made with: NAME-VERSION-PYTHON-ABI-PLATFORM.whl (PEP 427)",
            )


def refuse_sources(spec: Spec) -> None:
    """Refuse requirements that only a build could serve, where the spec does not allow it. Raises SpecError."""
    for requirement in spec.pip:
        if not requirement.url or is_wheel(requirement):
            continue
        if not requirement.name:
            raise SpecError(
                f"{_what(requirement)} does not say which project it is",
                place=requirement.place,
                remedy=f'write NAME @ {requirement.url}, and allow it: source-builds = ["NAME"]',
            )
        if not may_build(requirement.name, spec):
            raise SpecError(
                f"{requirement.name} would have to be built from source ({_what(requirement)})",
                place=requirement.place,
                remedy=f'allow it: source-builds = ["{requirement.name}"], or name a wheel of it',
            )
    for name in spec.options.no_binary:
        if name == _ALL:
            raise SpecError("--no-binary :all: forbids every wheel", remedy="name the projects that must be built")
        if not may_build(name, spec):
            raise SpecError(
                f"--no-binary {name} asks for a build from source",
                remedy=f'allow it: source-builds = ["{name}"], or remove the option',
            )


def without_provided(
    spec: Spec, provided: Sequence[Provided], platform: str, python_version: str, reporter: Reporter
) -> tuple[PipRequirement, ...]:
    """Give the pip requirements that conda does not serve already.

    One with extras stays, because conda's packages have none. Raises UnsatisfiableError for one that contradicts
    what conda provides.
    """
    by_name = {project.name: project for project in provided}
    left = []
    for requirement in spec.pip:
        if not holds(requirement.marker, platform, python_version):
            continue
        project = by_name.get(requirement.name)
        if project is None:
            left.append(requirement)
            continue
        if requirement.url or not _admits(requirement.specifier, project.version):
            raise _contradiction(requirement, project, spec.conda)
        reporter.say(f"{platform}: pip's {requirement.text} is served by conda's {project.conda} {project.version}")
        if requirement.extras:
            left.append(requirement)
    return tuple(left)


def _admits(specifier: str, conda_version: str) -> bool:
    if not specifier:
        return True
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(pip_version(conda_version), prereleases=True)


def _contradiction(
    requirement: PipRequirement, project: Provided, conda: Sequence[CondaRequirement]
) -> UnsatisfiableError:
    asked = next((r for r in conda if r.name == project.conda), None)
    pip = f"{requirement.text} ({requirement.place})" if requirement.place else requirement.text
    if asked:
        where = f"{asked.text} ({asked.place})" if asked.place else asked.text
        message = f"both conda and pip would install {project.name}: conda is asked for {where}, pip for {pip}"
    else:
        message = f"conda provides {project.name} {project.version}, and pip is asked for {pip}"
    if requirement.url:
        remedy = "keep one of the two: a file that pip installs would overwrite conda's"
    else:
        message += f"; conda's {project.version} is none of these"
        remedy = f"let conda choose the version ({_conda_text(requirement, project)}), or remove one of the two"
    return UnsatisfiableError(message, place=requirement.place, remedy=remedy)


def _conda_text(requirement: PipRequirement, project: Provided) -> str:
    """Write a pip requirement's versions as conda does."""
    terms = [re.sub(r"~=\s*(\d+(?:\.\d+)*)\.\d+\Z", r"\1.*", term) for term in requirement.specifier.split(",")]
    return f"{project.conda} {','.join(terms)}"


def _what(requirement: PipRequirement) -> str:
    if requirement.editable:
        return f"editable {requirement.url}"
    return "a VCS checkout" if is_vcs(requirement) else requirement.url
