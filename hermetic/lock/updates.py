"""What a new lock changes, and why: the data of the account that people read before they merge it.

Each move has its reasons, read from the graphs of both locks: what the user asked for, and what pulled the rest
along. Platforms on which a package moves alike are one move.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hermetic.lock.diff import Change, Move, PlatformDiff, platform_diff
from hermetic.lock.graph import Graph, Node, graph, match_name
from hermetic.lock.incremental import ALL
from hermetic.lock.matching import meets, record_of, records_of
from hermetic.lock.model import CondaPackage, Lock, PlatformLock, Wheel
from hermetic.lock.names import normal_name

_SHOWN = 3
"""Reasons of one kind that are told of a move."""


class Cause(StrEnum):
    """Why a package moved."""

    ASKED = "asked"
    """It was named to be updated."""
    REQUIREMENT = "requirement"
    """What is declared of it has changed, or no longer admits what was locked."""
    NEWEST = "newest"
    """Everything was to move, and it is declared."""
    NEEDED = "needed"
    """Another package needs it, or needs it so."""
    FOLLOWS = "follows"
    """What was locked does not go with another package that moved."""
    UNNEEDED = "unneeded"
    """What needed it is gone, or needs it no more."""
    PLATFORM = "platform"
    """The channels, the date limit or the virtual packages are others."""
    SOLVED = "solved"
    """Nothing forced it: so the requirements, taken together, were met best."""


@dataclass(frozen=True, order=True)
class Reason:
    """One reason: its cause, the package that is behind it (name and version), and the requirement that says so."""

    cause: Cause
    by: str = ""
    requirement: str = ""

    def to_dict(self) -> dict[str, str]:
        """Give the reason as JSON values."""
        return {"cause": str(self.cause), "by": self.by, "requirement": self.requirement}


@dataclass(frozen=True)
class PackageMove:
    """One package's move on the ``platforms`` where it moves alike. ``old`` and ``new`` are versions, or empty.

    ``level`` is the first number of the release that differs: ``major``, ``minor`` or ``patch``; empty where none
    does. ``sizes`` are (platform, old, new) sizes of the archive in bytes; ``direct`` tells that it is declared.
    """

    move: Move
    name: str
    kind: str
    old: str
    new: str
    level: str
    direct: bool
    reasons: tuple[Reason, ...]
    platforms: tuple[str, ...]
    sizes: tuple[tuple[str, int, int], ...]
    licences: tuple[str, str] = ("", "")

    def to_dict(self) -> dict[str, Any]:
        """Give the move as JSON values."""
        return {
            "move": str(self.move), "name": self.name, "kind": self.kind, "old": self.old, "new": self.new,
            "level": self.level, "direct": self.direct, "reasons": [reason.to_dict() for reason in self.reasons],
            "platforms": {name: {"old_bytes": old, "new_bytes": new} for name, old, new in self.sizes},
            "old_licence": self.licences[0], "new_licence": self.licences[1],
        }  # fmt: skip


@dataclass(frozen=True)
class PlatformUpdate:
    """One platform as a whole: its keys, the bytes of all its archives before and now, and those to be fetched."""

    platform: str
    old_key: str
    new_key: str
    old_bytes: int
    new_bytes: int
    fetch: int
    other: tuple[tuple[str, str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the platform as JSON values."""
        return {
            "old_key": self.old_key, "new_key": self.new_key, "old_bytes": self.old_bytes,
            "new_bytes": self.new_bytes, "fetch_bytes": self.fetch,
            "other": [{"what": what, "old": old, "new": new} for what, old, new in self.other],
        }  # fmt: skip


def platform_updates(old: Lock | None, new: Lock) -> tuple[PlatformUpdate, ...]:
    """Give what became of each platform; one that went has no new key, one that came no old one."""
    found = []
    for name in sorted({*(old.platforms if old else ()), *new.platforms}):
        before = old.platforms.get(name) if old else None
        after = new.platforms.get(name)
        difference = _difference(before, after, name)
        found.append(
            PlatformUpdate(
                name,
                before.key() if before else "",
                after.key() if after else "",
                _total(before),
                _total(after),
                difference.fetch,
                difference.other if before and after else (),
            )
        )
    return tuple(found)


def package_moves(old: Lock | None, new: Lock, update: Sequence[str] | None) -> tuple[PackageMove, ...]:
    """Give each package's move with its reasons, by name. ``update`` is what was asked to move (see ``resolve``)."""
    folded: dict[tuple[str, ...], list[tuple[str, Change, tuple[Reason, ...], bool]]] = {}
    for platform, after in sorted(new.platforms.items()):
        before = old.platforms.get(platform) if old else None
        if old and not before:
            continue  # a platform that is new as a whole is told as that
        side = _Platform(old, new, before or PlatformLock(platform, after.virtual_packages), after, update)
        for change in side.changes:
            key = (change.name, str(change.move), _kind(change), _version(change.old), _version(change.new))
            folded.setdefault(key, []).append((platform, change, side.reasons(change), side.is_direct(change)))
    return tuple(_folded(key, parts) for key, parts in sorted(folded.items()))


def level(old: str, new: str) -> str:
    """Give the first part of the release in which two versions differ: major, minor, patch, or nothing."""
    before, after = _release(old), _release(new)
    if before is None or after is None:
        return ""
    if before[0] != after[0]:
        return "major"
    length = max(len(before[1]), len(after[1]), 3)
    pairs = zip(*((*numbers, *[0] * (length - len(numbers))) for numbers in (before[1], after[1])), strict=True)
    place = next((place for place, (one, other) in enumerate(pairs) if one != other), None)
    return "" if place is None else ("major", "minor", "patch")[min(place, 2)]


def _release(version: str) -> tuple[int, tuple[int, ...]] | None:
    found = re.match(r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)", version)
    return (int(found[1] or 0), tuple(map(int, found[2].split(".")))) if found else None


class _Platform:
    """One platform before and now, with what reasons are read from."""

    def __init__(
        self, old: Lock | None, new: Lock, before: PlatformLock, after: PlatformLock, update: Sequence[str] | None
    ) -> None:
        self._first = old is None
        self._update = {normal_name(name) for name in update or ()}
        self._everything = ALL in (update or ())
        self.changes = [c for c in platform_diff(before, after).changes if c.move is not Move.DETAILS]
        self._graphs = graph(before, old.spec if old else None), graph(after, new.spec)
        self._asked = tuple({node: text for node, text in found.roots if text} for found in self._graphs)
        self._back = self._graphs[0].inverted(), self._graphs[1].inverted()
        self._records = records_of(after)
        self._after = after
        self._moved = {node for change in self.changes for node in _nodes(change)}
        self._elsewhere = old is not None and _terms(old, before) != _terms(new, after)

    def is_direct(self, change: Change) -> bool:
        """Tell whether the package is declared, now or before."""
        return any(node in asked for node in _nodes(change) for asked in self._asked)

    def reasons(self, change: Change) -> tuple[Reason, ...]:
        """Give the strongest reasons for a change."""
        found = list(dict.fromkeys(self._all(change)))
        if not found:
            found = [Reason(Cause.PLATFORM if self._elsewhere else Cause.SOLVED)]
        cause = found[0].cause  # they come strongest first
        return tuple(reason for reason in found if reason.cause is cause)[:_SHOWN]

    def _all(self, change: Change) -> Iterator[Reason]:
        old, new = change.old, change.new
        if normal_name(change.name) in self._update and new is not None:
            yield Reason(Cause.ASKED)
        before, after = (next((asked[node] for node in _nodes(change) if node in asked), "") for asked in self._asked)
        if before != after and not self._first:
            yield Reason(Cause.REQUIREMENT, requirement=after)
        if after and old is not None and self._unfit(old, after):
            yield Reason(Cause.REQUIREMENT, requirement=after)
        if new is None:
            yield from self._unneeded(change)
            return
        if after and (self._everything or self._first):
            yield Reason(Cause.NEWEST, requirement=after)
        node = _node(new)
        needs = self._back[1].edges.get(node, ())
        if old is None or change.move is Move.KIND:
            yield from self._needed(self._back[1], sorted(needs, key=lambda need: (need[0] not in self._moved, need)))
            return
        for source, requirement in sorted(needs):
            if source[0] == "conda" and self._unfit(old, requirement):
                yield Reason(Cause.NEEDED, self._full(source), requirement)
        yield from self._follows(old)
        if self._everything:
            yield from self._needed(self._back[1], needs)
        elif isinstance(new, Wheel):  # a lock does not say which versions a wheel needs
            yield from self._needed(self._back[1], [need for need in needs if need[0] in self._moved])

    def _needed(self, back: Graph, needs: Sequence[tuple[Node, str]]) -> Iterator[Reason]:
        for source, requirement in needs:
            name = f"{source[1]} {back.packages[source].version}"
            yield Reason(Cause.NEEDED, name, requirement if source[0] == "conda" else "")

    def _unneeded(self, change: Change) -> Iterator[Reason]:
        assert change.old is not None
        for source, _ in sorted(self._back[0].edges.get(_node(change.old), ())):
            yield Reason(Cause.UNNEEDED, f"{source[1]} {self._back[0].packages[source].version}")

    def _follows(self, old: CondaPackage | Wheel) -> Iterator[Reason]:
        """Find what the old package needs, or does not admit, and is not so any more."""
        if not isinstance(old, CondaPackage):
            return
        for requirement in sorted(old.depends):
            record = self._records.get(match_name(requirement))
            if record is None and ("conda", match_name(requirement)) in self._graphs[1].packages:
                continue  # it has no version that could be compared
            if meets(record, requirement) is False:
                by = self._full(("conda", match_name(requirement))) if record else match_name(requirement)
                yield Reason(Cause.FOLLOWS, by, requirement)
        for requirement in sorted(old.constrains):
            record = self._records.get(match_name(requirement))
            if record and meets(record, requirement) is False:
                yield Reason(Cause.FOLLOWS, self._full(("conda", match_name(requirement))), requirement)

    def _unfit(self, old: CondaPackage | Wheel, requirement: str) -> bool:
        """Tell whether a requirement does not admit a package."""
        if isinstance(old, Wheel):
            from packaging.requirements import InvalidRequirement, Requirement

            try:
                return not Requirement(requirement).specifier.contains(old.version, prereleases=True)
            except InvalidRequirement:
                return False
        record = record_of(old)
        if record is None or match_name(requirement) != old.name:  # pip's name for it
            return False
        return any(
            meets(record, part if part.startswith(old.name) else f"{old.name} {part}") is False
            for part in requirement.split(", ")
        )

    def _full(self, node: Node) -> str:
        package = self._graphs[1].packages.get(node)
        return f"{node[1]} {package.version}" if package else node[1]


def _terms(lock: Lock, platform: PlatformLock) -> tuple[Any, ...]:
    """Give what a lock's packages were chosen from and for."""
    return lock.exclude_newer, tuple(lock.spec.get("channels", ())), platform.virtual_packages


def _difference(before: PlatformLock | None, after: PlatformLock | None, name: str) -> PlatformDiff:
    empty = PlatformLock(name, after.virtual_packages if after else ())
    return platform_diff(before or empty, after or empty)


def _total(lock: PlatformLock | None) -> int:
    packages: list[CondaPackage | Wheel] = [*lock.conda, *lock.wheels] if lock else []
    return sum(package.size for package in packages)


def _folded(key: tuple[str, ...], parts: Sequence[tuple[str, Change, tuple[Reason, ...], bool]]) -> PackageMove:
    name, move, kind, old, new = key
    strongest: Mapping[Reason, None] = dict.fromkeys(reason for _, _, reasons, _ in parts for reason in reasons)
    licences = {(_licence(change.old), _licence(change.new)) for _, change, _, _ in parts}
    return PackageMove(
        move=Move(move),
        name=name,
        kind=kind,
        old=old,
        new=new,
        level=level(old, new) if old and new else "",
        direct=any(direct for *_, direct in parts),
        reasons=tuple(strongest)[:_SHOWN],
        platforms=tuple(platform for platform, *_ in parts),
        sizes=tuple(
            (platform, change.old.size if change.old else 0, change.new.size if change.new else 0)
            for platform, change, *_ in parts
        ),
        licences=next(iter(licences)) if len(licences) == 1 else ("", ""),
    )


def _licence(package: CondaPackage | Wheel | None) -> str:
    return package.license if isinstance(package, CondaPackage) else ""


def _node(package: CondaPackage | Wheel) -> Node:
    return ("conda" if isinstance(package, CondaPackage) else "pip", package.name)


def _nodes(change: Change) -> list[Node]:
    return [_node(package) for package in (change.new, change.old) if package is not None]


def _kind(change: Change) -> str:
    return " -> ".join(dict.fromkeys(node[0] for node in reversed(_nodes(change))))


def _version(package: CondaPackage | Wheel | None) -> str:
    return package.version if package else ""
