"""One graph over both kinds of packages: which category of requirements brought each package."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from hermetic.lock.model import PlatformLock
from hermetic.lock.names import provided
from hermetic.spec.model import MAIN, Spec

_END_OF_NAME = re.compile(r"[\s=<>!~\[;]")


def with_categories(spec: Spec, lock: PlatformLock) -> PlatformLock:
    """Give the lock with every package's categories: those of the requirements that lead to it, by conda or pip.

    ``spec`` is the spec of this one platform.
    """
    edges: dict[str, set[str]] = defaultdict(set)
    by_project = {project.name: project.conda for project in provided(lock.conda)}
    names = {package.name for package in lock.conda}
    wheels = {wheel.name for wheel in lock.wheels}
    for package in lock.conda:
        edges[f"conda:{package.name}"] |= {f"conda:{name}" for name in _names(package.depends) if name in names}
    for wheel in lock.wheels:
        edges[f"pip:{wheel.name}"] |= set(_nodes(wheel.requires, wheels, by_project))
        edges[f"pip:{wheel.name}"].add("conda:python")
    roots: dict[str, set[str]] = defaultdict(set)
    for conda in spec.conda:
        roots[conda.category].add(f"conda:{conda.name}")
    for pip in spec.pip:
        roots[pip.category] |= set(_nodes([pip.name], wheels, by_project))
    found: dict[str, set[str]] = defaultdict(set)
    for category, start in roots.items():
        for node in _reachable(start, edges):
            found[node].add(category)
    return replace(
        lock,
        conda=tuple(replace(p, categories=_sorted(found[f"conda:{p.name}"])) for p in lock.conda),
        wheels=tuple(replace(w, categories=_sorted(found[f"pip:{w.name}"])) for w in lock.wheels),
    )


def _names(depends: Iterable[str]) -> set[str]:
    return {_END_OF_NAME.split(text.rpartition("::")[2], maxsplit=1)[0] for text in depends}


def _nodes(projects: Iterable[str], wheels: set[str], by_project: dict[str, str]) -> list[str]:
    found = []
    for project in projects:
        if project in wheels:
            found.append(f"pip:{project}")
        elif project in by_project:
            found.append(f"conda:{by_project[project]}")
    return found


def _reachable(start: set[str], edges: dict[str, set[str]]) -> set[str]:
    seen, todo = set(start), list(start)
    while todo:
        for node in edges[todo.pop()] - seen:
            seen.add(node)
            todo.append(node)
    return seen


def _sorted(categories: set[str]) -> tuple[str, ...]:
    return tuple(sorted(categories)) or (MAIN,)
