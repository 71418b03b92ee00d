"""Layer plans: every package in one layer, few layers, and as little change as can be."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lock_samples import conda, platform_lock, wheel

from hermetic.errors import UsageError
from hermetic.lock.model import CondaPackage, Origin, PlannedLayer, PlatformLock, Wheel
from hermetic.plan.layers import BUDGET, MOST, _splits, check_layers, parcels, plan_layers

MB = 1 << 20

SCIENCE = platform_lock(
    "linux-64",
    conda("python", "3.11.9", "libzlib >=1.3", "openssl >=3,<4.0a0", "__glibc", size=30 * MB),
    conda("libzlib", "1.3.1", size=60_000),
    conda("openssl", "3.3.1", "ca-certificates", size=3 * MB),
    conda("ca-certificates", "2024.7.4", size=150_000),
    conda("numpy", "1.26.4", "python", "libblas", size=8 * MB),
    conda("scipy", "1.14.0", "python", "numpy", size=16 * MB),
    conda("libblas", "3.9.0", "libopenblas", size=15_000),
    conda("libopenblas", "0.3.27", size=5 * MB),
    conda("libcurl", "8.8.0", "openssl", size=400_000),
    conda("cuda-cudart", "12.4.127", size=20_000),
    conda("libcublas", "12.4.5.8", size=250 * MB),
    conda("cudnn", "9.1.1", size=400 * MB),
    wheel("torch", "2.4.0", "nvidia-nccl-cu12", size=800 * MB),
    wheel("nvidia-nccl-cu12", "2.20.5", size=170 * MB),
    wheel("six", "1.16.0", size=11_000),
    wheel("mine", "1.0", size=20_000, url="https://files.example.org/mine-1.0-py3-none-any.whl"),
    wheel("built", "1.0", size=30_000, origin=Origin("https://example.org/built.git", commit="0" * 40)),
    wheel("team", "1.0", size=40_000, index="team"),
)


def grouped(plan: Sequence[PlannedLayer]) -> dict[str, str]:
    return {package: layer.name for layer in plan for package in layer.packages}


def members(plan: Sequence[PlannedLayer]) -> list[str]:
    return [package for layer in plan for package in layer.packages]


def names(lock: PlatformLock) -> list[str]:
    return [p.name for p in lock.conda] + [f"pip:{w.name}" for w in lock.wheels]


def bump(lock: PlatformLock, name: str, size: int) -> PlatformLock:
    """The lock with another version and size of one package."""
    kind, _, wheel_name = name.partition(":")
    if kind == "pip":
        return replace(
            lock,
            wheels=tuple(
                replace(w, version="99", sha256="9" * 64, size=size) if w.name == wheel_name else w for w in lock.wheels
            ),
        )
    return replace(
        lock,
        conda=tuple(replace(p, version="99", sha256="9" * 64, size=size) if p.name == name else p for p in lock.conda),
    )


def without(lock: PlatformLock, name: str) -> PlatformLock:
    return replace(
        lock,
        conda=tuple(p for p in lock.conda if p.name != name),
        wheels=tuple(w for w in lock.wheels if f"pip:{w.name}" != name),
    )


sizes = st.one_of(st.integers(0, 100_000), st.integers(0, 20 * MB), st.integers(0, 2000 * MB))
word = st.from_regex(r"[a-z]{1,3}", fullmatch=True) | st.sampled_from(
    ["python", "openssl", "cudnn", "libcublas", "cuda-nvcc", "libcurl", "numpy", "small", "private"]
)


@st.composite
def locks(draw: st.DrawFn, least: int = 0) -> PlatformLock:
    found: list[CondaPackage | Wheel] = []
    conda_names = draw(st.lists(word, unique=True, min_size=least, max_size=40))
    for name in conda_names:
        needs = draw(st.lists(st.sampled_from([*conda_names, "__glibc"]), max_size=3))
        found.append(conda(name, "1.0", *(f"{need} >=1" for need in needs), size=draw(sizes)))
    for name in draw(st.lists(word, unique=True, max_size=20)):
        more: dict[str, Any] = draw(st.sampled_from([{}, {}, {"index": "team"}, {"url": "https://example.org/a.whl"}]))
        found.append(wheel(name, "1.0", size=draw(sizes), **more))
    return platform_lock("linux-64", *found)


budgets = st.integers(2, 40)


def test_groups_lie_in_their_order_and_large_packages_alone() -> None:
    plan = plan_layers(SCIENCE)
    at = {package: number for number, layer in enumerate(plan) for package in layer.packages}
    accelerator = {"cuda-cudart", "libcublas", "cudnn", "pip:nvidia-nccl-cu12"}
    python = {"python"}
    private = {"pip:mine", "pip:built", "pip:team"}
    other = set(names(SCIENCE)) - accelerator - python - private
    for low, high in pairwise([accelerator, python, other, private]):
        assert max(at[name] for name in low) < min(at[name] for name in high)
    for large in ("libcublas", "cudnn", "python", "numpy", "scipy", "pip:torch", "pip:nvidia-nccl-cu12"):
        assert PlannedLayer(large, (large,)) in plan
    assert at["pip:torch"] < at["numpy"] < at["libblas"], "what is large lies below"
    assert at["numpy"] < at["openssl"], "and so does what changes less often"
    assert at["numpy"] < at["openssl"] < at["ca-certificates"], "what Python needs moves more often than Python"


def test_a_large_wheel_of_another_index_is_no_first_party_code() -> None:
    lock = platform_lock(
        "linux-64",
        wheel("torch", "2.4.0", size=800 * MB, index="vendor"),
        wheel("mine", "1.0", size=9_000, index="team"),
        wheel("six", "1.16.0", size=11_000),
    )
    assert [layer.packages for layer in plan_layers(lock)] == [("pip:torch",), ("pip:six",), ("pip:mine",)]


def test_small_packages_share_layers_where_the_budget_is_small() -> None:
    lock = platform_lock("linux-64", *(conda(f"p{n:02}", "1", size=10_000 + n) for n in range(40)),
                         conda("huge", "1", size=900 * MB))  # fmt: skip
    plan = plan_layers(lock, budget=6)
    assert len(plan) <= 5
    assert PlannedLayer("huge", ("huge",)) in plan
    assert {layer.name for layer in plan} - {"huge"} <= {f"small/{n}" for n in range(1, 6)}


@pytest.mark.parametrize(
    ("name", "accelerator"),
    [
        *((name, True) for name in "cuda-cudart cuda-nvcc cudatoolkit cudnn libcudnn-dev libcublas libcufft libcurand "
          "libcusparse libcusparselt0 libnvjitlink libnpp nccl cutensor libmagma_sparse rocm-core hip-runtime".split()),
        *((name, False) for name in "libcurl libcups libcudf libcap libnsl libnuma hipscat cupy pytorch mkl magics "
          "cudf numba".split()),
    ],
)  # fmt: skip
def test_what_is_an_accelerator_library(name: str, *, accelerator: bool) -> None:
    lock = platform_lock("linux-64", conda("python", "3.12.1", size=30 * MB), conda(name, "1", size=400 * MB))
    lowest = plan_layers(lock)[0]
    assert (lowest.packages == (name,)) == accelerator


def test_an_environment_of_nothing_has_no_layers() -> None:
    assert plan_layers(platform_lock("linux-64")) == ()


@settings(max_examples=60)
@given(locks(), budgets, st.integers(0, 60))
def test_every_package_is_in_exactly_one_layer_and_the_budget_holds(lock: PlatformLock, budget: int, base: int) -> None:
    plan = plan_layers(lock, budget=budget, base_layers=base)
    assert sorted(members(plan)) == sorted(names(lock))
    assert len(plan) <= budget - 1
    assert len({layer.name for layer in plan}) == len(plan)
    check_layers(plan, base)


@settings(max_examples=60)
@given(locks(), locks(), budgets, budgets)
def test_any_plan_may_follow_any_other(old: PlatformLock, new: PlatformLock, first: int, second: int) -> None:
    plan = plan_layers(new, plan_layers(old, budget=first), budget=second)
    assert sorted(members(plan)) == sorted(names(new))
    assert len(plan) <= second - 1
    assert len({layer.name for layer in plan}) == len(plan)


@settings(max_examples=40)
@given(locks(), locks(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(lock: PlatformLock, old: PlatformLock, chance: random.Random) -> None:
    shuffled = replace(lock)
    for kind in ("conda", "wheels"):
        packages = list(getattr(lock, kind))
        chance.shuffle(packages)
        object.__setattr__(shuffled, kind, tuple(packages))  # past the sorting that a lock does itself
    assert plan_layers(shuffled) == plan_layers(lock)
    previous = plan_layers(old)
    turned = [replace(layer, packages=tuple(reversed(layer.packages))) for layer in previous]
    assert plan_layers(shuffled, turned) == plan_layers(lock, previous)


@settings(max_examples=60)
@given(locks(least=1), st.data(), sizes, budgets)
def test_a_bumped_package_changes_no_layers_members(
    lock: PlatformLock, data: st.DataObject, size: int, budget: int
) -> None:
    plan = plan_layers(lock, budget=budget)
    bumped = bump(lock, data.draw(st.sampled_from(names(lock))), size)
    assert plan_layers(bumped, plan, budget=budget) == plan


@settings(max_examples=60)
@given(locks(least=1), st.data(), budgets)
def test_a_removed_package_leaves_the_others_where_they_are(
    lock: PlatformLock, data: st.DataObject, budget: int
) -> None:
    plan = plan_layers(lock, budget=budget)
    gone = data.draw(st.sampled_from(names(lock)))
    after = plan_layers(without(lock, gone), plan, budget=budget)
    kept = [replace(layer, packages=tuple(p for p in layer.packages if p != gone)) for layer in plan]
    assert list(after) == [layer for layer in kept if layer.packages]


@settings(max_examples=60)
@given(locks(), locks(), budgets)
def test_new_packages_move_none_of_the_old(old: PlatformLock, more: PlatformLock, budget: int) -> None:
    """Monotone: a layer may grow, and layers may come between, but what was together stays together, in order."""
    have = {p.name for p in old.conda} | {w.name for w in old.wheels}
    both = replace(
        old,
        conda=(*old.conda, *(p for p in more.conda if p.name not in have)),
        wheels=(*old.wheels, *(w for w in more.wheels if w.name not in have)),
    )
    plan = plan_layers(old, budget=budget)
    assume(plan)
    after = plan_layers(both, plan, budget=budget)
    grown = {layer.name: set(layer.packages) for layer in after}
    assert [layer.name for layer in after if layer.name in {p.name for p in plan}] == [layer.name for layer in plan]
    assert all(set(layer.packages) <= grown[layer.name] for layer in plan)


def test_a_new_package_goes_where_the_fewest_bytes_move() -> None:
    plan = plan_layers(SCIENCE)
    with_large = replace(SCIENCE, conda=(*SCIENCE.conda, conda("pyarrow", "17.0", "python", size=30 * MB)))
    after = plan_layers(with_large, plan)
    assert set(after) - set(plan) == {PlannedLayer("pyarrow", ("pyarrow",))}, "nothing but itself moves"
    assert [layer for layer in after if layer.name != "pyarrow"] == list(plan)
    assert after.index(PlannedLayer("pyarrow", ("pyarrow",))) < [n.name for n in after].index(grouped(plan)["pip:mine"])

    with_small = replace(SCIENCE, conda=(*SCIENCE.conda, conda("tiny", "1.0", "python", size=9_000)))
    (grown,) = set(plan_layers(with_small, plan)) - set(plan)
    sizes_of = {p.id: p.size for p in parcels(with_small)}
    assert "tiny" in grown.packages
    assert sum(sizes_of[name] for name in grown.packages) < 100_000


def test_a_large_new_package_is_not_put_on_top_of_what_is_small_and_moves() -> None:
    plan = plan_layers(SCIENCE)
    added = replace(SCIENCE, conda=(*SCIENCE.conda, conda("rust", "1.80", size=200 * MB)))
    order = [layer.name for layer in plan_layers(added, plan)]
    assert order.index("pip:torch") < order.index("rust") < order.index("libcurl")


def test_new_packages_come_together_in_one_layer_that_moves_anyway() -> None:
    lock = platform_lock("linux-64", *(conda(f"p{n:02}", "1", size=20_000 + n) for n in range(60)))
    plan = plan_layers(lock, budget=9)
    more = replace(lock, conda=(*lock.conda, *(conda(f"new{n}", "1", size=5_000) for n in range(5))))
    assert len(set(plan_layers(more, plan, budget=9)) - set(plan)) == 1


def test_a_name_that_is_taken_is_not_given_twice() -> None:
    previous = (PlannedLayer("numpy", ("scipy",)), PlannedLayer("small/1", ("six",)))
    lock = platform_lock(
        "linux-64",
        conda("scipy", "1", size=20 * MB),
        conda("six", "1", size=10_000),
        conda("numpy", "1", size=300 * MB),
    )
    plan = plan_layers(lock, previous)
    assert plan == (
        PlannedLayer("small/2", ("numpy",)),
        PlannedLayer("numpy", ("scipy",)),
        PlannedLayer("small/1", ("six",)),
    )


def test_a_plan_that_names_a_package_or_a_layer_twice_is_mended() -> None:
    previous = (PlannedLayer("small/1", ("six", "gone")), PlannedLayer("small/1", ("six", "attrs")))
    plan = plan_layers(platform_lock("linux-64", conda("six", "1"), conda("attrs", "1")), previous)
    assert sorted(members(plan)) == ["attrs", "six"]
    assert len({layer.name for layer in plan}) == 2


def test_a_smaller_budget_joins_neighbours() -> None:
    plan = plan_layers(SCIENCE)
    fewer = plan_layers(SCIENCE, plan, budget=6)
    assert len(fewer) == 5
    assert sorted(members(fewer)) == sorted(names(SCIENCE))
    whole = [set(layer.packages) for layer in plan]
    assert all(any(layer <= set(joined.packages) for joined in fewer) for layer in whole), "layers are not torn"


def test_a_base_with_many_layers_leaves_fewer() -> None:
    lock = platform_lock("linux-64", *(conda(f"p{n:03}", "1", size=10 * MB + n) for n in range(150)))
    assert len(plan_layers(lock, budget=MOST, base_layers=0)) <= MOST - 1
    assert len(plan_layers(lock, base_layers=115)) <= 9
    assert len(plan_layers(lock, base_layers=MOST - 2)) == 1
    with pytest.raises(UsageError, match="the base has 124 layers"):
        plan_layers(lock, base_layers=MOST - 1)


@pytest.mark.parametrize("budget", [-1, 0, 1, MOST + 1])
def test_a_budget_without_sense_is_refused(budget: int) -> None:
    with pytest.raises(UsageError, match=f"budget of {budget} layers"):
        plan_layers(SCIENCE, budget=budget)


def test_too_many_layers_are_found_before_anything_is_built() -> None:
    layers = [PlannedLayer(f"p{n}", (f"p{n}",)) for n in range(BUDGET - 1)]
    check_layers(layers, MOST - BUDGET)
    with pytest.raises(UsageError, match="would have 126 layers, 94 of them the base's"):
        check_layers(layers, MOST - BUDGET + 1)


def test_sizes_that_are_known_better_count() -> None:
    lock = platform_lock("linux-64", *(conda(f"p{n:02}", "1", size=10_000) for n in range(30)))
    plan = plan_layers(lock, budget=4, sizes={"p07": 500 * MB})
    assert PlannedLayer("p07", ("p07",)) in plan


@settings(max_examples=100)
@given(locks(least=1))
def test_splits_are_the_cheapest(lock: PlatformLock) -> None:
    """The quick way finds what trying every cut finds."""
    found = sorted(parcels(lock), key=lambda p: p.rest)[:12]

    def cost(low: int, high: int) -> int:
        return sum(p.weight for p in found[low:high]) * sum(p.size for p in found[low:high])

    row = [cost(0, end) for end in range(len(found) + 1)]
    splits = _splits(found, 5)
    assert len(splits) == min(5, len(found))
    for layers, (least, cuts) in enumerate(splits, 1):
        if layers > 1:
            row = [
                min((row[at] + cost(at, end) for at in range(layers - 1, end)), default=0)
                for end in range(len(found) + 1)
            ]
        assert least == row[-1] == sum(cost(low, high) for low, high in pairwise(cuts))
        assert len(cuts) == layers + 1
