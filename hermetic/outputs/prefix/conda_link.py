"""Conda packages linked into a staging folder by py-rattler, from the store's trees.

py-rattler finds every package in its cache: a folder of symbolic links to the trees, made for one build, with
the lock files that say which digest each holds. So it fetches, unpacks and trusts nothing by itself. A package
that loses paths to another is shown to it without them: its own way out of such clashes depends on threads.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import BuildError, UsageError
from hermetic.lock.model import CondaPackage
from hermetic.outputs.prefix.conda_files import CondaFile
from hermetic.outputs.prefix.order import Order
from hermetic.plan.files import LINK
from hermetic.realize.faults import machine_fault, words
from hermetic.realize.trees import Tree

if TYPE_CHECKING:
    from rattler import RepoDataRecord

_REVISION = 1  # of a cache entry, as py-rattler counts them


def link_order(packages: Sequence[CondaPackage]) -> list[CondaPackage]:
    """Give packages in the order in which py-rattler links them: what depends on another comes after it."""
    from rattler import PackageRecord

    by_name = {package.name: package for package in packages}
    ordered = PackageRecord.sort_topologically([_record(package) for package in packages])
    return [by_name[record.name.source] for record in ordered]


def link_conda(
    order: Order,
    packages: Sequence[CondaPackage],
    trees: Mapping[str, Tree],
    files: Mapping[str, Mapping[str, CondaFile]],
    dropped: Mapping[str, Collection[str]],
    *,
    staging: Path,
    cache: Path,
    hard_links: bool,
) -> None:
    """Link packages into ``staging`` so that their files hold the order's prefix. Link scripts are not run.

    ``trees`` maps a package's sha256 to its tree, ``files`` and ``dropped`` its name to its files and to the paths
    among them that are left out; ``cache`` is an empty folder to work in.
    """
    for package in packages:
        tree = trees[package.sha256]
        folder = tree.files
        if dropped[package.name] or tree.listing.about["mistyped"]:
            folder = cache / f".view-{package.sha256}"
            _make_view(folder, tree, files[package.name], dropped[package.name])
        stem = package.file_name.removesuffix(".conda").removesuffix(".tar.bz2")
        for name in {stem, f"{package.name}-{package.version}-{package.build}"}:
            (cache / name).symlink_to(folder)
            (cache / f"{name}.lock").write_bytes(struct.pack(">Q", _REVISION) + bytes.fromhex(package.sha256))
    try:
        with ThreadPoolExecutor(1) as pool:  # the caller may have an event loop of its own, as notebooks do
            pool.submit(asyncio.run, _install(order, packages, staging, cache, hard_links=hard_links)).result()
    except Exception as error:  # noqa: BLE001  py-rattler's errors have no common base
        _explain(error, order)


async def _install(
    order: Order, packages: Sequence[CondaPackage], staging: Path, cache: Path, *, hard_links: bool
) -> None:
    from rattler import Config, Subdir, install
    from rattler.package_cache import PackageCache, ValidationMode

    config = Config()
    config.set("allow-hard-links", "true" if hard_links else "false")
    await install(
        [_record(package) for package in packages],
        staging,
        package_cache=PackageCache.new_layered([cache], validation_mode=ValidationMode.skip()),
        platform=Subdir(order.lock.platform),
        installed_packages=[],
        execute_link_scripts=False,
        show_progress=False,
        alternative_target_prefix=order.prefix,
        config=config,
    )


def _record(package: CondaPackage) -> RepoDataRecord:
    from rattler import BuildString, NoArchType, PackageRecord, RepoDataRecord

    record = PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        noarch=NoArchType(package.noarch or None),  # type: ignore[arg-type, unused-ignore]  # "python", "generic", none
        depends=list(package.depends),
        sha256=bytes.fromhex(package.sha256),
        size=package.size,
        python_site_packages_path=package.python_site_packages_path or None,
    )
    # The address is never used: everything is in the cache.
    url = f"https://example.org/{package.subdir}/{package.file_name}"
    return RepoDataRecord(record, package.file_name, url, "https://example.org")


def _make_view(view: Path, tree: Tree, files: Mapping[str, CondaFile], dropped: Collection[str]) -> None:
    """Make a folder that shows a package without some of its paths, and its links as what they are."""
    view.mkdir()
    for item in tree.files.iterdir():
        if item.name != "info":
            (view / item.name).symlink_to(item)
    (view / "info").mkdir()
    for item in (tree.files / "info").iterdir():
        if item.name not in ("paths.json", "link.json"):
            (view / "info" / item.name).symlink_to(item)
    kept = [file for path, file in files.items() if path not in dropped]
    paths = [_path(file) for file in kept if file.source]
    (view / "info" / "paths.json").write_text(json.dumps({"paths": paths, "paths_version": 1}))
    link = tree.files / "info" / "link.json"
    if link.is_file():
        document = json.loads(link.read_bytes())
        if document.get("noarch"):
            points = sorted({file.entry_point for file in kept if file.entry_point})
            document["noarch"]["entry_points"] = points
        (view / "info" / "link.json").write_text(json.dumps(document))


def _path(file: CondaFile) -> dict[str, Any]:
    entry = file.entry
    path: dict[str, Any] = {"_path": file.source, "path_type": "softlink" if entry.kind == LINK else "hardlink"}
    if entry.kind != LINK:
        path |= {"sha256": entry.sha256, "size_in_bytes": entry.size}
    if file.placeholder:
        path |= {"prefix_placeholder": file.placeholder, "file_mode": file.mode}
    return path


def _explain(error: Exception, order: Order) -> None:
    prefix = order.prefix
    if fault := machine_fault(error, f"cannot build {prefix}", (order.store.root, prefix.parent)):
        raise fault from error
    text = words(error)
    if "placeholder" in text.lower() or "too long" in text.lower():
        raise UsageError(
            f"cannot build {prefix}: its path is longer than a package leaves room for: {text}",
            remedy="choose a shorter folder with --prefix",
        ) from error
    if "codesign" in text:
        raise BuildError(
            f"cannot build {prefix}: programs for macOS that hold the prefix have to be signed anew",
            remedy="build it on macOS",
        ) from error
    raise BuildError(f"cannot link the conda packages into {prefix}: {text}") from error
