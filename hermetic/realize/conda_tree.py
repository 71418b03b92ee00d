"""Conda archives, unpacked once per digest by py-rattler into trees of the store.

The bytes are those that the store checked; the archive is inspected before anything unpacks it. The listing's
``about`` keeps what a build asks of a package: its link scripts, and the distributions that its metadata names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import IntegrityError
from hermetic.lock.model import CondaPackage
from hermetic.plan.conda_files import read_contents
from hermetic.plan.keys import conda_tree_key
from hermetic.realize.faults import machine_fault, words
from hermetic.realize.trees import Tree, make_tree

if TYPE_CHECKING:
    from hermetic.store import Store

KIND = "conda"
_OTHER_BUILD = "the channel serves a damaged archive: lock another build of the package, or tell the channel"


def conda_tree(store: Store, package: CondaPackage) -> Tree:
    """Give a conda package's tree, unpacked first if need be. Raises IntegrityError for an archive that is no package.

    The archive itself must be in the store.
    """

    def fill(folder: Path) -> dict[str, Any]:
        _unpack(store, package, folder)
        return _about(package, folder)

    tree = make_tree(store, KIND, conda_tree_key(package), fill)
    stated = tuple(tree.listing.about["package"])
    if stated != (package.name, package.version, package.build):
        raise IntegrityError(
            f"{package.file_name} says that it is {' '.join(stated)}, the lock says "
            f"{package.name} {package.version} {package.build}",
            remedy="the channel serves a wrong archive under this name: lock again",
        )
    return tree


def _unpack(store: Store, package: CondaPackage, folder: Path) -> None:
    from hermetic.store.archive import inspect

    blob = store.blob_path(package.sha256)
    with store.staging() as staging:
        named = staging / package.file_name  # py-rattler goes by the name's ending
        named.symlink_to(blob)
        inspect(named)
        from rattler.package_streaming import extract

        try:
            digest, _ = extract(named, folder)
        except Exception as error:  # noqa: BLE001  py-rattler's errors have no common base
            _explain(package, error)
    if digest.hex() != package.sha256:
        raise IntegrityError(f"{package.file_name} changed while it was unpacked")


def _explain(package: CondaPackage, error: Exception) -> None:
    if fault := machine_fault(error, f"cannot unpack {package.file_name}"):
        raise fault from error
    raise IntegrityError(
        f"{package.file_name} is no conda package that can be unpacked: {words(error)}",
        remedy=_OTHER_BUILD,
    ) from error


def _about(package: CondaPackage, folder: Path) -> dict[str, Any]:
    info = folder / "info"

    def read(name: str) -> bytes | None:
        path = info / name
        return path.read_bytes() if path.is_file() else None

    try:
        index = json.loads((info / "index.json").read_bytes())
        stated = [index["name"], str(index["version"]), str(index["build"])]
        contents = read_contents(read)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{package.file_name} is no complete conda package: {_words(error)}", remedy=_OTHER_BUILD
        ) from None
    present = {
        path.relative_to(folder).as_posix(): path.is_symlink()
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir()) and not path.is_relative_to(info)
    }
    lacking = sorted(path for path in set(contents.paths) - present.keys() if not (folder / path).is_dir())
    if lacking:
        raise IntegrityError(
            f"{package.file_name} lacks {len(lacking)} of the files that it lists, {lacking[0]} for one",
            remedy=_OTHER_BUILD,
        )
    stated_links = contents.links if contents.links is not None else {path for path, link in present.items() if link}
    if hollow := sorted(path for path in stated_links if not present.get(path, True)):
        raise IntegrityError(
            f"{package.file_name} holds a file where it says that there is a link: {hollow[0]}", remedy=_OTHER_BUILD
        )
    listed = frozenset(contents.paths)
    mistyped = any(link and path not in stated_links for path, link in present.items() if path in listed)
    return {"package": stated, "mistyped": mistyped, **contents.to_dict(frozenset(present))}


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it has no info/index.json"
    if isinstance(error, KeyError):
        return f"its info lacks {error.args[0]!r}"
    return words(error)
