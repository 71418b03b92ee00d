"""Keys of images and their parts: what shows in the bytes moves them, and nothing else does."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermetic.lock.model import CondaPackage, Origin, PlannedLayer, PlatformLock, Wheel
from hermetic.plan.image_keys import contents_key, fragment_key, image_key, layer_key, package_identity

CONDA = CondaPackage("one", "1.0", "0", 0, "demo", "noarch", "one-1.0-0.conda", 1, "0" * 64)
WHEEL = Wheel("two", "1.0", "two-1.0-py3-none-any.whl", 1, "1" * 64)
FORM = ("gzip", -1, 1, "abc")


def fragment(package: CondaPackage | Wheel = CONDA, **more: Any) -> str:
    given_: dict[str, Any] = {"prefix": "/p", "layout": (), "python": "", "dropped": (), "form": FORM}
    return fragment_key(package, **{**given_, **more})


@pytest.mark.parametrize("field", [field.name for field in fields(CondaPackage)])
def test_every_word_of_a_record_is_in_conda_meta_and_so_in_the_key(field: str) -> None:
    value = getattr(CONDA, field)
    other = {str: "x", int: 7, tuple: ("x",)}[type(value)]
    changed = fragment(replace(CONDA, **{field: other}))
    if field == "categories":  # who asked for it does not show
        assert changed == fragment()
    else:
        assert changed != fragment()


def test_where_a_wheel_comes_from_does_not_show() -> None:
    moved = replace(WHEEL, index="other", url="https://example.org/w.whl", size=9, requires=("x",), extras=("y",),
                    origin=Origin("git"), categories=("dev",))  # fmt: skip
    assert package_identity(moved) == package_identity(WHEEL)
    assert fragment(replace(WHEEL, sha256="2" * 64)) != fragment(WHEEL)


def test_every_part_of_a_fragment_is_in_its_key() -> None:
    keys = [
        fragment(), fragment(prefix="/q"), fragment(layout=("bin",)), fragment(python="3"), fragment(dropped=("a",)),
        fragment(form=("gzip", -1, 2, "abc")), fragment(WHEEL), contents_key(CONDA, "/p", ()),
        layer_key(["a"], folders=["b"], form=FORM), layer_key(["a"], folders=[], form=FORM),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


@given(st.lists(st.text(max_size=5), max_size=6))
def test_dropped_paths_have_no_order(paths: list[str]) -> None:
    assert fragment(dropped=paths) == fragment(dropped=paths[::-1])


def test_fragments_of_a_layer_have_one() -> None:
    assert layer_key(["a", "b"], folders=[], form=FORM) != layer_key(["b", "a"], folders=[], form=FORM)


def test_what_an_image_assumes_of_machines_does_not_move_its_key() -> None:
    lock = PlatformLock("linux-64", ("__glibc=2.28=0",), (CONDA,), (WHEEL,))
    layers = (PlannedLayer("a", ("one", "pip:two")),)
    common: dict[str, Any] = {"prefix": "/p", "base": {"digest": "x"}, "options": {"form": list(FORM)}}
    key = image_key(lock, layers, **common)
    assert image_key(replace(lock, virtual_packages=()), layers, **common) == key
    assert image_key(replace(lock, platform="linux-aarch64"), layers, **common) != key
    assert image_key(lock, layers, **{**common, "base": {"digest": "y"}}) != key
