"""Show the packages of an environment as a tree, conda packages and wheels together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermetic.cli.ui import UI

EXAMPLES = """\
examples:
  hermetic tree
  hermetic tree train --depth 2 --platform osx-arm64
  hermetic tree --flat                     a list: every package once
  hermetic tree --invert --root openssl    who needs openssl"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", nargs="?", default=None, help="the environment (default: the only one)")
    parser.add_argument("--platform", metavar="P", default=None, help="the platform (default: this machine's)")
    parser.add_argument("--depth", type=int, default=None, metavar="N", help="how deep to go")
    parser.add_argument("--root", metavar="PKG", default=None, help="begin at this package")
    parser.add_argument("--invert", action="store_true", help="show who needs a package, not what it needs")
    parser.add_argument("--flat", action="store_true", help="list all packages by name, instead of a tree")


def run(arguments: argparse.Namespace, ui: UI) -> int:
    """Draw the tree."""
    from hermetic.lock.graph import flat, graph_of, tree
    from hermetic.project.asking import choose_platform, environment_lock
    from hermetic.report.trees import tree_text, tree_value

    _, lock = environment_lock(arguments.project, arguments.name)
    graph = graph_of(lock, choose_platform(lock, arguments.platform))
    if arguments.flat:
        rows = flat(graph)
    else:
        rows = tree(graph, root=arguments.root, invert=arguments.invert, depth=arguments.depth)
    ui.result(tree_text(rows, colour=ui.colour), tree_value(rows), asked=True)
    return 0
