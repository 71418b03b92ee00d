"""Simulated histories of real locks: a package is released at a time, and every step's image is sent and extracted.

    python benchmarks/histories.py [--steps 50] [--svg docs/histories.svg]

The locks are public ones (`shared/conda-data/locks`), the bytes those of the archives. Which package comes next is
drawn by how often it was really released, as the records in `shared/conda-data/repodata` tell, Python rarely; what
nothing is known of is as frequent as most. Packages that one recipe makes (same version, built within the same hour)
are released together in the second table. Nothing here depends on the machine.

Each strategy plans every step anew from the lock; ours is given its plan of the step before. What is the same for all
is left out: the base, the configuration, the manifest, the small layer of metadata.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from hermetic.lock.model import CondaPackage, PlannedLayer, PlatformLock
from hermetic.plan.layer_costs import explain, planned_rows
from hermetic.plan.layers import plan_layers

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "conda-data"
LOCKS = {  # title: (file, environment)
    "notebook": ("locks/conda+conda-lock/tests/test-explicit-toposorted/conda-lock.yml", ""),
    "tools": ("locks/conda+conda-lock/pixi.lock", "default"),
    "compilers": ("locks/conda+rattler/py-rattler/pixi.lock", "test"),
    "geoscience": ("locks/conda+conda-lock/example/pangeo/conda-lock.yml", ""),
}
YEAR = 365 * 86_400_000  # milliseconds
HOUR = 3_600_000
SELDOM = 0.02  # a year, of Python's minor or micro version that an environment follows: a person decides that

Plan = Sequence[PlannedLayer]
Strategy = Callable[[PlatformLock, Plan], Plan]


@dataclass
class World:
    """What the records tell: every release of every name."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def rate(self, name: str) -> float:
        """Releases a year: (version, build number) pairs over the time that they span."""
        if name == "python":
            return SELDOM
        first: dict[tuple[str, int], int] = {}
        for record in self.names.get(name, ()):
            if record.get("timestamp"):
                pair = record["version"], record["build_number"]
                first[pair] = min(first.get(pair, record["timestamp"]), record["timestamp"])
        if len(first) < 3:
            return 0.0
        return len(first) / max((max(first.values()) - min(first.values())) / YEAR, 1.0)


def load_world() -> World:
    import zstandard

    world = World()
    for file in sorted((SHARED / "repodata" / "conda-forge-sample").glob("*/repodata.json.zst")):
        with file.open("rb") as packed:
            document = json.loads(zstandard.ZstdDecompressor().stream_reader(packed).read())
        for kind in ("packages", "packages.conda"):
            for name, record in sorted(document.get(kind, {}).items()):
                if record.get("size"):
                    world.records[name] = record
                    world.names[record["name"]].append(record)
    return world


def load_lock(world: World, file: str, environment: str) -> PlatformLock:
    """Read a lock's conda packages for linux-64. An archive that the records lack is told by another of its name."""
    import yaml

    document = yaml.load((SHARED / file).read_text(), Loader=yaml.CSafeLoader)
    if environment:
        urls = [p["conda"] for p in document["environments"][environment]["packages"]["linux-64"] if "conda" in p]
    else:
        urls = [p["url"] for p in document["package"] if p["platform"] == "linux-64" and p["manager"] == "conda"]
    packages = {}
    for url in urls:
        archive = url.rpartition("/")[2]
        name, version, build = archive.removesuffix(".conda").removesuffix(".tar.bz2").rsplit("-", 2)
        record = world.records.get(archive) or next(iter(world.names.get(name, ())), {})
        packages[name] = CondaPackage(
            name, version, build, int(record.get("build_number", 0)), "sample", "linux-64", archive,
            int(record.get("size", 50_000)), "0" * 64,
            depends=tuple(record.get("depends", ())), timestamp=int(record.get("timestamp", 0)),
        )  # fmt: skip
    return PlatformLock("linux-64", (), tuple(packages.values()))


def origins(lock: PlatformLock) -> dict[str, str]:
    """Give each package its recipe: those of the same version that were built within an hour."""
    found: dict[str, str] = {}
    for package in sorted(lock.conda, key=lambda p: (p.version, p.timestamp)):
        mate = next(
            (
                other
                for other in lock.conda
                if other.name in found
                and other.version == package.version
                and package.timestamp
                and abs(other.timestamp - package.timestamp) < HOUR
            ),
            None,
        )
        found[package.name] = found[mate.name] if mate else package.name
    return found


def one_layer(lock: PlatformLock, _: Plan) -> Plan:
    return [PlannedLayer("all", tuple(p.name for p in lock.conda))]


def per_package(lock: PlatformLock, _: Plan) -> Plan:
    """One layer for each, what is needed below what needs it; more than engines stack, as a rule."""
    names = {package.name: package for package in lock.conda}
    order: dict[str, None] = {}

    def visit(name: str, seen: frozenset[str]) -> None:
        if name in names and name not in order and name not in seen:
            for need in names[name].depends:
                visit(need.split()[0], seen | {name})
            order[name] = None

    for name in sorted(names):
        visit(name, frozenset())
    return [PlannedLayer(name, (name,)) for name in order]


def by_origin(budget: int) -> Strategy:
    """As apko layers: the largest recipes alone, all that is left in one layer on top."""

    def plan(lock: PlatformLock, _: Plan) -> Plan:
        sizes = {package.name: package.size for package in lock.conda}
        groups: dict[str, list[str]] = defaultdict(list)
        for name, origin in origins(lock).items():
            groups[origin].append(name)
        ordered = sorted(groups, key=lambda g: (-sum(sizes[name] for name in groups[g]), g))
        layers = [PlannedLayer(group, tuple(sorted(groups[group]))) for group in ordered[: budget - 1]]
        rest = tuple(sorted(name for group in ordered[budget - 1 :] for name in groups[group]))
        return [*layers, PlannedLayer("rest", rest)] if rest else layers

    return plan


def ours(lock: PlatformLock, previous: Plan) -> Plan:
    return plan_layers(lock, previous)


def ours_forgetful(lock: PlatformLock, _: Plan) -> Plan:
    return plan_layers(lock)


STRATEGIES: Mapping[str, Strategy] = {
    "one layer": one_layer,
    "apko-like, 10": by_origin(10),
    "apko-like, 31": by_origin(31),
    "ours, forgetful": ours_forgetful,
    "ours": ours,
    "per package": per_package,
}


def history(world: World, lock: PlatformLock, steps: int, seed: int, *, together: bool) -> list[PlatformLock]:
    """Give the lock after each release, the first one as it is."""
    chance = random.Random(seed)
    known = [rate for package in lock.conda if (rate := world.rate(package.name)) > SELDOM]
    usual = statistics.median(known)
    recipes = origins(lock)
    rates = [world.rate(package.name) or usual for package in lock.conda]
    found = [lock]
    names = [package.name for package in lock.conda]
    for step in range(1, steps + 1):
        name = chance.choices(names, rates)[0]
        moves = {other for other in names if recipes[other] == recipes[name]} if together else {name}
        packages = []
        for package in found[-1].conda:
            if package.name in moves:
                sizes = [record["size"] for record in world.names.get(package.name, ())] or [package.size]
                near = [size for size in sizes if package.size / 1.5 <= size <= package.size * 1.5]
                size = chance.choice(near or [package.size])
                packages.append(replace(package, version=f"{package.version}.{step}", size=size, sha256=f"{step:064x}"))
            else:
                packages.append(package)
        found.append(replace(lock, conda=tuple(packages)))
    return found


def arrivals(lock: PlatformLock, seed: int, count: int) -> list[PlatformLock]:
    """Give the lock as it grows: packages that nothing needs are left out at first, and come one at a time."""
    needed = {text.split()[0] for package in lock.conda for text in package.depends}
    leaves = [package for package in lock.conda if package.name not in needed]
    random.Random(seed).shuffle(leaves)
    late = leaves[:count]
    kept = tuple(package for package in lock.conda if package not in late)
    return [replace(lock, conda=(*kept, *late[:number])) for number in range(len(late) + 1)]


@dataclass(frozen=True)
class Course:
    """What each step of a history costs: compressed bytes pushed and extracted, and how many layers there are."""

    pushed: tuple[int, ...]
    extracted: tuple[int, ...]
    layers: int


def run(locks: Sequence[PlatformLock], strategy: Strategy) -> Course:
    pushed, extracted = [], []
    plan = strategy(locks[0], ())
    rows = planned_rows(locks[0], plan)
    has = {frozenset(row.packages.items()) for row in rows}
    for lock in locks[1:]:
        plan = strategy(lock, plan)
        new = planned_rows(lock, plan)
        report = explain(new, rows)
        fresh = {frozenset(row.packages.items()): row.size for row in new}
        pushed.append(sum(size for content, size in fresh.items() if content not in has))  # of all steps before
        extracted.append(report.extract_bytes)
        has |= fresh.keys()
        rows = new
    return Course(tuple(pushed), tuple(extracted), len(plan))


def bound(locks: Sequence[PlatformLock]) -> list[int]:
    """Give the bytes of the archives that each step brings: less cannot be sent without deltas."""
    return [sum(p.size for p in new.conda if p not in old.conda) for old, new in pairwise(locks)]


def table(title: str, locks: Sequence[PlatformLock], courses: Mapping[str, Course]) -> str:
    total = sum(package.size for package in locks[0].conda)
    least = bound(locks)
    lines = [
        f"**{title}**: {len(locks[0].conda)} packages, {total / 1e6:.0f} MB; "
        f"a step brings {statistics.mean(least) / 1e6:.2f} MB of archives (median {statistics.median(least) / 1e6:.2f})",
        "",
        "| strategy | layers | pushed per step, mean | median | worst | beside the archive | extracted per step, mean |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, course in courses.items():
        mean = statistics.mean(course.pushed)
        more = statistics.median(sent - need for sent, need in zip(course.pushed, least, strict=True))
        lines.append(
            f"| {name} | {course.layers} | {mean / 1e6:.2f} MB | {statistics.median(course.pushed) / 1e6:.2f} MB "
            f"| {max(course.pushed) / 1e6:.1f} MB | {more / 1e6:.2f} MB "
            f"| {statistics.mean(course.extracted) / 1e6:.1f} MB |"
        )
    return "\n".join(lines)


COLOURS = ("#888888", "#d08770", "#b48ead", "#a3be8c", "#2e7d32", "#5e81ac")


def svg(panels: Sequence[tuple[str, Mapping[str, Sequence[int]]]]) -> str:
    """Draw courses as lines: bytes so far, in megabytes on a logarithmic scale, against steps."""
    from math import ceil, floor, log10

    width, height, left, top = 400, 250, 52, 34
    parts = []
    for number, (title, lines) in enumerate(panels):
        x0 = (number % 2) * (width + 70) + left
        y0 = (number // 2) * (height + 60) + top
        values = [max(v, 1e4) / 1e6 for line in lines.values() for v in line]
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        parts.append(f'<text x="{x0}" y="{y0 - 10}" font-weight="bold">{title}</text>')
        for power in range(low, high + 1):
            y = y0 + height * (high - power) / (high - low)
            label = f"{10**power:g} MB" if power < 3 else f"{10 ** (power - 3):g} GB"
            parts.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + width}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{x0 - 5}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
        for colour, line in zip(COLOURS, lines.values(), strict=False):
            points = " ".join(
                f"{x0 + width * step / (len(line) - 1):.1f},"
                f"{y0 + height * (high - log10(max(value, 1e4) / 1e6)) / (high - low):.1f}"
                for step, value in enumerate(line)
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    rows = (len(panels) + 1) // 2
    full, tall = 2 * (width + 70) + 20, rows * (height + 60) + top + 20
    for number, name in enumerate(panels[0][1]):
        x = left + number * 150
        parts.append(f'<rect x="{x}" y="{tall - 24}" width="14" height="4" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 20}" y="{tall - 18}">{name}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {tall}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="{full}" height="{tall}" fill="white"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", type=Path, help="draw the bytes pushed, and those extracted, into this file")
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"there are no locks and records here: {SHARED}")
    world = load_world()
    locks = {title: load_lock(world, *where) for title, where in LOCKS.items()}
    panels: list[tuple[str, Mapping[str, Sequence[int]]]] = []
    for heading, make in (
        ("One package at a time", lambda lock: history(world, lock, arguments.steps, arguments.seed, together=False)),
        ("One recipe at a time", lambda lock: history(world, lock, arguments.steps, arguments.seed, together=True)),
        ("One more package at a time", lambda lock: arrivals(lock, arguments.seed, 15)),
    ):
        print(f"\n### {heading}\n")
        for title, lock in locks.items():
            course = make(lock)
            courses = {name: run(course, strategy) for name, strategy in STRATEGIES.items()}
            print(table(title, course, courses), end="\n\n", flush=True)
            if heading == "One package at a time" and title in ("notebook", "geoscience"):
                panels += [
                    (f"{title}: bytes {what}", {n: [*accumulate(getattr(c, what))] for n, c in courses.items()})
                    for what in ("pushed", "extracted")
                ]
    if arguments.svg:
        arguments.svg.write_text(svg(panels))


if __name__ == "__main__":
    main()
