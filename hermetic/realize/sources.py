"""Pinned sources in hand: an sdist, a Git checkout or a local folder, ready to be laid out for a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hermetic.digest import sha256_bytes
from hermetic.errors import BuildError, IntegrityError, OfflineError, UsageError
from hermetic.events import Reporter
from hermetic.lock.source import SourceBuild
from hermetic.realize.checkout import checkout
from hermetic.realize.folder_source import copy_folder, folder_digest, folder_files
from hermetic.realize.sdist import unpack_sdist

if TYPE_CHECKING:
    from hermetic.store import Store

_FOLDER = "project"


@dataclass(frozen=True)
class Source:
    """A source whose bytes are pinned.

    ``identity`` is what determines them; ``sha256`` is what a lock says of them (empty for a checkout). ``lay_out``
    writes them into an empty folder and gives the project's folder in it.
    """

    label: str
    identity: Mapping[str, Any]
    sha256: str
    lay_out: Callable[[Path], Path]

    @property
    def is_checkout(self) -> bool:
        """Whether the source is a VCS checkout, whose version may be in its history only."""
        return "git" in self.identity


def obtain(wanted: SourceBuild, store: Store, *, reporter: Reporter, offline: bool) -> Source:
    """Get hold of a source. An sdist is fetched now; a repository is only read when it is laid out.

    Raises IntegrityError for other bytes than those that are pinned, and what fetching raises.
    """
    if wanted.subdirectory and not _is_below(wanted.subdirectory):
        raise UsageError(f"{wanted.name}: the subdirectory {wanted.subdirectory!r} is outside of the source")
    if wanted.commit:
        return _repository(wanted, offline=offline)
    local = _local(wanted)
    if local is not None and local.is_dir():
        return _folder(wanted, local)
    digest = _sdist(wanted, local, store, reporter, offline=offline)
    label = wanted.file_name or (local.name if local else wanted.name)
    return Source(label, {"sdist": digest}, digest, lambda folder: unpack_sdist(store.blob_path(digest), folder, label))


def _is_below(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    return not path.startswith("/") and ".." not in parts


def _local(wanted: SourceBuild) -> Path | None:
    from hermetic.store.fetch import is_local, local_path

    path = Path(wanted.path) if wanted.path else local_path(wanted.url) if is_local(wanted.url) else None
    if path is not None and not path.exists():
        raise BuildError(
            f"{wanted.name}: there is no {path}", place=wanted.place, remedy="name the sdist or the project's folder"
        )
    return path


def _repository(wanted: SourceBuild, *, offline: bool) -> Source:
    def lay_out(folder: Path) -> Path:
        checkout(wanted.vcs_url, wanted.commit, folder / _FOLDER, wanted.name, offline=offline)
        return folder / _FOLDER

    return Source(f"{wanted.name} at {wanted.commit[:12]}", {"git": wanted.commit}, "", lay_out)


def _folder(wanted: SourceBuild, path: Path) -> Source:
    files = folder_files(path)
    digest = folder_digest(path, files)
    if wanted.sha256 and wanted.sha256 != digest:
        raise IntegrityError(
            f"{wanted.name}: the files in {path} are not those that were locked",
            remedy="restore them, or run 'hermetic lock' if the change is meant",
        )

    def lay_out(folder: Path) -> Path:
        target = folder / _FOLDER
        target.mkdir()
        copy_folder(path, files, target)
        if folder_digest(target, files) != digest:
            raise BuildError(f"{wanted.name}: {path} changed while it was read", remedy="run the command again")
        return target

    return Source(path.name, {"folder": digest}, digest, lay_out)


def _sdist(wanted: SourceBuild, local: Path | None, store: Store, reporter: Reporter, *, offline: bool) -> str:
    """Bring an sdist into the store, and give its digest."""
    if local is not None:
        return store.put_file(local, expected=wanted.sha256 or None)
    if not wanted.sha256:
        return _unpinned(wanted, store, offline=offline)
    if not store.has_blob(wanted.sha256):
        from hermetic.store.fetch import Artifact, fetch

        artifact = Artifact(wanted.file_name or wanted.name, (wanted.url,), wanted.sha256, wanted.size or None)
        fetch(store, [artifact], reporter=reporter, offline=offline)
    return wanted.sha256


def _unpinned(wanted: SourceBuild, store: Store, *, offline: bool) -> str:
    """Download what nobody states a digest of: it is pinned by the lock that is being made.

    Offline, the bytes count that this address gave last.
    """
    memory = f"sdist-at-{sha256_bytes(wanted.url.encode())}"
    if offline:
        known = (store.get_result(memory) or {}).get("sha256", "")
        if isinstance(known, str) and known and store.has_blob(known):
            return known
        raise OfflineError(
            f"{wanted.file_name or wanted.name} is not in the store, and we are offline",
            place=wanted.place,
            remedy="run the same command once without --offline",
        )
    from hermetic.store.http import Client

    data, _, _ = Client().get_bytes(wanted.url)
    digest = store.put_bytes(data)
    store.put_result(memory, {"sha256": digest})
    return digest
