"""pyc files for fragments: compiled by the lock's own Python, which stands in the store for that and nothing else.

If the store has all that is asked for, no interpreter is needed, and none is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hermetic.outputs.prefix.build import make
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.layout import prefix_layout
from hermetic.outputs.prefix.order import Order
from hermetic.plan.keys import prefix_key, pyc_tree_key
from hermetic.realize.pyc import KIND, Source, interpreter, pyc_trees
from hermetic.realize.source_build import python_alone
from hermetic.realize.trees import Tree, find_tree

RUNNER = "python"


def compiled(order: Order, groups: Sequence[Sequence[Source]]) -> list[Tree]:
    """Give one tree of pyc files for each group of sources. Raises BuildError if the interpreter fails."""
    package = order.lock.python()
    assert package
    keys = [pyc_tree_key(package, [(source.path, source.sha256) for source in group]) for group in groups]
    found = [find_tree(order.store, KIND, key) for key in keys]
    missing = [group for group, tree in zip(groups, found, strict=True) if tree is None]
    if missing:
        python = interpreter(package, runner(order))
        made = iter(pyc_trees(order.store, python, missing, jobs=order.jobs, reporter=order.reporter))
        return [tree or next(made) for tree in found]
    return [tree for tree in found if tree]


def runner(order: Order) -> Path:
    """Give the lock's Python, in a folder of the store with no more than it needs to run; made if need be."""
    lock = python_alone(order.lock)
    executable = prefix_layout(lock).executable
    key = prefix_key(lock, "", "skip")
    place = order.store.tree_path(RUNNER, key)
    if not order.store.has_tree(RUNNER, key):
        alone = replace(order, lock=lock, prefix=place / "env", link_scripts="skip")
        with order.store.new_tree(RUNNER, key) as folder:
            (folder / "env").mkdir()
            make(alone, obtain(alone), folder / "env")
    return place / "env" / executable
