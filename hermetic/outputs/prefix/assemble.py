"""Assemble an environment in a staging folder: conda packages, their scripts, wheels, pyc files, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hermetic.digest import sha256_file
from hermetic.errors import BuildError
from hermetic.events import task
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.checks import check_files, check_projects, check_python, link_scripts, refuse_scripts
from hermetic.outputs.prefix.conda_files import CondaFile, conda_files, stale_pyc
from hermetic.outputs.prefix.conda_link import link_conda, link_order
from hermetic.outputs.prefix.conda_meta import write_conda_meta
from hermetic.outputs.prefix.layout import PrefixLayout, prefix_layout
from hermetic.outputs.prefix.links import Linker
from hermetic.outputs.prefix.order import Order
from hermetic.outputs.prefix.wheel_link import Placed, link_placed, place_wheel, record
from hermetic.plan.files import FILE, FileEntry
from hermetic.platforms import current_platform
from hermetic.realize.pyc import Source, interpreter, pyc_trees
from hermetic.realize.trees import Tree


@dataclass
class Assembly:
    """What was assembled. ``installed`` gives what is known of each path, so that it need not be read again."""

    installed: dict[str, FileEntry] = field(default_factory=dict)
    prefixed: set[str] = field(default_factory=set)
    """Paths of files whose bytes hold the prefix."""
    removed: set[str] = field(default_factory=set)
    """Paths of files that a link script has removed."""
    warnings: list[str] = field(default_factory=list)


def assemble(order: Order, trees: Mapping[str, Tree], staging: Path) -> Assembly:
    """Put everything of an environment into ``staging``, as it has to be at the order's prefix."""
    lock, layout, made = order.lock, prefix_layout(order.lock), Assembly()
    linker = Linker(order.store.root, staging, order.link_mode)
    check_python(lock)
    check_projects(lock, trees)
    scripts = link_scripts(lock, trees)
    if order.link_scripts == "refuse":
        refuse_scripts(scripts)
    packages = link_order(lock.conda)
    files = {package.name: conda_files(package, trees[package.sha256], layout) for package in packages}
    wheels = {w.name: place_wheel(w, trees[w.sha256], layout, order.prefix) for w in lock.wheels}
    compiles = _compiles(lock, layout, files)
    found, warnings = check_files(list(files.items()), wheels)
    made.warnings += warnings
    dropped = {name: set(found.lost.get(name, ())) for name in files}
    if compiles:
        for name, of in files.items():
            dropped[name] |= stale_pyc(of, layout)
    with task(order.reporter, "link", "linking", len(lock.conda), "packages"), order.store.staging() as scratch:
        # A link script may write to what it finds, so then nothing is shared with the store.
        link_conda(
            order,
            packages,
            trees,
            files,
            dropped,
            staging=staging,
            cache=scratch,
            hard_links=linker.hard and not scripts,
        )
    kept = {name: [f for path, f in of.items() if path not in dropped[name]] for name, of in files.items()}
    for name, owned in kept.items():
        _note(name, owned, staging, made)
    if scripts:
        from hermetic.outputs.prefix.link_scripts import run_link_scripts

        run_link_scripts(order, scripts, packages, staging, made)
        kept = {name: [f for f in of if f.entry.path not in made.removed] for name, of in kept.items()}
    for wheel in lock.wheels:
        lost = found.lost.get(f"wheel {wheel.name}", ())
        mine = [placed for placed in wheels[wheel.name] if placed.entry.path not in lost]
        _link(mine, staging, made, linker)
    owned_paths = {name: [file.entry.path for file in owned] for name, owned in kept.items()}
    for name, placed in wheels.items():
        lost = found.lost.get(f"wheel {name}", ())
        owned_paths[f"wheel {name}"] = [p.entry.path for p in placed if p.entry.path not in lost]
    compiled = _compile(order, owned_paths, staging, made, layout=layout, linker=linker) if compiles else {}
    for wheel in lock.wheels:
        pyc = compiled.get(f"wheel {wheel.name}", ())
        _link([record(trees[wheel.sha256], layout, wheels[wheel.name], pyc)], staging, made, linker)
    write_conda_meta(staging, lock, files=kept, compiled=compiled)
    return made


def _compiles(lock: PlatformLock, layout: PrefixLayout, files: Mapping[str, Mapping[str, CondaFile]]) -> bool:
    """Tell whether the environment has a Python that makes pyc files, and this machine can run it."""
    here = lock.platform == current_platform()
    return here and bool(layout.pyc_tag) and any(layout.executable in owned for owned in files.values())


def _link(placed: Sequence[Placed], staging: Path, made: Assembly, linker: Linker) -> None:
    link_placed(placed, staging, linker)
    made.installed.update((file.entry.path, file.entry) for file in placed)


def _note(name: str, files: Iterable[CondaFile], staging: Path, made: Assembly) -> None:
    """Note what a linked conda package put in the prefix; only files that hold the prefix are read for it."""
    for file in files:
        entry = file.entry
        if not file.as_shipped:
            path = staging / entry.path
            try:
                entry = replace(entry, sha256=sha256_file(path), size=path.stat().st_size)
            except FileNotFoundError:
                raise BuildError(f"py-rattler did not link {entry.path} of {name}") from None
            made.prefixed.add(entry.path)
        made.installed[entry.path] = entry


def _compile(
    order: Order,
    owned: Mapping[str, Sequence[str]],
    staging: Path,
    made: Assembly,
    *,
    layout: PrefixLayout,
    linker: Linker,
) -> dict[str, list[FileEntry]]:
    """Compile every package's modules, link the pyc files, and give each package's pyc entries.

    Modules that hold the prefix are a group of their own: they are few, and all others serve every prefix.
    """
    package = order.lock.python()
    assert package
    python = interpreter(package, staging / layout.executable)
    groups: dict[tuple[str, bool], list[Source]] = {}
    for owner, paths in owned.items():
        for path in paths:
            if path.endswith(".py") and path.startswith(f"{layout.library}/"):
                entry = made.installed[path]
                groups.setdefault((owner, path in made.prefixed), []).append(
                    Source(path, entry.sha256, f"{staging}/{path}")
                )
    trees = pyc_trees(order.store, python, list(groups.values()), jobs=order.jobs, reporter=order.reporter)
    compiled: dict[str, list[FileEntry]] = {}
    for (owner, _), tree in zip(groups, trees, strict=True):
        for entry in tree.listing.entries:
            if entry.kind == FILE:
                linker.link(f"{tree.files}/{entry.path}", f"{staging}/{entry.path}", executable=False)
                made.installed[entry.path] = entry
                compiled.setdefault(owner, []).append(entry)
    return compiled
