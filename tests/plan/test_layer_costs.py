"""What a change costs: bytes to push, bytes to extract again, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from lock_samples import conda, platform_lock, wheel

from hermetic.lock.model import PlannedLayer, PlatformLock
from hermetic.outputs.oci.model import LAYER_GZIP, Descriptor, Layer
from hermetic.plan.layer_costs import BASE, METADATA, STORED, TO_MAKE, explain, image_rows, planned_rows
from hermetic.report.layers import layers_text

OLD = platform_lock(
    "linux-64",
    conda("python", "3.11.9", size=30_000_000),
    conda("numpy", "1.26.4", size=8_000_000),
    conda("libzlib", "1.3.1", size=60_000),
    wheel("six", "1.16.0", size=11_000),
)
PLAN = (
    PlannedLayer("python/1", ("libzlib", "python")),
    PlannedLayer("numpy", ("numpy",)),
    PlannedLayer("small/1", ("pip:six",)),
)
NEW = replace(
    OLD, conda=tuple(replace(p, version="2.0.1", sha256="2" * 64) if p.name == "numpy" else p for p in OLD.conda)
)


def layer(content: str, size: int, name: str = "") -> Layer:
    """A layer whose digest follows from its content."""
    digest = "sha256:" + sha256(content.encode()).hexdigest()
    return Layer(Descriptor(LAYER_GZIP, digest, size), "sha256:" + sha256(digest.encode()).hexdigest(), None, name)


BASE_LAYERS = (layer("debian", 28_000_000), layer("users", 3_000))


def image(lock: PlatformLock, plan: Sequence[PlannedLayer] = PLAN) -> tuple[Layer, ...]:
    """An image's layers, as an assembly would give them, with the metadata on top."""
    digests = {p.name: p.sha256 for p in lock.conda} | {f"pip:{w.name}": w.sha256 for w in lock.wheels}
    ours = [layer("".join(digests[name] for name in planned.packages), 1_000_000, planned.name) for planned in plan]
    return (*BASE_LAYERS, *ours, layer("".join(sorted(digests.values())), 7_000, METADATA))


def rows(lock: PlatformLock, plan: Sequence[PlannedLayer] = PLAN) -> tuple:  # type: ignore[type-arg]
    return image_rows(lock, plan, image(lock, plan), len(BASE_LAYERS))


def test_a_first_image_is_sent_but_for_its_base_and_extracted_whole() -> None:
    report = explain(rows(OLD))
    assert [cost.row.state for cost in report.layers] == [BASE] * 2 + [STORED] * 4
    assert [cost.push for cost in report.layers] == [False] * 2 + [True] * 4
    assert report.push_bytes == 3_007_000
    assert report.extract_bytes == report.size == 31_010_000
    assert report.exact


def test_nothing_changed_costs_nothing() -> None:
    report = explain(rows(OLD), rows(OLD))
    assert (report.push_bytes, report.extract_bytes, report.moved) == (0, 0, ())


def test_a_bumped_package_costs_its_layer_and_extracts_what_lies_above() -> None:
    report = explain(rows(NEW), rows(OLD))
    costs = {cost.row.name: cost for cost in report.layers}
    assert [name for name, cost in costs.items() if cost.push] == ["numpy", METADATA]
    assert [name for name, cost in costs.items() if cost.extract] == ["numpy", "small/1", METADATA]
    assert costs["numpy"].changes == ("numpy 1.26.4 -> 2.0.1",)
    assert costs["small/1"].changes == ()
    assert report.push_bytes == 1_007_000
    assert report.extract_bytes == 2_007_000


def test_a_registry_is_asked_for_what_it_has_and_an_engine_for_its_stacks() -> None:
    new = rows(NEW)
    has = {row.digest for row in new if row.name in {"python/1", METADATA}}
    assert [cost.row.name for cost in explain(new, registry=has).layers if cost.push] == [
        "base/1", "base/2", "numpy", "small/1",
    ]  # fmt: skip
    other = ["sha256:" + "0" * 64]
    stack = [row.diff_id for row in new][:3]
    report = explain(new, stacks=[other, stack, stack[:1]])
    assert [cost.row.name for cost in report.layers if cost.extract] == ["numpy", "small/1", METADATA]
    assert not explain(new, registry={row.digest for row in new}).push_bytes
    assert explain(new, registry=set(), stacks=[]).extract_bytes == explain(new, registry=set()).push_bytes


def test_before_it_is_made_an_image_is_told_by_its_packages() -> None:
    made = {"python/1": layer("python", 29_000_000)}
    before = planned_rows(OLD, PLAN, base=BASE_LAYERS, made=made)
    report = explain(planned_rows(NEW, PLAN, base=BASE_LAYERS, made=made), before)
    costs = {cost.row.name: cost for cost in report.layers}
    assert costs["python/1"].row.state == STORED
    assert costs["numpy"].row.state == TO_MAKE
    assert [name for name, cost in costs.items() if cost.push] == ["numpy"]
    assert report.push_bytes == 8_000_000
    assert report.extract_bytes == 8_011_000
    assert not report.exact


def test_what_a_change_moved_is_named() -> None:
    lock = replace(
        NEW,
        conda=(*(p for p in NEW.conda if p.name != "libzlib"), conda("scipy", "1.14.0")),
        wheels=tuple(replace(w, sha256="7" * 64) for w in NEW.wheels),
    )
    plan = (
        PlannedLayer("python/1", ("python",)),
        PlannedLayer("numpy", ("numpy", "pip:six", "scipy")),
    )
    report = explain(rows(lock, plan), rows(OLD))
    costs = {cost.row.name: cost for cost in report.layers}
    assert costs["python/1"].changes == ("- libzlib",)
    assert costs["numpy"].changes == ("numpy 1.26.4 -> 2.0.1", "pip:six 1.16.0, another build", "+ scipy 1.14.0")
    assert report.moved == (("pip:six", "small/1", "numpy"),)
    assert report.to_dict()["moved"] == [{"package": "pip:six", "from": "small/1", "to": "numpy"}]


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_extracted_is_a_top_of_the_stack_and_holds_all_that_is_sent(bumps: list[bool]) -> None:
    changed = [package for package, bumped in zip([*OLD.conda, *OLD.wheels], bumps, strict=True) if bumped]
    lock = replace(
        OLD,
        conda=tuple(replace(p, sha256="3" * 64) if p in changed else p for p in OLD.conda),
        wheels=tuple(replace(w, sha256="4" * 64) if w in changed else w for w in OLD.wheels),
    )
    report = explain(rows(lock), rows(OLD))
    extract = [cost.extract for cost in report.layers]
    assert extract == sorted(extract)
    assert all(cost.extract for cost in report.layers if cost.push)
    assert report.push_bytes <= report.extract_bytes


def test_the_table_is_drawn_from_the_top() -> None:
    assert layers_text(explain(rows(NEW), rows(OLD))).splitlines() == [
        "layer     size     state     push  extract  packages",
        "metadata  7.0 kB   in store  push  extract",
        "small/1   1.0 MB   in store        extract  pip:six 1.16.0",
        "numpy     1.0 MB   in store  push  extract  numpy 1.26.4 -> 2.0.1",
        "python/1  1.0 MB   in store                 libzlib, python",
        "base/2    3.0 kB   base",
        "base/1    28.0 MB  base",
        "",
        "6 layers, 31.0 MB; to push: 2 layers, 1.0 MB; to extract: 3 layers, 2.0 MB",
    ]


def test_sizes_of_what_is_not_made_are_marked() -> None:
    text = layers_text(explain(planned_rows(OLD, PLAN)))
    assert "numpy     ~8.0 MB" in text
    assert "3 layers, about 38.1 MB; to push: 3 layers, about 38.1 MB" in text
    assert layers_text(explain(planned_rows(OLD, PLAN)), colour=True) != text
