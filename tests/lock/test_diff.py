"""What differs between two locks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from lock_samples import (
    IMAGE,
    IMAGED,
    IMAGES,
    LOCK,
    REGISTRY_BASE,
    changed,
    conda,
    locks,
    platform_lock,
    wheel,
    with_image,
)

from hermetic.lock.diff import Move, diff
from hermetic.lock.model import CondaPackage, ImagePlan, Lock, PlannedLayer, Wheel

LINUX = LOCK.platforms["linux-64"]
NUMPY = next(p for p in LINUX.conda if p.name == "numpy")
CERTIFI = next(w for w in LINUX.wheels if w.name == "certifi")


def moves(old: Lock | None, new: Lock) -> dict[str, dict[str, Move]]:
    return {part.platform: {c.name: c.move for c in part.changes} for part in diff(old, new).platforms}


@settings(deadline=None)
@given(locks())
def test_a_lock_does_not_differ_from_itself(lock: Lock) -> None:
    assert not diff(lock, lock)


@pytest.mark.parametrize(
    ("package", "move"),
    [
        (replace(NUMPY, version="1.27.0"), Move.UP),
        (replace(NUMPY, version="1.26.10"), Move.UP),
        (replace(NUMPY, version="1.26.4rc1"), Move.DOWN),
        (replace(NUMPY, build="py311h2_1", file_name="numpy-1.26.4-py311h2_1.conda"), Move.BUILD),
        (replace(NUMPY, file_name="numpy-1.26.4-py311h1_0.tar.bz2"), Move.BUILD),
        (replace(NUMPY, channel="other"), Move.SOURCE),
        (replace(NUMPY, sha256="0" * 64), Move.CONTENT),
        (replace(NUMPY, depends=()), Move.DETAILS),
        (replace(CERTIFI, version="2024.7.4.post1"), Move.UP),
        (replace(CERTIFI, version="2024.7.4.dev1"), Move.DOWN),
        (replace(CERTIFI, version="not a version"), Move.DOWN),
        (replace(CERTIFI, index="https://index.example.org/simple"), Move.SOURCE),
        (replace(CERTIFI, file_name="certifi-2024.7.4-2-py3-none-any.whl"), Move.BUILD),
        (replace(CERTIFI, categories=("dev",)), Move.DETAILS),
        (wheel("new", "1.0"), Move.ADDED),
        (conda("new", "1.0"), Move.ADDED),
    ],
)
def test_each_kind_of_move(package: CondaPackage | Wheel, move: Move) -> None:
    assert moves(LOCK, changed(LOCK, "linux-64", package)) == {"linux-64": {package.name: move}}


def test_a_package_that_goes_is_removed() -> None:
    assert moves(LOCK, changed(LOCK, "osx-arm64", drop=("tiny",))) == {"osx-arm64": {"tiny": Move.REMOVED}}


def test_a_package_that_changes_sides_is_one_change() -> None:
    torch = conda("pytorch", "2.4.0", "python", purls=("pkg:pypi/torch",))
    by_conda = Lock({}, {"linux-64": platform_lock("linux-64", torch, conda("python", "3.11.9"))})
    by_pip = Lock({}, {"linux-64": platform_lock("linux-64", wheel("torch", "2.4.0"), conda("python", "3.11.9"))})
    (there,) = diff(by_conda, by_pip).platforms[0].changes
    assert (there.move, there.name, there.old, there.new) == (Move.KIND, "torch", torch, wheel("torch", "2.4.0"))
    (back,) = diff(by_pip, by_conda).platforms[0].changes
    assert (back.move, back.name, back.new) == (Move.KIND, "pytorch", torch)


def test_only_new_bytes_are_counted() -> None:
    bumped = replace(NUMPY, version="1.27.0", sha256="0" * 64, size=70)
    (part,) = diff(LOCK, changed(LOCK, "linux-64", bumped, replace(CERTIFI, categories=("dev",)))).platforms
    assert part.fetch == 70


def test_platforms_variables_and_virtual_packages() -> None:
    only = replace(LOCK, platforms={"linux-64": LINUX})
    assert diff(LOCK, only).removed == ("osx-arm64",)
    assert diff(only, LOCK).added == ("osx-arm64",)
    assert {c.move for c in diff(only, LOCK).platforms[0].changes} == {Move.ADDED}
    other = replace(LINUX, variables=(("A", "1"),), virtual_packages=("__glibc=2.35=0", *LINUX.virtual_packages[2:]))
    (part,) = diff(only, replace(LOCK, platforms={"linux-64": other})).platforms
    assert part.other == (
        ("variable A", "", "1"),
        ("variable OMP_NUM_THREADS", "1", ""),
        ("virtual package __archspec", "__archspec=1=x86_64", ""),
        ("virtual package __glibc", "__glibc=2.28=0", "__glibc=2.35=0"),
    )


def other(old: Lock, new: Lock) -> list[tuple[str, str, str]]:
    return [item for part in diff(old, new).platforms for item in part.other]


def test_a_base_that_moved_is_shown_with_its_digests() -> None:
    old = with_image(LOCK, replace(IMAGE, base=REGISTRY_BASE))
    new = with_image(LOCK, replace(IMAGE, base=replace(REGISTRY_BASE, manifest="sha256:" + "e" * 64)))
    c, d, e = ("sha256:" + letter * 64 for letter in "cde")
    assert other(old, new) == [("base", f"team/base:1 index {c}, manifest {d}", f"team/base:1 index {c}, manifest {e}")]
    assert not diff(old, new).platforms[0].changes


def test_packages_of_the_embedded_base_are_shown_one_by_one() -> None:
    files, library = IMAGE.base.packages
    same_version = replace(library, sha256="e" * 64)
    base = replace(IMAGE.base, packages=(replace(files, version="12.5"), same_version, replace(files, name="bash")))
    assert other(IMAGED, with_image(LOCK, replace(IMAGE, base=base))) == [
        ("base package base-files", files.version, "12.5"),
        ("base package bash", "", files.version),
        (
            "base package libstdc++6",
            f"12.2.0-14 amd64 sha256:{'b' * 64} (613000 bytes)",
            f"12.2.0-14 amd64 sha256:{'e' * 64} (613000 bytes)",
        ),
    ]


def test_packages_that_change_their_layer_are_shown_and_those_that_came_only_as_packages() -> None:
    python, numpy, own = IMAGE.layers
    plan = replace(IMAGE, layers=(python, replace(own, packages=("pip:tiny", "numpy")), PlannedLayer("new", ("new",))))
    new = with_image(changed(LOCK, "linux-64", conda("new", "1")), plan)
    assert other(IMAGED, new) == [("layer of numpy", "numpy", "own")]
    assert moves(IMAGED, new) == {"linux-64": {"new": Move.ADDED}}
    swapped = with_image(LOCK, replace(IMAGE, layers=(numpy, python, own)))
    assert other(IMAGED, swapped) == [("order of layers", "python, numpy, own", "numpy, python, own")]


def test_a_first_image_is_one_base_and_some_layers() -> None:
    assert other(LOCK, IMAGED) == [("base", "", "embedded"), ("layers", "", "3")]
    assert other(IMAGED, LOCK) == [("base", "embedded", ""), ("layers", "3", "")]


@settings(deadline=None)
@given(IMAGES, IMAGES)
def test_two_images_differ_exactly_if_the_diff_says_so(old: ImagePlan, new: ImagePlan) -> None:
    assert bool(diff(with_image(LOCK, old), with_image(LOCK, new))) == (old != new)


def test_without_an_old_lock_all_is_added() -> None:
    found = moves(None, LOCK)
    assert {move for part in found.values() for move in part.values()} == {Move.ADDED}
    assert len(found["linux-64"]) == len(LINUX.conda) + len(LINUX.wheels)


def test_the_diff_is_json() -> None:
    value = diff(LOCK, changed(LOCK, "linux-64", replace(NUMPY, version="1.27.0"), drop=("tiny",))).to_dict()
    json.dumps(value)
    assert [c["move"] for c in value["platforms"]["linux-64"]["changes"]] == ["up", "removed"]


@settings(deadline=None)
@given(locks(), locks())
def test_the_diff_accounts_for_every_package(old: Lock, new: Lock) -> None:
    """The old packages, with every change applied, are the new packages."""
    for platform in set(old.platforms) & set(new.platforms):
        before, after = old.platforms[platform], new.platforms[platform]
        packages = {(type(p), p.name): p for p in (*before.conda, *before.wheels)}
        found = {part.platform: part for part in diff(old, new).platforms}.get(platform)
        for change in found.changes if found else ():
            if change.old:
                assert packages.pop((type(change.old), change.old.name)) == change.old
            if change.new:
                packages[type(change.new), change.new.name] = change.new
        assert packages == {(type(p), p.name): p for p in (*after.conda, *after.wheels)}
