"""Pack an environment into one file: a script that unpacks the archive behind it.

::

    header.sh       checks the archive's digest and the target, unpacks beside the target, runs unpack.py
    archive         a tar, compressed:
      unpack.py       puts the prefix into the files that hold it, and the whole in its place, in one step
      pyc_worker.py   compiles the modules that hold the prefix
      table.json      which files hold it, and how
      env/            the environment, without any prefix

The file is a function of the lock: the same bytes on every machine, whatever the path of the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hermetic.errors import IntegrityError, UsageError
from hermetic.events import SILENT, Reporter, task
from hermetic.files import writing_whole
from hermetic.lock.model import PlatformLock
from hermetic.outputs.oci.compression import BLOCK, Compressor, compressor
from hermetic.outputs.oci.tar import END, header, padding
from hermetic.outputs.pack.table import Table, find_table
from hermetic.outputs.prefix.build import make
from hermetic.outputs.prefix.fetching import obtain
from hermetic.outputs.prefix.layout import prefix_layout
from hermetic.outputs.prefix.manifest import read_manifest
from hermetic.outputs.prefix.order import Order
from hermetic.plan.files import FILE, FOLDER, MTIME, FileEntry
from hermetic.platforms import current_platform
from hermetic.realize import pyc_worker
from hermetic.realize.faults import machine_fault

if TYPE_CHECKING:
    from hermetic.config import Config
    from hermetic.store import Store

COMPRESSIONS = {"gzip": "gzip -dc", "zstd": "zstd -dc", "none": ""}
"""How the archive can be compressed, and the command that unpacks it: the machine has to have that one."""

_MARK = Path("/.hermetic-packed-environment")
"""The prefix that environments are made for when they are packed; no pack holds it."""

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Pack:
    """A pack that was written: the file, its size in bytes, its sha256, and how many files the environment has."""

    file: Path
    size: int
    sha256: str
    files: int


def pack(
    lock: PlatformLock,
    output: Path,
    *,
    name: str,
    store: Store,
    config: Config,
    reporter: Reporter = SILENT,
    offline: bool = False,
    compression: str = "gzip",
    link_scripts: str = "refuse",
    addresses: Mapping[str, str] | None = None,
    jobs: int | None = None,
) -> Pack:
    """Pack the environment of a lock into a file that is replaced in one step.

    ``name`` is what the pack calls itself. ``link_scripts`` is ``refuse`` or ``skip``: what scripts write may hold the
    prefix in ways that nobody knows. Raises UsageError for another machine's platform, and what ``build_prefix`` does.
    """
    _check(lock, output, compression, link_scripts)
    order = Order(lock, _MARK, store, config, reporter, offline, link_scripts, "auto", addresses or {}, jobs)
    try:
        with writing_whole(output, mode=0o755) as file, store.staging() as scratch:
            folder = scratch / "env"
            folder.mkdir()
            trees = obtain(order)
            digest, _ = make(order, trees, folder)
            entries = read_manifest(store.blob_path(digest).read_bytes())
            table = find_table(order, trees, folder)
            size, whole = _write(file, order, entries, table, folder, name=name, compression=compression)
    except OSError as error:
        if fault := machine_fault(error, f"cannot pack {output}", (store.root, output.absolute().parent)):
            raise fault from error
        raise
    return Pack(output, size, whole, sum(entry.kind == FILE for entry in entries))


def _check(lock: PlatformLock, output: Path, compression: str, link_scripts: str) -> None:
    if output.is_dir():
        raise UsageError(f"{output} is a folder", remedy="name the file with --output")
    if compression not in COMPRESSIONS:
        raise UsageError(
            f"a pack cannot be compressed with {compression!r}", remedy=f"use one of: {', '.join(COMPRESSIONS)}"
        )
    if link_scripts not in ("refuse", "skip"):
        raise UsageError(f"link scripts cannot be {link_scripts!r} in a pack", remedy="use refuse or skip")
    if not lock.platform.startswith("linux-"):
        raise UsageError(f"packs are for Linux, not for {lock.platform}", remedy="lock for a Linux platform")
    if lock.platform != current_platform():
        raise UsageError(
            f"this machine is {current_platform()}: it cannot pack an environment for {lock.platform}",
            remedy=f"pack it on {lock.platform}",
        )


def _write(
    file: BinaryIO,
    order: Order,
    entries: tuple[FileEntry, ...],
    table: Table,
    folder: Path,
    *,
    name: str,
    compression: str,
) -> tuple[int, str]:
    """Write the pack; give its size and its sha256. The header is of one length, so it is written when all is known."""
    values = {"NAME": _plain(name), "PLATFORM": order.lock.platform, "UNPACKER": COMPRESSIONS[compression]}
    layout = prefix_layout(order.lock)
    values["PYTHON"] = layout.executable if layout.pyc_tag else ""
    length = len(_header(values, "0" * 64, 0, 0))
    file.write(bytes(length))
    digest, size = sha256(), 0
    kept = [entry for entry in entries if entry.path not in set(table.modules.values())]
    kept.sort(key=lambda entry: entry.path.split("/"))  # a folder's own files follow it: tar sets its time after them
    with task(order.reporter, "pack", "packing", sum(entry.size for entry in kept), "bytes"):
        blocks = _archive(
            json.dumps(table.to_dict(order), sort_keys=True).encode(), kept, table, folder, order.reporter
        )
        for data in _compressed(blocks, compressor(compression)):
            file.write(data)
            digest.update(data)
            size += len(data)
    text = _header(values, digest.hexdigest(), length + 1, size)
    file.seek(0)
    file.write(text)
    file.seek(0)
    whole = sha256()
    while data := file.read(BLOCK):
        whole.update(data)
    return length + size, whole.hexdigest()


def _header(values: Mapping[str, str], digest: str, start: int, size: int) -> bytes:
    text = (_HERE / "header.sh").read_text(encoding="ascii")
    numbers = {"SUM": digest, "START": str(start).ljust(12), "SIZE": str(size).ljust(18)}
    for key, value in {**values, **numbers}.items():
        text = text.replace(f"@{key}@", value)
    return text.encode()


def _plain(name: str) -> str:
    """Give a name that means nothing to a shell."""
    return "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name)


def _archive(
    listed: bytes, entries: list[FileEntry], table: Table, folder: Path, reporter: Reporter
) -> Iterator[bytes]:
    """Give the tar in pieces."""
    programs = {"unpack.py": _HERE / "unpack.py", "pyc_worker.py": Path(pyc_worker.__file__)}
    for path, data in {**{n: p.read_bytes() for n, p in programs.items()}, "table.json": listed}.items():
        yield header(FileEntry(path, FILE, size=len(data)), path, MTIME) + data + padding(len(data))
    yield header(FileEntry("env", FOLDER), "env", MTIME)
    for entry in entries:
        carried = table.carried.get(entry.path, folder / entry.path)
        if entry.kind != FILE:
            yield header(entry, f"env/{entry.path}", MTIME)
        elif isinstance(carried, bytes):
            size = len(carried)
            real = FileEntry(entry.path, FILE, size=size, executable=entry.executable)
            yield header(real, f"env/{entry.path}", MTIME) + carried + padding(size)
        else:
            yield from _file(entry, carried)
            reporter.advance("pack", entry.size)
    yield END


def _file(entry: FileEntry, source: Path) -> Iterator[bytes]:
    with source.open("rb", buffering=0) as file:
        size = source.stat().st_size
        real = FileEntry(entry.path, FILE, size=size, executable=entry.executable)
        yield header(real, f"env/{entry.path}", MTIME)
        left = size
        while data := file.read(min(BLOCK, left)):
            left -= len(data)
            yield data
        if left:
            raise IntegrityError(
                f"{source} was cut off while it was read", remedy="check the store with 'hermetic store verify'"
            )
        yield padding(size)


def _compressed(blocks: Iterator[bytes], member: Compressor) -> Iterator[bytes]:
    """Compress pieces as blocks of one size: where one ends shows in the result."""
    waiting = bytearray()
    for data in blocks:
        waiting += data
        while len(waiting) >= BLOCK:
            yield member.compress(bytes(waiting[:BLOCK]))
            del waiting[:BLOCK]
    yield member.compress(bytes(waiting))
    yield member.flush()
