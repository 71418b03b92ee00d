"""Wheels that no other tool can fetch, put beside an exported file, which then names them by their paths.

Those are a workspace's own, whose addresses are signed and expire, and those that were built from source here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermetic.config import Config
from hermetic.digest import CHUNK, sha256_file
from hermetic.errors import MachineError, Place, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.files import writing_whole
from hermetic.lock.model import Lock, PlatformLock, Wheel
from hermetic.spec.private_urls import is_private

if TYPE_CHECKING:
    from hermetic.store import Store

BY_PATH = ("requirements", "pylock", "environment", "pixi")
"""The formats that can name a wheel by a path."""


def refuse_private(lock: Lock, platforms: Sequence[str], form: str) -> None:
    """Refuse an export that would name a private wheel by an address that no other tool can ask. Raises UsageError."""
    found = sorted({wheel.name for name in platforms for wheel in lock.platforms[name].wheels if is_private(wheel.url)})
    if not found:
        return
    if form in BY_PATH:
        remedy = "put them beside the file: --wheels FOLDER; or let 'hermetic wheel sign' give addresses for a while"
    else:
        remedy = f"export as {', '.join(BY_PATH)} with --wheels FOLDER; or put them where other tools can fetch them"
    raise UsageError(f"{form} has no address for private wheels: {', '.join(found)}", remedy=remedy)


def with_carried(
    lock: Lock,
    platforms: Sequence[str],
    form: str,
    folder: Path,
    output: Path | None,
    *,
    store: Store,
    config: Config,
    reporter: Reporter = SILENT,
) -> Lock:
    """Put wheels without a public address into a folder; give the lock that names them by relative paths.

    Paths start from the folder of ``output``, else from the working folder. Raises UsageError for a format that knows
    no paths, for two wheels of one file name, and for one that was built elsewhere and not here.
    """
    if form not in BY_PATH:
        raise UsageError(f"{form} names files by URL only", remedy=f"export as {', '.join(BY_PATH)}")
    wheels = {w.sha256: w for name in platforms for w in lock.platforms[name].wheels if _is_carried(w)}
    names: dict[str, Wheel] = {}
    for wheel in wheels.values():
        other = names.setdefault(wheel.file_name, wheel)
        if other.sha256 != wheel.sha256:
            raise UsageError(
                f"two wheels have one file name: {wheel.file_name}", remedy="export each platform by itself: --platform"
            )
    _obtain(list(wheels.values()), store, config, reporter)
    for wheel in wheels.values():
        _place(store.blob_path(wheel.sha256), folder / wheel.file_name, wheel.sha256)
    start = output.absolute().parent if output else Path.cwd()
    relative = Path(os.path.relpath(folder.absolute(), start)).as_posix()
    prefix = relative if relative.startswith("..") else f"./{relative}" if relative != "." else "."
    chosen = {name: _renamed(platform, prefix) for name, platform in lock.platforms.items()}
    return replace(lock, platforms=chosen)


def _is_carried(wheel: Wheel) -> bool:
    return is_private(wheel.url) or (wheel.origin is not None and not wheel.url)


def _renamed(platform: PlatformLock, prefix: str) -> PlatformLock:
    wheels = (
        replace(wheel, url=f"{prefix}/{wheel.file_name}", index="", origin=None) if _is_carried(wheel) else wheel
        for wheel in platform.wheels
    )
    return replace(platform, wheels=tuple(wheels))


def _obtain(wheels: Sequence[Wheel], store: Store, config: Config, reporter: Reporter) -> None:
    from hermetic.store.fetch import fetch
    from hermetic.store.index import wheel_artifact

    private = [wheel for wheel in wheels if is_private(wheel.url)]
    fetch(store, [wheel_artifact(store, config, w) for w in private], reporter=reporter, offline=config.offline)
    for wheel in wheels:
        if not store.has_blob(wheel.sha256):
            raise UsageError(
                f"{wheel.file_name} was built from source, and not in this store", remedy="run 'hermetic build' first"
            )


def _place(blob: Path, target: Path, sha256: str) -> None:
    if target.exists():
        if target.is_file() and sha256_file(target) == sha256:
            return
        raise UsageError("there is another file of that name", place=Place(str(target)), remedy="name another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with blob.open("rb") as source, writing_whole(target, mode=0o644) as file:
            shutil.copyfileobj(source, file, CHUNK)
    except OSError as error:
        raise MachineError(
            f"cannot write: {error.strerror}", place=Place(str(target)), remedy="make room, or check the permissions"
        ) from None
