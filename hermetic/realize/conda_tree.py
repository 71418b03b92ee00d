"""Conda archives, unpacked once per digest into trees of the store.

The bytes are those that the store checked, and the store's unpacking lets nothing out of its folder. What py-rattler
links later is such a tree. The listing's ``about`` keeps what a build asks of a package: which files are linked,
where they hold a prefix, its link scripts, and the Python projects whose metadata it carries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import IntegrityError
from hermetic.lock.model import CondaPackage
from hermetic.plan.conda_files import CondaContents, read_contents
from hermetic.plan.files import FOLDER, LINK, FileEntry, Listing
from hermetic.plan.keys import conda_tree_key
from hermetic.realize.faults import words
from hermetic.realize.trees import Tree, make_tree

if TYPE_CHECKING:
    from hermetic.store import Store

KIND = "conda"
_OTHER_BUILD = "the channel serves a damaged archive: lock another build of the package, or tell the channel"


def conda_tree(store: Store, package: CondaPackage) -> Tree:
    """Give a conda package's tree, unpacked first if need be. Raises IntegrityError for an archive that is no package.

    The archive itself must be in the store.
    """
    from hermetic.store.archive import unpack

    def fill(folder: Path) -> Listing:
        listing = unpack(
            store.sound_blob(package.sha256, package.file_name), folder, label=package.file_name, strict=False
        )
        return Listing(listing.entries, _about(package, folder, {entry.path: entry for entry in listing.entries}))

    tree = make_tree(store, KIND, conda_tree_key(package), fill)
    stated = tree.listing.about["package"]
    if stated != [package.name, package.version, package.build]:
        raise IntegrityError(
            f"{package.file_name} says that it is {' '.join(stated)}, the lock says "
            f"{package.name} {package.version} {package.build}",
            remedy="the channel serves a wrong archive under this name: lock again",
        )
    return tree


def _about(package: CondaPackage, folder: Path, entries: Mapping[str, FileEntry]) -> dict[str, Any]:
    def read(name: str) -> bytes | None:
        entry = entries.get(f"info/{name}")
        return (folder / "info" / name).read_bytes() if entry and entry.kind != FOLDER else None

    try:
        index = json.loads(read("index.json") or b"")
        stated = [index["name"], str(index["version"]), str(index["build"])]
        contents = read_contents(read)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{package.file_name} is no whole conda package: {_reason(error, entries)}", remedy=_OTHER_BUILD
        ) from None
    lacking = sorted(path for path in contents.paths if path not in entries)
    if lacking:
        raise IntegrityError(
            f"{package.file_name} lacks {len(lacking)} of the files that it lists, {lacking[0]} for one",
            remedy=_OTHER_BUILD,
        )
    present = {path for path, entry in entries.items() if entry.kind != FOLDER and not path.startswith("info/")}
    return {"package": stated, "mistyped": _mistyped(package, contents, entries), **contents.to_dict(present)}


def _reason(error: Exception, entries: Mapping[str, FileEntry]) -> str:
    if "info/index.json" not in entries:
        return "it has no info/index.json"
    if isinstance(error, KeyError):
        return f"its info lacks {error.args[0]!r}"
    if isinstance(error, ValueError):
        return words(error)
    return "its info is not what the format says"


def _mistyped(package: CondaPackage, contents: CondaContents, entries: Mapping[str, FileEntry]) -> bool:
    """Tell whether an archive has links that it calls files. Raises IntegrityError where it is the other way round."""
    if contents.links is None:
        return False
    for path in sorted(contents.links):
        if entries[path].kind != LINK:
            raise IntegrityError(
                f"{package.file_name} holds a file where it says that there is a link: {path}", remedy=_OTHER_BUILD
            )
    return any(entries[path].kind == LINK and path not in contents.links for path in contents.paths)
