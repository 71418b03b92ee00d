"""Who owns a path that several packages have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermetic.plan.collisions import Clash, find_collisions

PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
CLAIMS = st.lists(st.dictionaries(PATHS, st.integers(0, 1), max_size=4), max_size=4).map(
    lambda files: [(f"p{n}", of) for n, of in enumerate(files)]
)


def test_packages_apart_do_not_collide() -> None:
    assert find_collisions([("a", {"lib/x": 1}), ("b", {"lib/y": 1})]).clashes == ()


def test_the_last_one_wins_and_the_others_lose_the_path() -> None:
    found = find_collisions([("a", {"x": 1}), ("b", {"x": 2, "y": 1}), ("c", {"x": 1})])
    assert found.clashes == (Clash("x", ("a", "b", "c")),)
    assert found.clashes[0].winner == "c"
    assert found.lost == {"a": {"x"}, "b": {"x"}}


def test_the_same_thing_twice_is_told_apart() -> None:
    assert find_collisions([("a", {"x": 1}), ("b", {"x": 1})]).clashes == (Clash("x", ("a", "b"), same=True),)


def test_a_file_in_the_place_of_a_folder_is_no_matter_of_order() -> None:
    one = find_collisions([("a", {"x": 1}), ("b", {"x/y/z": 1})])
    other = find_collisions([("b", {"x/y/z": 1}), ("a", {"x": 1})])
    assert one.folders == other.folders == (Clash("x", ("a", "b")),)


@given(CLAIMS)
def test_every_path_has_one_owner_in_the_end(claims: list[tuple[str, dict[str, int]]]) -> None:
    found = find_collisions(claims)
    kept = [path for owner, files in claims for path in files if path not in found.lost.get(owner, ())]
    assert sorted(kept) == sorted({path for _, files in claims for path in files})


@given(CLAIMS)
def test_a_folder_clash_is_found_exactly_where_there_is_one(claims: list[tuple[str, dict[str, int]]]) -> None:
    paths = {path for _, files in claims for path in files}
    wanted = {path for path in paths if any(other.startswith(f"{path}/") for other in paths)}
    assert {clash.path for clash in find_collisions(claims).folders} == wanted
