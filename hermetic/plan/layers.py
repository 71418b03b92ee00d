"""Which package goes into which layer of an image: planned once, kept in the lock, and changed as little as can be.

A changed layer is sent whole, and an engine extracts it and all that lie above it again. So a layer costs its bytes
times how often one of its packages changes, and what is large and rests lies below what is small and moves. Both lead
to one order, by changes per byte, and to layers that are runs of that order: the large packages alone, the small ones
together. Groups come first, from the bottom: accelerator libraries; Python; other packages, with what Python needs,
for that moves more often than Python itself (OpenSSL, certificates); private wheels. The layer of metadata on top of
all is not planned; the budget counts it.

A plan sticks to the one before it: no package leaves its layer, whatever became of its version and size, and only a
package that is new has to be given a place, where the fewest bytes move.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from hermetic.errors import UsageError
from hermetic.lock.model import PlannedLayer, PlatformLock, Wheel
from hermetic.plan.volatility import volatility

BUDGET = 32
"""Layers of ours, the metadata's included, unless somebody asks for another number."""

MOST = 125
"""Layers that the Docker Engine can stack; its error comes late."""

GROUPS = ("accelerator", "python", "small", "private")
"""From the bottom to the top. A layer of several packages is named after its group, and numbered."""

_ACCELERATOR, _PYTHON, _OTHER, _PRIVATE = range(4)
_SHARED = 32 << 20  # bytes: a wheel of another index that is larger is somebody's library, not this team's code
_GAIN = 4 << 10  # bytes that a further layer has to save for each change, to be worth its requests
_OPEN = 1 << 20  # bytes that would have to move before an arriving package gets a layer of its own
_HORIZON = 50  # changes over which the place of an arriving package is judged
_LEAST = 1 << 10  # bytes: no layer is smaller
_ACCELERATED = re.compile(
    r"(?:cuda|cudatoolkit|cudnn|nccl|cutensor|cusparselt|cudss|nvcomp|nvshmem|nvtx-c|nvidia|rocm|hip|miopen|rccl"
    r"|libmagma(?:_sparse)?|magma|tensorrt-libs|tensorrt(?:-cu\d+)?-libs"
    r"|lib(?:cu(?:blas|dnn|dss|fft|file|pti|rand|solver|sparse|sparselt|tensor)\w*|npp|nv\w+|tensorrt))(?:-.*)?"
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A package as the plan sees it: its name there, its group, bytes, and how often it changes beside others."""

    id: str
    group: int
    size: int
    weight: int

    @property
    def rest(self) -> tuple[Fraction, str]:
        """Where it stands in the order of its group: changes per byte."""
        return Fraction(self.weight, self.size), self.id


@dataclass
class _Layer:
    name: str
    parcels: list[Parcel]
    moves: bool = False
    """Whether it has got something new already, so that more costs nothing more now."""

    @property
    def group(self) -> int:
        prefix, slash, _ = self.name.partition("/")
        if slash and prefix in GROUPS:
            return GROUPS.index(prefix)
        return min(parcel.group for parcel in self.parcels)

    @property
    def size(self) -> int:
        return sum(parcel.size for parcel in self.parcels)

    @property
    def weight(self) -> int:
        return sum(parcel.weight for parcel in self.parcels)


def plan_layers(
    lock: PlatformLock,
    previous: Sequence[PlannedLayer] = (),
    *,
    budget: int = BUDGET,
    base_layers: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> tuple[PlannedLayer, ...]:
    """Plan the layers of an image from the bottom to the top: every package of the lock is in exactly one.

    ``previous`` is the plan of the lock before. ``budget`` counts our layers with the one of metadata, which is not in
    the plan; a base with many layers leaves fewer. ``sizes`` are bytes of packages where they are known better than by
    the size of the archive. Raises UsageError for a budget or a base that leaves no room.
    """
    room = _room(budget, base_layers) - 1
    waiting = {parcel.id: parcel for parcel in parcels(lock, sizes or {})}
    layers = _keep(previous, waiting)
    if layers:
        _merge(layers, room)
        _arrive(layers, sorted(waiting.values(), key=lambda p: (-p.size, p.id)), room)
    else:
        layers = _begin(list(waiting.values()), room)
    return tuple(PlannedLayer(layer.name, tuple(sorted(p.id for p in layer.parcels))) for layer in layers)


def check_layers(layers: Sequence[PlannedLayer], base_layers: int) -> None:
    """Raise UsageError if an image of these layers, the metadata's and the base's has more than an engine can stack."""
    total = len(layers) + 1 + base_layers
    if total > MOST:
        raise UsageError(
            f"the image would have {total} layers, {base_layers} of them the base's; engines stack {MOST} at most",
            remedy="plan them for this base with 'hermetic base update', or choose a base with fewer layers",
        )


def parcels(lock: PlatformLock, sizes: Mapping[str, int] | None = None) -> tuple[Parcel, ...]:
    """Give the packages of a lock as a plan sees them, sorted by name: conda packages, then wheels (``pip:...``)."""
    sizes = sizes or {}
    found = []
    for package in lock.conda:
        group = _PYTHON if package.name == "python" else _OTHER
        if _ACCELERATED.fullmatch(package.name):
            group = _ACCELERATOR
        size = max(sizes.get(package.name, package.size), _LEAST)
        found.append(Parcel(package.name, group, size, volatility(package.name)))
    for wheel in lock.wheels:
        name = f"pip:{wheel.name}"
        size = max(sizes.get(name, wheel.size), _LEAST)
        group = _wheel_group(wheel, size)
        weight = volatility(wheel.name, private=group == _PRIVATE)
        found.append(Parcel(name, group, size, weight))
    return tuple(found)


def _wheel_group(wheel: Wheel, size: int) -> int:
    if _ACCELERATED.fullmatch(wheel.name):
        return _ACCELERATOR
    if wheel.origin is not None or wheel.url or (wheel.index and size < _SHARED):
        return _PRIVATE
    return _OTHER


def _room(budget: int, base_layers: int) -> int:
    if not 2 <= budget <= MOST:
        raise UsageError(
            f"an image cannot have a budget of {budget} layers",
            remedy=f"choose between 2 and {MOST}; {BUDGET} is usual",
        )
    if base_layers > MOST - 2:
        raise UsageError(
            f"the base has {base_layers} layers, and engines stack {MOST} at most: there is no room for an environment",
            remedy="choose a base with fewer layers",
        )
    return min(budget, MOST - base_layers)


def _begin(found: Sequence[Parcel], room: int) -> list[_Layer]:
    """Plan from nothing: give each group one layer, and every further one to the group that gains most by it."""
    groups = {
        group: sorted((p for p in found if p.group == group), key=lambda p: p.rest)
        for group in range(len(GROUPS))
        if any(p.group == group for p in found)
    }
    most = max(room - room // 8, len(groups))  # what is left is for packages that come later
    splits = {group: _splits(members, most) for group, members in groups.items()}
    counts = dict.fromkeys(groups, 1)
    least = _GAIN * sum(parcel.weight for parcel in found)

    def gain(group: int) -> int:
        costs = splits[group]
        count = counts[group]
        return costs[count - 1][0] - costs[count][0] if count < len(costs) else 0

    while groups and sum(counts.values()) < most:
        best = max(groups, key=gain)
        if gain(best) < least:
            break
        counts[best] += 1
    layers: list[_Layer] = []
    for group, members in groups.items():
        cuts = splits[group][counts[group] - 1][1]
        for low, high in pairwise(cuts):
            layers.append(_Layer(_new_name(members[low:high], layers), members[low:high]))
    _merge(layers, room)
    return layers


def _splits(members: Sequence[Parcel], most: int) -> list[tuple[int, tuple[int, ...]]]:
    """Give, for 1 to ``most`` layers, the least cost of splitting the members into runs, and where the runs begin.

    A run costs its weight times its size. That is a Monge array, so the best last cut only moves right as a row goes
    on, and halving finds a whole row in n log n steps.
    """
    count = len(members)
    weights = list(accumulate((p.weight for p in members), initial=0))
    sizes = list(accumulate((p.size for p in members), initial=0))

    def cost(low: int, high: int) -> int:
        return (weights[high] - weights[low]) * (sizes[high] - sizes[low])

    row = [cost(0, end) for end in range(count + 1)]
    cuts: list[list[int]] = [[0] * (count + 1)]
    found: list[tuple[int, tuple[int, ...]]] = [(row[count], (0, count))]
    for layers in range(2, min(most, count) + 1):
        last, row, cut = row, [0] * (count + 1), [0] * (count + 1)
        spans = [(layers, count, layers - 1, count - 1)]
        while spans:
            low, high, left, right = spans.pop()
            if low > high:
                continue
            end = (low + high) // 2
            row[end], cut[end] = min((last[at] + cost(at, end), at) for at in range(left, min(right, end - 1) + 1))
            spans += [(low, end - 1, left, cut[end]), (end + 1, high, cut[end], right)]
        cuts.append(cut)
        ends = [count]
        for table in reversed(cuts):
            ends.append(table[ends[-1]])
        found.append((row[count], tuple(reversed(ends))))
    return found


def _keep(previous: Sequence[PlannedLayer], waiting: dict[str, Parcel]) -> list[_Layer]:
    """Give the layers of the previous plan with what is still there; ``waiting`` keeps what is new."""
    layers: list[_Layer] = []
    for layer in previous:
        members = [parcel for name in layer.packages if (parcel := waiting.pop(name, None))]
        if members:
            taken = any(layer.name == other.name for other in layers)
            layers.append(_Layer(_new_name(members, layers) if taken else layer.name, members))
    return layers


def _merge(layers: list[_Layer], room: int) -> None:
    """Merge neighbours until the layers fit, where it costs least in the long run."""
    while len(layers) > room:
        _, at = min(
            (low.weight * high.size + high.weight * low.size, at) for at, (low, high) in enumerate(pairwise(layers))
        )
        layers[at].parcels += layers.pop(at + 1).parcels


def _arrive(layers: list[_Layer], new: Iterable[Parcel], room: int) -> None:
    """Give every new package a place: in the layer of its group where it costs least, or in one of its own."""
    total = sum(layer.weight for layer in layers)
    for parcel in new:
        total += parcel.weight
        mates = [layer for layer in layers if layer.group == parcel.group]
        free = len(layers) < room
        costs = [_joining(layer, parcel, total) for layer in mates or layers]
        if free and (not mates or min(costs) > _OPEN * total):
            layers.insert(_height(layers, parcel, total), _Layer(_new_name([parcel], layers), [parcel], moves=True))
        else:
            chosen = (mates or layers)[costs.index(min(costs))]
            chosen.parcels.append(parcel)
            chosen.moves = True


def _height(layers: Sequence[_Layer], parcel: Parcel, total: int) -> int:
    """Give where in the stack a layer of its own costs least.

    What is above it is extracted again, now and whenever it changes; so is it, whenever something below it does.
    """
    low = max((at + 1 for at, layer in enumerate(layers) if layer.group < parcel.group), default=0)
    high = max((at + 1 for at, layer in enumerate(layers) if layer.group <= parcel.group), default=0)
    moving = min((at for at, layer in enumerate(layers) if layer.moves), default=len(layers))

    def cost(at: int) -> int:
        now = sum(layer.size for layer in layers[at:moving])
        below = sum(layer.weight for layer in layers[:at])
        above = sum(layer.size for layer in layers[at:])
        return now * total + _HORIZON * (below * parcel.size + parcel.weight * above)

    return min(range(low, high + 1), key=lambda at: (cost(at), -at))


def _joining(layer: _Layer, parcel: Parcel, total: int) -> int:
    """Give what it costs, in bytes times the weight of all packages, that a package joins a layer."""
    now = 0 if layer.moves else layer.size * total
    return now + _HORIZON * (layer.weight * parcel.size + parcel.weight * layer.size)


def _new_name(members: Sequence[Parcel], layers: Iterable[_Layer]) -> str:
    taken = {layer.name for layer in layers}
    if len(members) == 1 and members[0].id not in taken:
        return members[0].id
    group = GROUPS[members[0].group]
    return next(name for number in range(1, len(taken) + 2) if (name := f"{group}/{number}") not in taken)
