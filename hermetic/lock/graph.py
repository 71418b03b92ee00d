"""The graph of a lock: conda packages and wheels together, as trees and as reasons.

Everything is data; ``hermetic.report`` draws it. Cycles are legal (conda has some: pip and python) and cut
where they close; a package that was shown is not opened again, so a tree is as long as its edges at most.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any, TypeAlias

from hermetic.errors import UsageError
from hermetic.lock.model import CondaPackage, Lock, PlatformLock, Wheel
from hermetic.lock.names import normal_name, provided

Node: TypeAlias = tuple[str, str]
"""A package of a graph: its kind (``conda``, ``pip``) and its name."""

_NAME = re.compile(r"(?:.*::)?\s*([^\s=<>!~\[;]+)")
_PROJECT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?=[\[<>=!~;@(,]|\Z)")


@dataclass(frozen=True)
class Graph:
    """What needs what. ``edges`` leads from a package to (the package it needs, the requirement as written).

    ``roots`` are the packages that the user asked for, each with the requirement, then what else is needed to lead
    to all, with none. Virtual packages and what
    is not in the lock are no nodes; what is not there but asked for, ``hermetic lock --check`` tells.
    """

    packages: Mapping[Node, CondaPackage | Wheel]
    edges: Mapping[Node, tuple[tuple[Node, str], ...]]
    roots: tuple[tuple[Node, str], ...]

    def inverted(self) -> Graph:
        """Give the graph of who is needed by whom; its roots are the packages that need nothing."""
        back: dict[Node, list[tuple[Node, str]]] = {node: [] for node in self.packages}
        for node, needs in self.edges.items():
            for target, requirement in needs:
                back[target].append((node, requirement))
        edges = {node: tuple(found) for node, found in back.items()}
        return Graph(self.packages, edges, tuple((node, "") for node in _sources(edges)))

    def find(self, name: str) -> tuple[Node, ...]:
        """Give the packages with a name (``numpy``, ``conda:numpy``), of either kind.

        Raises UsageError, with the nearest names, if there is none.
        """
        kind, colon, rest = name.partition(":")
        kinds = (kind,) if colon and kind in {"conda", "pip"} else ("conda", "pip")
        wanted = (rest if len(kinds) == 1 else name).strip()
        spellings = {wanted, wanted.lower(), normal_name(wanted)}
        found = tuple(node for node in self.packages if node[0] in kinds and node[1] in spellings)
        if not found:
            near = get_close_matches(wanted.lower(), sorted({node[1] for node in self.packages}), 3)
            raise UsageError(
                f"no package {wanted!r} is locked",
                remedy=f"did you mean {' or '.join(near)}?" if near else "`hermetic tree` shows all packages",
            )
        return found


@dataclass(frozen=True)
class Row:
    """One line of a tree: a package ``depth`` steps below its root, and the requirement that leads to it.

    ``again`` is true where the package was opened before: its own branches are not repeated.
    """

    depth: int
    node: Node
    version: str
    requirement: str
    again: bool = False


@dataclass(frozen=True)
class Reason:
    """A way from a requirement of the user to a package: each step's package and the requirement that led to it."""

    steps: tuple[tuple[Node, str], ...]


@dataclass(frozen=True)
class Why:
    """Why a package is there.

    ``reasons`` are the shortest ways, one for each of the user's requirements that lead to it, or every way if that
    was asked for, shortest first; ``ways`` counts those to be found in all, up to a limit that ``more`` says was
    reached.
    """

    node: Node
    version: str
    reasons: tuple[Reason, ...]
    ways: int
    more: bool = False


def match_name(match: str) -> str:
    """Give the name that a MatchSpec is about."""
    found = _NAME.match(match)
    return found[1] if found else match


def project_name(requirement: str) -> str:
    """Give the normalised name that a PEP 508 requirement is about; nothing for a bare path or URL."""
    found = _PROJECT.match(requirement)
    return normal_name(found[1]) if found else ""


def graph(lock: PlatformLock, spec: Mapping[str, Any] | None = None) -> Graph:
    """Make the graph of one platform.

    ``spec`` (a lock's) names the roots. What they do not lead to has roots of its own, without a requirement: the
    Python that stands beside wheels, or, without a spec, what nothing needs. So every package is below some root.
    """
    packages: dict[Node, CondaPackage | Wheel] = {("conda", package.name): package for package in lock.conda}
    by_project: dict[str, Node] = {found.name: ("conda", found.conda) for found in provided(lock.conda)}
    packages |= {("pip", wheel.name): wheel for wheel in lock.wheels}
    by_project |= {wheel.name: ("pip", wheel.name) for wheel in lock.wheels}
    edges: dict[Node, tuple[tuple[Node, str], ...]] = {}
    for node, package in packages.items():
        found: dict[Node, str] = {}
        if isinstance(package, CondaPackage):
            for depend in package.depends:
                name = match_name(depend)
                target: Node = ("conda", name)
                if target not in packages:
                    continue
                if found.get(target, name) == name:
                    found[target] = depend
                elif depend != name:  # a second bound on the same package
                    found[target] += f", {depend.removeprefix(name).strip()}"
        else:
            found = {by_project[name]: name for name in package.requires if name in by_project}
        edges[node] = tuple(sorted(found.items()))
    roots = _asked(lock, spec, packages, by_project) if spec else []
    roots += [(node, "") for node in _sources(edges, [node for node, _ in roots])]
    return Graph(packages, edges, tuple(roots))


def graph_of(lock: Lock, platform: str) -> Graph:
    """Make the graph of one platform of a lock. Raises UsageError if the lock does not have it."""
    if platform not in lock.platforms:
        raise UsageError(
            f"the lock has no {platform}",
            remedy=f"it has {', '.join(sorted(lock.platforms)) or 'no platform'}; "
            f"`hermetic lock --platform {platform}` adds it",
        )
    return graph(lock.platforms[platform], lock.spec)


def tree(lock: Graph, *, root: str | None = None, invert: bool = False, depth: int | None = None) -> tuple[Row, ...]:
    """Give the rows of a tree, in the order they are drawn.

    ``root`` begins at one package, ``invert`` shows who needs it (without a root: from all that need nothing),
    ``depth`` counts the levels below the roots. Raises UsageError for an unknown root.
    """
    shown = lock.inverted() if invert else lock
    roots = [(node, "") for node in shown.find(root)] if root is not None else list(shown.roots)
    rows: list[Row] = []
    opened: set[Node] = set()
    waiting = [(0, node, requirement) for node, requirement in reversed(roots)]
    while waiting:
        level, node, requirement = waiting.pop()
        below = shown.edges[node] if depth is None or level < depth else ()
        again = bool(below) and node in opened
        rows.append(Row(level, node, shown.packages[node].version, requirement, again))
        if below and not again:
            opened.add(node)
            waiting += [(level + 1, target, text) for target, text in reversed(below)]
    return tuple(rows)


def flat(lock: Graph) -> tuple[Row, ...]:
    """Give every package once, by name, as rows without branches."""
    nodes = sorted(lock.packages, key=lambda node: (node[1], node[0]))
    return tuple(Row(0, node, lock.packages[node].version, "") for node in nodes)


def why(lock: Graph, name: str, *, every: bool = False, limit: int = 1000) -> tuple[Why, ...]:
    """Tell why a package is locked: once for each package of that name (conda's, pip's).

    ``every`` gives all ways, up to ``limit``, and not only the shortest from each of the user's requirements. Raises
    UsageError for a name that is not locked.
    """
    found = []
    for node in lock.find(name):
        ways = sum(1 for _ in islice(paths(lock, node), limit + 1))
        shown = islice(paths(lock, node), limit) if every else _shortest(lock, node)
        reasons = sorted(shown, key=lambda reason: (len(reason.steps), reason.steps))
        found.append(Why(node, lock.packages[node].version, tuple(reasons), min(ways, limit), more=ways > limit))
    return tuple(found)


def paths(lock: Graph, target: Node) -> Iterator[Reason]:
    """Give every way without a loop from a requirement of the user to a package; there may be very many."""
    leading = _leading_to(lock, target)
    for root, requirement in lock.roots:
        if root not in leading:
            continue
        trail: list[tuple[Node, str]] = [(root, requirement)]
        on_trail = {root}
        open_edges = [iter(() if root == target else lock.edges[root])]
        if root == target:
            yield Reason(tuple(trail))
        while open_edges:
            step = next(open_edges[-1], None)
            if step is None:
                open_edges.pop()
                on_trail.discard(trail.pop()[0])
            elif step[0] == target:
                yield Reason((*trail, step))
            elif step[0] in leading and step[0] not in on_trail:
                trail.append(step)
                on_trail.add(step[0])
                open_edges.append(iter(lock.edges[step[0]]))


def _sources(edges: Mapping[Node, tuple[tuple[Node, str], ...]], known: Sequence[Node] = ()) -> list[Node]:
    """Give the fewest packages that, with the known ones, lead to all.

    These are what nothing needs, and one of each cycle that nothing else needs.
    """
    finished: list[Node] = []
    seen: set[Node] = set()
    for start in edges:
        waiting = [(start, iter(edges[start]))] if start not in seen else []
        seen.add(start)
        while waiting:
            node, below = waiting[-1]
            target = next((other for other, _ in below if other not in seen), None)
            if target is None:
                finished.append(waiting.pop()[0])
            else:
                seen.add(target)
                waiting.append((target, iter(edges[target])))
    found: list[Node] = []
    reached: set[Node] = set()
    for node in [*known, *reversed(finished)]:  # what leads to a package, and not it to that, finishes after it
        if node not in reached:
            found.append(node)
        waiting_nodes = [node]
        while waiting_nodes:
            step = waiting_nodes.pop()
            if step not in reached:
                reached.add(step)
                waiting_nodes += [other for other, _ in edges[step]]
    return sorted(set(found) - set(known))


def _leading_to(lock: Graph, target: Node) -> set[Node]:
    back = lock.inverted().edges
    found, waiting = {target}, [target]
    while waiting:
        for node, _ in back[waiting.pop()]:
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def _shortest(lock: Graph, target: Node) -> Iterator[Reason]:
    """Give the shortest way for each root that leads to the target: breadth first, backwards from the target."""
    back = lock.inverted().edges
    onward: dict[Node, tuple[Node, str] | None] = {target: None}
    waiting = deque([target])
    while waiting:
        node = waiting.popleft()
        for source, requirement in back[node]:
            if source not in onward:
                onward[source] = (node, requirement)
                waiting.append(source)
    for root, requirement in lock.roots:
        if root in onward:
            steps, step = [(root, requirement)], onward[root]
            while step:
                steps.append(step)
                step = onward[step[0]]
            yield Reason(tuple(steps))


def _asked(
    lock: PlatformLock,
    spec: Mapping[str, Any],
    packages: Mapping[Node, CondaPackage | Wheel],
    by_project: Mapping[str, Node],
) -> list[tuple[Node, str]]:
    """Find the packages that the user's requirements name, in the order conda, pip, by name."""
    found: dict[Node, str] = {}
    for requirement in _holding(spec.get("conda", ()), lock.platform):
        match = str(requirement.get("match", ""))
        node: Node = ("conda", match_name(match))
        if node in packages:
            found.setdefault(node, match)
    files = {wheel.url.rpartition("/")[2] or wheel.file_name: ("pip", wheel.name) for wheel in lock.wheels}
    for requirement in _holding(spec.get("pip", ()), lock.platform):
        text = str(requirement.get("requirement", ""))
        at = files.get(text.rpartition("/")[2]) or by_project.get(project_name(text))
        if at:
            found.setdefault(at, text)
    return list(found.items())


def _holding(requirements: Sequence[Mapping[str, Any]], platform: str) -> Iterator[Mapping[str, Any]]:
    for requirement in requirements:
        if not requirement.get("platforms") or platform in requirement["platforms"]:
            yield requirement
