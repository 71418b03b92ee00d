"""What an environment's files hold of the prefix: found when it is packed, mended when it is unpacked.

A pack carries those files without any prefix of ours: a conda package's with the placeholder that its archive has, a
script without its first line, and no pyc of a module that holds the prefix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermetic.errors import BuildError
from hermetic.outputs.prefix.conda_files import conda_files
from hermetic.outputs.prefix.layout import PrefixLayout, prefix_layout
from hermetic.outputs.prefix.order import Order
from hermetic.outputs.prefix.state import STATE_FILE
from hermetic.outputs.prefix.wheel_link import place_wheel
from hermetic.plan.files import MTIME
from hermetic.realize.pyc import pyc_path
from hermetic.realize.trees import Tree


@dataclass
class Table:
    """What is to be done when a pack is unpacked, and which bytes it carries in the place of the built ones.

    ``text`` and ``binary`` map paths to placeholders; ``entry_points`` and ``scripts`` are paths that lack their first
    line; ``modules`` maps paths of modules that hold the prefix to those of their pyc files. ``carried`` maps paths to
    the bytes, or the file, that the pack has there.
    """

    text: dict[str, str] = field(default_factory=dict)
    binary: dict[str, str] = field(default_factory=dict)
    entry_points: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    carried: dict[str, bytes | Path] = field(default_factory=dict)

    def to_dict(self, order: Order) -> dict[str, Any]:
        """Give the table as the pack holds it, beside the values of the note that a prefix has of itself."""
        state = dict(order.state()._asdict())
        del state["prefix"]
        return {
            "text": sorted(self.text.items()),
            "binary": sorted(self.binary.items()),
            "entry_points": sorted(self.entry_points),
            "scripts": sorted(self.scripts),
            "modules": sorted(self.modules.items()),
            "interpreter": prefix_layout(order.lock).executable,
            "made": {STATE_FILE: state},
            "time": MTIME,
        }


def find_table(order: Order, trees: Mapping[str, Tree], folder: Path) -> Table:
    """Find what holds the prefix in an environment that was made in ``folder`` by ``order``."""
    layout, table = prefix_layout(order.lock), Table()
    first = f"#!{order.prefix}/{layout.executable}\n".encode()
    for package in order.lock.conda:
        tree = trees[package.sha256]
        files = conda_files(package, tree, layout)
        record = json.loads((folder / f"conda-meta/{package.name}-{package.version}-{package.build}.json").read_bytes())
        compiled = {e["_path"] for e in record["paths_data"]["paths"] if e["path_type"] == "pyc_file"}
        for path in record["files"]:
            file = files.get(path)
            if file is None or file.as_shipped:
                continue
            if file.entry_point:
                table.entry_points.append(path)
                table.carried[path] = _without(folder / path, first)
                continue
            (table.binary if file.mode == "binary" else table.text)[path] = file.placeholder
            table.carried[path] = Path(tree.files) / file.source
            if pyc := _pyc(path, layout) & compiled:
                table.modules[path] = pyc.pop()
    for wheel in order.lock.wheels:
        for placed in place_wheel(wheel, trees[wheel.sha256], layout, order.prefix):
            path = placed.entry.path
            if placed.prefixed and path not in table.scripts and (folder / path).read_bytes() == placed.data:
                table.scripts.append(path)
                table.carried[path] = _without(folder / path, first)
    return table


def _pyc(path: str, layout: PrefixLayout) -> set[str]:
    """Give where the pyc of a file may be; nothing if it can have none."""
    if not layout.pyc_tag or not path.endswith(".py"):
        return set()
    return {pyc_path(path, layout.pyc_tag + abi) for abi in ("", "t")}


def _without(file: Path, first: bytes) -> bytes:
    data = file.read_bytes()
    if not data.startswith(first):
        raise BuildError(f"{file.name} begins with another line than {first.decode().strip()}")
    return data.removeprefix(first)
