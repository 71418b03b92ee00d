"""Wheels, unpacked once per digest into trees of the store (PyPA binary distribution format).

A tree holds a wheel as it is, RECORD checked; where its files go depends on the prefix.
"""

from __future__ import annotations

import configparser
import csv
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.errors import IntegrityError
from hermetic.lock.model import Wheel
from hermetic.plan.conda_files import check_name
from hermetic.plan.files import FILE, FileEntry, Listing
from hermetic.plan.keys import wheel_tree_key
from hermetic.realize.faults import words
from hermetic.realize.trees import Tree, make_tree

if TYPE_CHECKING:
    from hermetic.store import Store

KIND = "wheel"
SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")


def wheel_tree(store: Store, wheel: Wheel) -> Tree:
    """Give a wheel's tree, unpacked first if need be. Raises IntegrityError for a file that is no sound wheel.

    The wheel itself must be in the store. The listing's ``about`` has the name of its metadata folder
    (``dist_info``), the scheme of its root (``root``), and its ``scripts``: [name, module, attribute, section].
    """
    from hermetic.store.archive import unpack

    def fill(folder: Path) -> Listing:
        listing = unpack(store.sound_blob(wheel.sha256, wheel.file_name), folder, label=wheel.file_name)
        files = {entry.path: entry for entry in listing.entries if entry.kind == FILE}
        try:
            return Listing(listing.entries, _about(wheel, folder, files))
        except (ValueError, AssertionError, KeyError, csv.Error) as error:
            raise IntegrityError(
                f"{wheel.file_name} is no sound wheel: {words(error) or type(error).__name__}",
                remedy=f"choose another version of {wheel.name}, or tell its makers",
            ) from None

    return make_tree(store, KIND, wheel_tree_key(wheel), fill)


def _about(wheel: Wheel, folder: Path, files: Mapping[str, FileEntry]) -> dict[str, Any]:
    from installer.utils import parse_entrypoints, parse_metadata_file

    dist_info = _dist_info(wheel, files)
    metadata = parse_metadata_file((folder / dist_info / "WHEEL").read_text("utf-8"))
    version = metadata.get("Wheel-Version", "")
    if not version.startswith("1."):
        raise ValueError(f"it has version {version or 'none'} of the format, and only 1 is known")
    _check_record(folder / dist_info / "RECORD", files)
    data = dist_info.removesuffix(".dist-info") + ".data/"
    for path in files:
        if path.startswith(data) and path.removeprefix(data).partition("/")[0] not in SCHEMES:
            raise ValueError(f"it has files for nowhere: {path}")
    scripts = []
    if f"{dist_info}/entry_points.txt" in files:
        try:
            scripts = [list(s) for s in parse_entrypoints((folder / dist_info / "entry_points.txt").read_text("utf-8"))]
        except (AssertionError, configparser.Error) as error:
            raise ValueError(f"its entry_points.txt cannot be understood: {words(error)}") from None
        for script in scripts:
            check_name(script[0])
    root = "purelib" if metadata.get("Root-Is-Purelib", "").lower() == "true" else "platlib"
    return {"dist_info": dist_info, "root": root, "scripts": sorted(scripts)}


def _dist_info(wheel: Wheel, files: Mapping[str, FileEntry]) -> str:
    found = sorted({path.split("/")[0] for path in files if re.match(r"[^/]+\.dist-info/", path)})
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} metadata folders: {', '.join(found) or 'none'}")
    named = re.sub(r"[-_.]+", "-", found[0].removesuffix(".dist-info").rpartition("-")[0]).lower()
    if named != re.sub(r"[-_.]+", "-", wheel.file_name.split("-")[0]).lower():
        raise ValueError(f"its metadata is that of another project: {found[0]}")
    for name in ("WHEEL", "METADATA", "RECORD"):
        if f"{found[0]}/{name}" not in files:
            raise ValueError(f"it has no {found[0]}/{name}")
    return found[0]


def _check_record(record: Path, files: Mapping[str, FileEntry]) -> None:
    """Raise ValueError if RECORD gives another digest of a file. One that it leaves out is in the lock's digest too."""
    with record.open(encoding="utf-8", newline="") as file:
        stated = {row[0]: row[1] for row in csv.reader(file) if len(row) >= 2}
    for path, entry in files.items():
        algorithm, _, digest = stated.get(path, "").partition("=")
        if algorithm == "sha256" and digest.rstrip("=") != record_digest(entry.sha256):
            raise ValueError(f"its RECORD gives another digest for {path}")


def record_digest(sha256: str) -> str:
    """Give a digest as RECORD writes it."""
    return urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()
