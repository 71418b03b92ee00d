"""What can stand against an environment before anything is linked: projects claimed twice, colliding files, scripts."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from hermetic.errors import BuildError, UsageError
from hermetic.lock.model import CondaPackage, PlatformLock
from hermetic.outputs.prefix.conda_files import CondaFile
from hermetic.outputs.prefix.wheel_link import Placed
from hermetic.plan.collisions import Clash, Collisions, find_collisions
from hermetic.realize.trees import Tree

_SHOWN = 3
"""Paths that a message names; the rest are counted."""

_RESERVED = re.compile(r"conda-meta/(?:history|state|hermetic|[^/]+\.json)|CACHEDIR\.TAG")


@dataclass(frozen=True)
class LinkScript:
    """A script that a package wants run when it is linked: its path in the prefix."""

    package: CondaPackage
    path: str


def check_python(lock: PlatformLock) -> None:
    """Raise UsageError if something needs a Python and the lock has none."""
    needy = [wheel.file_name for wheel in lock.wheels] + [p.file_name for p in lock.conda if p.noarch == "python"]
    if needy and lock.python() is None:
        raise UsageError(
            f"{needy[0]} needs a python, and the lock has none", remedy="add python to the spec, and lock again"
        )


def check_projects(lock: PlatformLock, trees: Mapping[str, Tree]) -> None:
    """Raise BuildError if a conda archive carries the metadata of a project that a wheel installs too."""
    check_distributions(lock, {p.sha256: trees[p.sha256].listing.about["distributions"] for p in lock.conda})


def check_distributions(lock: PlatformLock, distributions: Mapping[str, Sequence[str]]) -> None:
    """Do what ``check_projects`` does, for the projects in each conda archive, by its digest."""
    wheels = {_normal(wheel.name): wheel for wheel in lock.wheels}
    for package in lock.conda if wheels else ():
        for project in distributions[package.sha256]:
            if wheel := wheels.get(_normal(project)):
                raise BuildError(
                    f"the conda package {package.name} {package.version} and the wheel {wheel.file_name} "
                    f"both install the Python project {project}",
                    remedy=f"ask for {project} once: drop {wheel.name} from the pip requirements, or take "
                    f"another build of {package.name}, then lock again",
                )


def check_files(
    conda: Sequence[tuple[str, Mapping[str, CondaFile]]], wheels: Mapping[str, Sequence[Placed]]
) -> tuple[Collisions, tuple[str, ...]]:
    """Give which paths collide, packages in the order of linking, and warnings for those whose contents differ.

    Raises BuildError where no order makes it right: a file in a folder's place, a wheel against a conda package,
    a file that hermetic writes itself.
    """
    claims: list[tuple[str, Mapping[str, Hashable]]] = [
        (name, {path: file.content for path, file in files.items()}) for name, files in conda
    ]
    claims += [(f"wheel {name}", {p.entry.path: placed_content(p) for p in wheels[name]}) for name in sorted(wheels)]
    return check_claims(claims)


def check_claims(claims: Sequence[tuple[str, Mapping[str, Hashable]]]) -> tuple[Collisions, tuple[str, ...]]:
    """Do what ``check_files`` does, for owners and what each puts at which path, comparable."""
    for owner, files in claims:
        if taken := sorted(
            path for path in files if path.startswith(("conda-meta/", "CACHE")) and _RESERVED.match(path)
        ):
            raise BuildError(
                f"{owner} holds {taken[0]}, which describes the environment itself",
                remedy=f"lock another build of {owner}",
            )
    found = find_collisions(claims)
    if found.folders:
        clash = found.folders[0]
        raise BuildError(
            f"{clash.path} is a file for {clash.owners[0]} and a folder for {clash.owners[-1]}",
            remedy="the two cannot be in one environment: drop one of them, or lock other versions",
        )
    warnings: dict[tuple[str, ...], list[Clash]] = {}
    for clash in found.clashes:
        if clash.same:
            continue
        if clash.winner.startswith("wheel ") and not clash.owners[0].startswith("wheel "):
            raise BuildError(
                f"{clash.path} belongs to the conda package {clash.owners[0]}, and {clash.winner} would replace it",
                remedy="drop one of the two, or take both from conda",
            )
        warnings.setdefault(clash.owners, []).append(clash)
    return found, tuple(_warning(owners, clashes) for owners, clashes in sorted(warnings.items()))


def link_scripts(lock: PlatformLock, trees: Mapping[str, Tree]) -> list[LinkScript]:
    """Give the scripts that packages want run on this platform when they are linked."""
    return find_link_scripts(lock, {p.sha256: trees[p.sha256].listing.about["link_scripts"] for p in lock.conda})


def find_link_scripts(lock: PlatformLock, named: Mapping[str, Sequence[str]]) -> list[LinkScript]:
    """Do what ``link_scripts`` does, for the scripts that each archive names, by its digest."""
    folder, end = ("Scripts/", ".bat") if lock.platform.startswith("win-") else ("bin/", ".sh")
    found = []
    for package in lock.conda:
        for path in named[package.sha256]:
            place = path
            if package.noarch == "python" and path.startswith("python-scripts/"):
                place = folder + path.removeprefix("python-scripts/")
            if place in (f"{folder}.{package.name}-{kind}-link{end}" for kind in ("pre", "post")):
                found.append(LinkScript(package, place))
    return found


def refuse_scripts(scripts: Sequence[LinkScript]) -> None:
    """Raise UsageError if there are link scripts."""
    if scripts:
        named = ", ".join(f"{script.package.name} ({script.path})" for script in scripts)
        raise UsageError(
            f"these packages want to run a script while they are installed: {named}",
            remedy="read the scripts; then run them in a sandbox with --link-scripts=run, or leave them out with "
            "--link-scripts=skip",
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def placed_content(placed: Placed) -> Hashable:
    """Give what a wheel's file is compared by with others that have its path."""
    entry = placed.entry
    return (entry.kind, entry.sha256, entry.target, entry.executable, "", "")


def _warning(owners: tuple[str, ...], clashes: Sequence[Clash]) -> str:
    paths = ", ".join(clash.path for clash in clashes[:_SHOWN])
    more = f" and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
    names = f"{', '.join(owners[:-1])} and {owners[-1]}"
    together = "both" if len(owners) == 2 else "all"
    return f"{names} {together} have {paths}{more}: {owners[-1]}'s is installed"
