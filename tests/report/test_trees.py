"""Trees and reasons as a person reads them."""

from __future__ import annotations

import json

from lock_samples import LOCK, conda, platform_lock

from hermetic.lock.graph import flat, graph, graph_of, tree, why
from hermetic.report.trees import tree_text, tree_value, why_text, why_value

GRAPH = graph_of(LOCK, "linux-64")


def test_a_tree() -> None:
    assert tree_text(tree(GRAPH)).splitlines() == [
        "numpy 1.26.4  >=1.26",
        "├── libzlib 1.3.1",
        "├── python 3.11.9  >=3.11,<3.12.0a0",
        "│   ├── libzlib 1.3.1  >=1.3,<2.0a0",
        "│   └── tzdata 2024a",
        "└── python_abi 3.11  3.11.* *_cp311",
        "python 3.11.9  3.11.* (*)",
        "requests 2.32.3 (pip)  >=2",
        "├── certifi 2024.7.4 (pip)",
        "└── fast 2.0 (pip)",
        "    └── numpy 1.26.4 (*)",
        "tiny 1.0 (pip)  ==1.0",
        "",
        "(*) shown above with what it needs",
    ]


def test_a_tree_without_repeats_has_no_legend() -> None:
    assert tree_text(tree(GRAPH, root="requests", depth=1)).splitlines()[-1] == "└── fast 2.0 (pip)"


def test_tree_values_are_json() -> None:
    rows = json.loads(json.dumps(tree_value(tree(GRAPH))))["rows"]
    assert rows[1] == {
        "depth": 1, "kind": "conda", "name": "libzlib", "version": "1.3.1", "requirement": "libzlib", "again": False,
    }  # fmt: skip


def test_reasons() -> None:
    assert why_text(why(GRAPH, "libzlib")).splitlines() == [
        "libzlib 1.3.1 (conda): 5 ways from 3 requirements; the shortest of each (--all shows every way)",
        "  numpy >=1.26",
        "  └── libzlib",
        "  python 3.11.*",
        "  └── libzlib >=1.3,<2.0a0",
        "  requests>=2",
        "  └── fast",
        "      └── numpy",
        "          └── libzlib",
    ]
    assert why_text(why(GRAPH, "libzlib", limit=2)).startswith("libzlib 1.3.1 (conda): more than 2 ways")


def test_every_way_is_shown_where_it_was_asked_for() -> None:
    lines = why_text(why(GRAPH, "libzlib", every=True)).splitlines()
    assert lines[0] == "libzlib 1.3.1 (conda): 5 ways from 3 requirements"
    assert sum(line[2] != " " and "└" not in line for line in lines[1:]) == 5


def test_a_list_has_every_package_once_by_name() -> None:
    names = [line.split()[0] for line in tree_text(flat(GRAPH)).splitlines()]
    assert names == sorted(name for _, name in GRAPH.packages)


def test_an_empty_environment_has_no_packages() -> None:
    assert tree_text(()) == "no packages"


def test_what_nobody_asked_for_begins_with_itself() -> None:
    lonely = graph(platform_lock("linux-64", conda("a", "1"), conda("b", "1")), {"conda": [{"match": "a"}]})
    assert why_text(why(lonely, "b")).splitlines() == ["b 1 (conda): not asked for by name", "  b"]


def test_reason_values_are_json() -> None:
    (package,) = json.loads(json.dumps(why_value(why(GRAPH, "certifi"))))["packages"]
    assert package["reasons"] == [
        [
            {"kind": "pip", "name": "requests", "requirement": "requests>=2"},
            {"kind": "pip", "name": "certifi", "requirement": "certifi"},
        ]
    ]
