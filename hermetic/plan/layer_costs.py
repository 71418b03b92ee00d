"""What an image costs to send and to run: which of its layers are new, and what that moves.

A registry wants each layer that it lacks, whatever their order. An engine extracts from the lowest layer that it does
not have in the same place, up to the top: its layers are chained (OCI image-spec, config.md, "Layer ChainID").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol

from hermetic.lock.model import PlannedLayer, PlatformLock

BASE, STORED, TO_MAKE = "base", "in store", "to make"

METADATA = "metadata"
"""The name of the layer on top of all, if it has no other."""


class _Described(Protocol):
    @property
    def digest(self) -> str: ...
    @property
    def size(self) -> int: ...


class MadeLayer(Protocol):
    """A layer of an image that exists: ``hermetic.outputs.oci.model.Layer`` is one."""

    @property
    def descriptor(self) -> _Described:
        """Its digest and size."""

    @property
    def diff_id(self) -> str:
        """The digest of its tar, not compressed."""

    @property
    def name(self) -> str:
        """Its name in the plan, if it has one."""


@dataclass(frozen=True)
class Row:
    """One layer of an image that is there or planned.

    ``packages`` maps a package's name in the plan to its version and sha256. ``size`` counts compressed bytes, those of
    the archives as long as the layer is not made.
    """

    name: str
    packages: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    size: int = 0
    state: str = TO_MAKE
    digest: str = ""
    diff_id: str = ""

    def same(self, other: Row) -> bool:
        """Tell whether two rows are one layer: by their digests, else by what goes into them."""
        if self.digest and other.digest:
            return self.digest == other.digest
        return bool(self.packages) and dict(self.packages) == dict(other.packages)


@dataclass(frozen=True)
class Cost:
    """A layer, and what it costs: is it sent, is it extracted again, and why (``changes``: ``numpy 1.0 -> 2.0``)."""

    row: Row
    push: bool
    extract: bool
    changes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        row = self.row
        return {
            "name": row.name,
            "packages": {name: version for name, (version, _) in sorted(row.packages.items())},
            "size": row.size,
            "state": row.state,
            "digest": row.digest or None,
            "push": self.push,
            "extract": self.extract,
            "changes": list(self.changes),
        }


@dataclass(frozen=True)
class LayerReport:
    """The layers from the bottom to the top, with what they cost, in compressed bytes.

    ``exact`` is False if some layers are not made yet, so that their sizes are their archives'. ``moved`` are packages
    that are in another layer than before: (package, old layer, new layer); a sticky plan has none.
    """

    layers: tuple[Cost, ...]
    moved: tuple[tuple[str, str, str], ...] = ()
    compared: bool = False

    @property
    def exact(self) -> bool:
        """Whether all sizes are those of layers that are made."""
        return all(cost.row.state != TO_MAKE for cost in self.layers)

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(cost.row.size for cost in self.layers)

    @property
    def push_bytes(self) -> int:
        """Bytes that a registry has to be sent."""
        return sum(cost.row.size for cost in self.layers if cost.push)

    @property
    def extract_bytes(self) -> int:
        """Bytes that an engine has to extract."""
        return sum(cost.row.size for cost in self.layers if cost.extract)

    def to_dict(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {
            "layers": [cost.to_dict() for cost in self.layers],
            "size": self.size,
            "push_bytes": self.push_bytes,
            "extract_bytes": self.extract_bytes,
            "exact": self.exact,
            "moved": [{"package": name, "from": old, "to": new} for name, old, new in self.moved],
        }


def planned_rows(
    lock: PlatformLock,
    plan: Sequence[PlannedLayer],
    *,
    base: Sequence[MadeLayer] = (),
    made: Mapping[str, MadeLayer] | None = None,
) -> tuple[Row, ...]:
    """Give the rows of an image before it is made. ``made`` are layers that the store has, by names in the plan."""
    made = made or {}
    found = {package.name: (package.version, package.sha256, package.size) for package in lock.conda}
    found |= {f"pip:{wheel.name}": (wheel.version, wheel.sha256, wheel.size) for wheel in lock.wheels}
    rows = [_made_row(layer, layer.name or f"base/{number}", BASE, {}) for number, layer in enumerate(base, 1)]
    for layer in plan:
        packages = {name: found[name][:2] for name in layer.packages if name in found}
        if layer.name in made:
            rows.append(_made_row(made[layer.name], layer.name, STORED, packages))
        else:
            rows.append(Row(layer.name, packages, sum(found[name][2] for name in packages)))
    if METADATA in made:
        rows.append(_made_row(made[METADATA], METADATA, STORED, {}))
    return tuple(rows)


def image_rows(
    lock: PlatformLock, plan: Sequence[PlannedLayer], layers: Sequence[MadeLayer], base_layers: int
) -> tuple[Row, ...]:
    """Give the rows of an image: ``layers`` are all of its layers, and the first ``base_layers`` are the base's."""
    ours = list(layers[base_layers:])
    made = {planned.name: layer for planned, layer in zip(plan, ours, strict=False)}
    rows = planned_rows(lock, plan, base=layers[:base_layers], made=made)
    top = [_made_row(layer, layer.name or METADATA, STORED, {}) for layer in ours[len(plan) :]]
    return (*rows, *top)


def explain(
    rows: Sequence[Row],
    previous: Sequence[Row] = (),
    *,
    registry: AbstractSet[str] | None = None,
    stacks: Iterable[Sequence[str]] | None = None,
) -> LayerReport:
    """Tell what layers cost. ``previous`` are the rows of the image before, if there was one.

    ``registry`` are the digests that the registry has or can mount; None: what the previous image had, and the base's.
    ``stacks`` are the diff IDs of the images that the engine has; None: those of the previous image.
    """
    kept = _kept(rows, previous, stacks)
    costs = []
    before = {name: (row.name, version) for row in previous for name, (version, _) in row.packages.items()}
    digests = {name: digest for row in previous for name, (_, digest) in row.packages.items()}
    for at, row in enumerate(rows):
        known = next((other for other in previous if row.same(other)), None)
        if registry is None:
            push = known is None and row.state != BASE
        else:
            push = (row.digest or (known.digest if known else "")) not in registry
        changes = _changes(row, previous, before, digests) if previous and known is None else ()
        costs.append(Cost(row, push, at >= kept, changes))
    moved = [
        (name, before[name][0], row.name)
        for row in rows
        for name in sorted(row.packages)
        if name in before and before[name][0] != row.name
    ]
    return LayerReport(tuple(costs), tuple(moved), bool(previous))


def _made_row(layer: MadeLayer, name: str, state: str, packages: Mapping[str, tuple[str, str]]) -> Row:
    return Row(name, packages, layer.descriptor.size, state, layer.descriptor.digest, layer.diff_id)


def _kept(rows: Sequence[Row], previous: Sequence[Row], stacks: Iterable[Sequence[str]] | None) -> int:
    """Give how many layers, from the bottom, an engine has already in their places."""
    if stacks is None:
        return _prefix(row.same(other) for row, other in zip(rows, previous, strict=False))
    ids = [row.diff_id for row in rows]
    return max((_prefix(a == b != "" for a, b in zip(ids, stack, strict=False)) for stack in stacks), default=0)


def _prefix(agree: Iterable[bool]) -> int:
    count = 0
    for good in agree:
        if not good:
            break
        count += 1
    return count


def _changes(
    row: Row, previous: Sequence[Row], before: Mapping[str, tuple[str, str]], digests: Mapping[str, str]
) -> tuple[str, ...]:
    old = next((other for other in previous if other.name == row.name), None)
    found = []
    for name, (version, digest) in sorted(row.packages.items()):
        if name not in before:
            found.append(f"+ {name} {version}")
        elif before[name][1] != version:
            found.append(f"{name} {before[name][1]} -> {version}")
        elif digests[name] != digest:
            found.append(f"{name} {version}, another build")
        elif before[name][0] != row.name:
            found.append(f"{name} from {before[name][0]}")
    found += [f"- {name}" for name in sorted((old.packages if old else {}).keys() - row.packages.keys())]
    return tuple(found)
