"""The graph of a lock: conda packages and wheels together, cycles and name-sakes included."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lock_samples import LOCK, conda, platform_lock, wheel

from hermetic.errors import UsageError
from hermetic.lock.graph import Graph, graph, graph_of, match_name, paths, tree, why

GRAPH = graph_of(LOCK, "linux-64")


def lines(rows: object) -> list[str]:
    return [f"{'  ' * r.depth}{r.node[1]}{' (again)' if r.again else ''}" for r in rows]  # type: ignore[attr-defined]


def test_a_tree_begins_at_what_the_user_asked_for_and_joins_conda_and_pip() -> None:
    assert lines(tree(GRAPH)) == [
        "numpy",
        "  libzlib",
        "  python",
        "    libzlib",
        "    tzdata",
        "  python_abi",
        "python (again)",
        "requests",
        "  certifi",
        "  fast",
        "    numpy (again)",
        "tiny",
    ]


def test_each_row_tells_the_requirement_that_leads_to_it() -> None:
    rows = {(row.depth, row.node): row for row in tree(GRAPH)}
    assert rows[2, ("conda", "libzlib")].requirement == "libzlib >=1.3,<2.0a0"
    assert rows[0, ("pip", "requests")].requirement == "requests>=2"
    assert rows[2, ("conda", "numpy")].requirement == "numpy"


def test_several_bounds_on_one_package_are_one_edge() -> None:
    needs = ("python >=3.11", "python", "python <3.12", "zlib", "zlib >=1")
    lock = graph(platform_lock("linux-64", conda("a", "1", *needs), conda("python", "3.11"), conda("zlib", "1")))
    assert lock.edges["conda", "a"] == (
        (("conda", "python"), "python >=3.11, <3.12"),
        (("conda", "zlib"), "zlib >=1"),
    )


def test_depth_and_root() -> None:
    assert lines(tree(GRAPH, depth=0)) == ["numpy", "python", "requests", "tiny"]
    assert lines(tree(GRAPH, root="requests", depth=1)) == ["requests", "  certifi", "  fast"]


def test_an_inverted_tree_shows_who_needs_a_package() -> None:
    assert lines(tree(GRAPH, root="libzlib", invert=True)) == [
        "libzlib", "  numpy", "    fast", "      requests", "  python", "    numpy (again)",
    ]  # fmt: skip
    assert lines(tree(GRAPH, invert=True, depth=0)) == ["libzlib", "python_abi", "tzdata", "certifi", "tiny"]


def test_why_gives_the_shortest_way_from_each_requirement() -> None:
    (found,) = why(GRAPH, "libzlib")
    ways = [[step[0][1] for step in reason.steps] for reason in found.reasons]
    assert ways == [["numpy", "libzlib"], ["python", "libzlib"], ["requests", "fast", "numpy", "libzlib"]]
    assert found.reasons[0].steps[0][1] == "numpy >=1.26"
    assert (found.ways, found.more) == (5, False)
    assert (why(GRAPH, "libzlib", limit=4)[0].ways, why(GRAPH, "libzlib", limit=4)[0].more) == (4, True)


def test_a_requirement_of_the_user_is_its_own_reason() -> None:
    (found,) = why(GRAPH, "Python")
    assert found.reasons[0].steps == ((("conda", "python"), "python 3.11.*"),)


def test_name_sakes_of_both_kinds_are_both_told() -> None:
    both = graph(
        platform_lock("linux-64", conda("docker", "1.0"), wheel("docker", "7.0", "urllib3"), wheel("urllib3", "2"))
    )
    assert [found.node for found in why(both, "docker")] == [("conda", "docker"), ("pip", "docker")]
    assert [found.node for found in why(both, "pip:docker")] == [("pip", "docker")]
    assert lines(tree(both, root="conda:docker")) == ["docker"]


def test_what_is_not_locked_is_named_with_its_neighbours() -> None:
    with pytest.raises(UsageError, match="no package 'nunpy' is locked") as caught:
        why(GRAPH, "nunpy")
    assert "numpy" in (caught.value.remedy or "")
    with pytest.raises(UsageError, match="no win-64") as caught:
        graph_of(LOCK, "win-64")
    assert "linux-64, osx-arm64" in (caught.value.remedy or "")


def test_cycles_are_cut() -> None:
    loop = graph(platform_lock("linux-64", conda("python", "3.11", "pip"), conda("pip", "24", "python >=3.8")))
    assert lines(tree(loop)) == ["pip", "  python", "    pip (again)"]
    (found,) = why(loop, "python")
    assert [len(reason.steps) for reason in found.reasons] == [2]
    assert found.ways == 1


def test_without_a_spec_the_roots_are_what_nothing_needs() -> None:
    assert [node for node, _ in graph(LOCK.platforms["linux-64"]).roots] == [("pip", "requests"), ("pip", "tiny")]


def test_without_a_spec_nothing_is_out_of_reach_and_no_root_is_needless() -> None:
    """python and pip need each other, and nothing else needs them: one of the two is a root."""
    lock = platform_lock("linux-64", conda("python", "3.11", "pip", "zlib"), conda("pip", "24", "python"),
                         conda("zlib", "1"), conda("a", "1", "zlib"))  # fmt: skip
    assert [node for _, node in (node for node, _ in graph(lock).roots)] == ["a", "pip"]
    assert {row.node[1] for row in tree(graph(lock))} == {"a", "pip", "python", "zlib"}


def test_requirements_of_other_platforms_and_wheel_files_are_roots_where_they_hold() -> None:
    spec = {
        "conda": [{"match": "numpy >=1.26", "platforms": ["osx-arm64"]}, {"match": "python 3.11.*"}],
        "pip": [{"requirement": "./dist/fast-2.0-cp311-cp311-manylinux_2_28_x86_64.whl"}, {"requirement": "NumPy>1"}],
    }
    roots = [node for node, text in graph(LOCK.platforms["linux-64"], spec).roots if text]
    assert roots == [("conda", "python"), ("pip", "fast"), ("conda", "numpy")]


@pytest.mark.parametrize(
    ("match", "name"),
    [
        ("numpy", "numpy"),
        ("numpy >=1.26,<2", "numpy"),
        ("python_abi 3.11.* *_cp311", "python_abi"),
        ("demo::numpy>=1", "numpy"),
        ("numpy[version='>=1']", "numpy"),
        ("_libgcc_mutex 0.1 conda_forge", "_libgcc_mutex"),
        ("__glibc >=2.17", "__glibc"),
        ("numpy=1.26", "numpy"),
    ],
)
def test_the_name_in_a_match_spec(match: str, name: str) -> None:
    assert match_name(match) == name


def test_the_python_beside_wheels_is_not_lost() -> None:
    lock = platform_lock("linux-64", conda("python", "3.11", "openssl"), conda("openssl", "3"), wheel("requests", "2"))
    found = graph(lock, {"pip": [{"requirement": "requests"}]})
    assert lines(tree(found)) == ["requests", "python", "  openssl"]
    (reason,) = why(found, "openssl")[0].reasons
    assert [(node[1], text) for node, text in reason.steps] == [("python", ""), ("openssl", "openssl")]


def test_a_deep_graph_needs_no_deep_stack() -> None:
    chain = [conda(f"p{i:05}", "1", f"p{i + 1:05}") for i in range(3000)] + [conda("p03000", "1")]
    deep = graph(platform_lock("linux-64", *chain))
    assert tree(deep)[-1].depth == 3000
    assert len(why(deep, "p03000")[0].reasons[0].steps) == 3001


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [f"p{i}" for i in range(draw(st.integers(1, 7)))]
    edges = {name: draw(st.lists(st.sampled_from(names), max_size=4, unique=True)) for name in names}
    asked = draw(st.lists(st.sampled_from(names), unique=True))
    lock = platform_lock("linux-64", *(conda(name, "1", *edges[name]) for name in names))
    return graph(lock, {"conda": [{"match": name} for name in asked]})


@given(graphs(), st.data())
def test_ways_have_no_loops_follow_edges_and_the_shortest_is_among_them(found: Graph, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(sorted(found.packages)))
    every = [tuple(node for node, _ in reason.steps) for reason in paths(found, target)]
    assert len(set(every)) == len(every)
    for way in every:
        assert len(set(way)) == len(way)
        assert way[0] in {node for node, _ in found.roots}
        assert way[-1] == target
        assert all(b in {node for node, _ in found.edges[a]} for a, b in pairwise(way))
    (reason,) = why(found, target[1])
    for shortest in reason.reasons:
        way = tuple(node for node, _ in shortest.steps)
        assert way in every
        assert len(way) == min(len(other) for other in every if other[0] == way[0])
    assert {way[0] for way in every} == {r.steps[0][0] for r in reason.reasons}


@given(graphs())
def test_a_tree_opens_every_reachable_package_once(found: Graph) -> None:
    rows = tree(found)
    reached, waiting = set(), [node for node, _ in found.roots]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += [target for target, _ in found.edges[node]]
    assert {row.node for row in rows} == reached
    assert len(rows) == len(found.roots) + sum(len(found.edges[node]) for node in reached)


@given(graphs())
def test_the_sources_of_any_graph_lead_to_all_of_it_and_not_to_each_other(found: Graph) -> None:
    bare = graph(platform_lock("linux-64", *(p for p in found.packages.values())))
    assert {row.node for row in tree(bare)} == set(bare.packages)
    for root, _ in bare.roots:
        others = {other for other, _ in bare.roots if other != root}
        assert not others & {row.node for row in tree(bare, root=root[1])}
