"""What packages put into an image, before any byte of it is written.

``Contents`` is what has to be known of every package for an image: it is kept in the store, so that an image of cached
fragments needs no unpacked archive. ``Item`` is a file on its way into a fragment, with where its bytes come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from hermetic.digest import sha256_bytes
from hermetic.errors import BuildError
from hermetic.lock.model import CondaPackage, Wheel
from hermetic.outputs.oci.model import PREFIX
from hermetic.outputs.oci.replacing import entry_point_script, pieces
from hermetic.outputs.prefix.checks import placed_content
from hermetic.outputs.prefix.conda_files import CondaFile, conda_files
from hermetic.outputs.prefix.layout import PrefixLayout
from hermetic.outputs.prefix.wheel_link import Placed, place_wheel
from hermetic.plan.files import FileEntry
from hermetic.realize.trees import Tree

Package = CondaPackage | Wheel
ENV_VARS, ACTIVATE = "etc/conda/env_vars.d", "etc/conda/activate.d"


@dataclass(frozen=True)
class Contents:
    """What is known of a package without its archive.

    ``files`` gives, by path, what packages that own one path are compared by. ``modules`` tells whether there is
    something to compile. ``variables`` are its files of environment variables, by path, and ``activation`` the paths
    of its activation scripts. ``scripts`` and ``distributions`` are as a conda archive's listing has them.
    """

    files: Mapping[str, str]
    modules: bool = False
    variables: Mapping[str, Mapping[str, str]] | None = None
    activation: Sequence[str] = ()
    scripts: Sequence[str] = ()
    distributions: Sequence[str] = ()

    def to_bytes(self) -> bytes:
        """Give the contents as the store keeps them."""
        return json.dumps(vars(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Contents:
        """Read what ``to_bytes`` gives."""
        return cls(**json.loads(data))


@dataclass(frozen=True, slots=True)
class Item:
    """A file, link or folder of a fragment: bytes of a file, made bytes, or a file that holds the build's prefix."""

    entry: FileEntry
    file: str = ""
    data: bytes = b""
    placeholder: str = ""
    mode: str = ""

    def pieces(self) -> Iterator[bytes]:
        """Give the bytes of an item that is no plain file."""
        if self.placeholder:
            return pieces(self.file, self.placeholder, PREFIX, self.mode)
        return iter((self.data,))


def owner(package: Package) -> str:
    """Give a package's name among the owners of paths (see ``check_claims``)."""
    return f"wheel {package.name}" if isinstance(package, Wheel) else package.name


def layer_name(package: Package) -> str:
    """Give a package's name in a layer plan (see ``PlannedLayer``)."""
    return f"pip:{package.name}" if isinstance(package, Wheel) else package.name


def layout_words(layout: PrefixLayout) -> list[str]:
    """Give a layout as keys have it."""
    return list(astuple(layout))


def placed_files(wheel: Wheel, tree: Tree, layout: PrefixLayout) -> list[Placed]:
    """Give what a wheel puts into an image, without its RECORD."""
    return place_wheel(wheel, tree, layout, Path(PREFIX))


def look(package: Package, tree: Tree, layout: PrefixLayout) -> Contents:
    """Look at an unpacked package."""
    if isinstance(package, Wheel):
        placed = placed_files(package, tree, layout)
        contents: dict[str, Hashable] = {file.entry.path: placed_content(file) for file in placed}
        sources = {file.entry.path: file.file for file in placed if file.file}
        about: Mapping[str, Any] = {"link_scripts": [], "distributions": []}
    else:
        files = conda_files(package, tree, layout)
        contents = {path: file.content for path, file in files.items()}
        sources = {path: f"{tree.files}/{file.source}" for path, file in files.items() if file.source}
        about = tree.listing.about
    library = f"{layout.library}/" if layout.library else "\0"
    return Contents(
        {path: hashlib.sha256(repr(content).encode()).hexdigest()[:16] for path, content in contents.items()},
        modules=any(path.endswith(".py") and path.startswith(library) for path in contents),
        variables={path: _variables(sources[path]) for path in contents if _is_in(path, ENV_VARS, ".json")},
        activation=sorted(path for path in contents if _is_in(path, ACTIVATE, ".sh")),
        scripts=about["link_scripts"],
        distributions=about["distributions"],
    )


def conda_item(file: CondaFile, tree: Tree, layout: PrefixLayout) -> Item:
    """Give a conda package's file as it is in the image. Its digest is that of what the image holds."""
    if file.entry_point:
        data = entry_point_script(file.entry_point, f"{PREFIX}/{layout.executable}")
        return Item(replace(file.entry, sha256=sha256_bytes(data), size=len(data)), data=data)
    source = f"{tree.files}/{file.source}"
    if not file.placeholder:
        return Item(file.entry, source)
    hasher, size = hashlib.sha256(), 0
    for piece in pieces(source, file.placeholder, PREFIX, file.mode):
        hasher.update(piece)
        size += len(piece)
    entry = replace(file.entry, sha256=hasher.hexdigest(), size=size)
    return Item(entry, source, placeholder=file.placeholder, mode=file.mode)


def _is_in(path: str, folder: str, end: str) -> bool:
    return path.startswith(folder) and path.endswith(end) and str(PurePosixPath(path).parent) == folder


def _variables(source: str) -> dict[str, str]:
    try:
        values = json.loads(Path(source).read_bytes())
        return {str(name): str(value) for name, value in values.items()}
    except (OSError, ValueError, AttributeError):
        raise BuildError(
            f"{Path(source).name}, a package's file of environment variables, cannot be read",
            remedy="lock another build of the package, or tell its makers",
        ) from None
