"""Assemble an environment in a staging folder: conda packages, then wheels, then pyc files, then what describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import sha256_file
from hermetic.events import Reporter, task
from hermetic.lock.model import PlatformLock
from hermetic.outputs.prefix.conda_link import link_conda
from hermetic.outputs.prefix.conda_meta import write_conda_meta
from hermetic.outputs.prefix.layout import PrefixLayout, prefix_layout
from hermetic.outputs.prefix.links import Linker
from hermetic.outputs.prefix.wheel_link import link_placed, place_wheel, record
from hermetic.plan.files import FILE, FileEntry
from hermetic.realize.pyc import Interpreter, Source, interpreter, pyc_path, pyc_trees
from hermetic.realize.trees import Tree

if TYPE_CHECKING:
    from hermetic.store import Store


@dataclass
class Assembly:
    """What was assembled: what is known of each path, so that it need not be read again, and what to warn of."""

    known: dict[str, FileEntry] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def assemble(
    lock: PlatformLock,
    trees: Mapping[str, Tree],
    staging: Path,
    prefix: Path,
    *,
    store: Store,
    linker: Linker,
    reporter: Reporter,
    link_scripts: str,
    jobs: int | None,
) -> Assembly:
    """Put everything of an environment into ``staging``, as it has to be at ``prefix``."""
    layout = prefix_layout(lock)
    made = Assembly()
    with task(reporter, "link", "linking"), store.staging() as scratch:
        link_conda(
            lock.conda, {p.sha256: trees[p.sha256].files for p in lock.conda}, staging, prefix,
            cache=scratch, platform=lock.platform, hard_links=linker.hard,
        )  # fmt: skip
    owned = _conda_files(lock, trees, layout, staging, made)
    placed = {w.name: place_wheel(w, trees[w.sha256], layout, prefix) for w in lock.wheels}
    for files in placed.values():
        link_placed(files, staging, linker)
        made.known.update((file.entry.path, file.entry) for file in files)
    owned |= {f"wheel:{name}": [file.entry.path for file in files] for name, files in placed.items()}
    with task(reporter, "compile", "compiling modules"):
        compiled = _compile(lock, owned, staging, layout, made, store=store, linker=linker, jobs=jobs)
    for wheel in lock.wheels:
        last = record(trees[wheel.sha256], layout, placed[wheel.name], compiled.get(f"wheel:{wheel.name}", ()))
        link_placed([last], staging, linker)
        made.known[last.entry.path] = last.entry
    write_conda_meta(staging, lock, digest=made.known.get, compiled=compiled)
    return made


def _conda_files(
    lock: PlatformLock, trees: Mapping[str, Tree], layout: PrefixLayout, staging: Path, made: Assembly
) -> dict[str, list[str]]:
    """Give each conda package's paths in the prefix, and note the digests of those that are as in the archive."""
    owned: dict[str, list[str]] = {}
    for package in lock.conda:
        path = staging / "conda-meta" / f"{package.name}-{package.version}-{package.build}.json"
        paths: list[dict[str, Any]] = json.loads(path.read_bytes())["paths_data"]["paths"]
        noarch = package.noarch == "python"
        known = {
            layout.place(entry.path, noarch_python=noarch): entry
            for entry in trees[package.sha256].listing.entries
            if entry.kind == FILE
        }
        owned[package.name] = [item["_path"] for item in paths]
        for item in paths:
            entry = known.get(item["_path"])
            if entry and not item.get("prefix_placeholder") and item["path_type"] == "hardlink":
                made.known[item["_path"]] = FileEntry(item["_path"], FILE, entry.sha256, entry.size, entry.executable)
    return owned


def _compile(
    lock: PlatformLock,
    owned: Mapping[str, list[str]],
    staging: Path,
    layout: PrefixLayout,
    made: Assembly,
    *,
    store: Store,
    linker: Linker,
    jobs: int | None,
) -> dict[str, list[FileEntry]]:
    """Compile every package's modules, link the pyc files, and give each package's pyc entries."""
    package = lock.python()
    python = interpreter(package, staging / layout.executable) if package else None
    if python is None:
        return {}
    groups = {owner: _sources(paths, staging, layout, made) for owner, paths in owned.items()}
    groups = {owner: sources for owner, sources in groups.items() if sources}
    found = pyc_trees(store, python, list(groups.values()), jobs=jobs)
    compiled = {}
    for owner, tree in zip(groups, found, strict=True):
        entries = [entry for entry in tree.listing.entries if entry.kind == FILE]
        for entry in entries:
            target = staging / entry.path
            target.unlink(missing_ok=True)
            linker.link(str(tree.files / entry.path), str(target), entry.mode)
            made.known[entry.path] = entry
        compiled[owner] = entries
    return compiled


def _sources(paths: list[str], staging: Path, layout: PrefixLayout, made: Assembly) -> list[Source]:
    sources = []
    for path in sorted(paths):
        if path.endswith(".py") and path.startswith(f"{layout.library}/"):
            file = staging / path
            entry = made.known.get(path)
            sources.append(Source(path, entry.sha256 if entry else sha256_file(file), file))
    return sources


__all__ = ["Assembly", "Interpreter", "assemble", "pyc_path"]
