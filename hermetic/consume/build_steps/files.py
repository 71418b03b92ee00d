"""The files that steps hand to each other: JSON with sorted keys, and blobs beside it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.config import Config
from hermetic.digest import canonical_json
from hermetic.errors import LockFileError, Place, UsageError
from hermetic.lock.file import part_from_dict
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.model import PREFIX
from hermetic.outputs.oci.options import ImageOptions
from hermetic.outputs.prefix.order import Order
from hermetic.store.intake import copy_hashed

if TYPE_CHECKING:
    from hermetic.store import Store


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises UsageError."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read it: {error.strerror}", place=Place(str(path))) from None
    except ValueError:
        raise UsageError("it is not JSON", place=Place(str(path)), remedy="build again what made it") from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file: the same bytes for the same value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical_json(value) + b"\n")


def read_part(path: Path) -> PlatformLock:
    """Read a part of a platform's lock. Raises UsageError with the file."""
    try:
        return part_from_dict(read_json(path))
    except LockFileError as error:
        raise LockFileError(error.message, place=Place(str(path)), remedy=error.remedy) from None


def read_options(path: Path | None) -> ImageOptions:
    """Read how an image is made: the fields of ImageOptions by name. Raises UsageError."""
    if path is None:
        return ImageOptions()
    found = read_json(path)
    unknown = sorted(set(found) - set(ImageOptions.__dataclass_fields__)) if isinstance(found, dict) else ["no object"]
    if unknown:
        raise UsageError(
            f"options of images: {', '.join(unknown)}",
            place=Place(str(path)),
            remedy=f"use: {', '.join(ImageOptions.__dataclass_fields__)}",
        )
    lists = {name: tuple(found[name]) for name in ("entrypoint", "command") if found.get(name) is not None}
    return ImageOptions(**{**found, **lists})


def pairs(texts: list[str]) -> dict[str, Path]:
    """Read ``NAME=FILE`` arguments. Raises UsageError."""
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"{text!r} is no NAME=FILE", remedy="write the package's name, = and its file")
        found[name] = Path(path).absolute()
    return found


@contextmanager
def own_store(beside: Path) -> Iterator[Store]:
    """Give a store that lasts as long as the step, on the disk that its output is on."""
    from hermetic.store import Store

    beside.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".hermetic-", dir=beside.parent, ignore_cleanup_errors=True) as folder:
        yield Store.open(Path(folder) / "store")


def order_for(part: PlatformLock, store: Store, link_scripts: str = "refuse", prefix: str = PREFIX) -> Order:
    """Give the order of a step: offline, so that what was not handed in is an error and never a download."""
    return Order(part, Path(prefix), store, Config(offline=True), offline=True, link_scripts=link_scripts)


def take_archives(part: PlatformLock, archives: Mapping[str, Path], store: Store) -> None:
    """Put archives into the store, each checked against its package in the lock. Raises UsageError, IntegrityError.

    A wheel's name begins with ``pip:``.
    """
    digests = {package.name: package.sha256 for package in part.conda}
    digests |= {f"pip:{wheel.name}": wheel.sha256 for wheel in part.wheels}
    for name, path in archives.items():
        if name not in digests:
            raise UsageError(f"the lock has no package {name!r}", remedy=f"it has: {', '.join(sorted(digests))}")
        if not path.is_file():
            raise UsageError(f"there is no archive of {name}", place=Place(os.fspath(path)))
        store.put_file(path, expected=digests[name])


def copy_out(source: Path, target: Path) -> None:
    """Copy a blob to where a step's output belongs."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    copy_hashed(source, target)


def remove_dangling(folder: Path) -> None:
    """Remove links that lead to nothing, or out of the folder: a build system cannot keep those."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(root)):
            path.unlink()
