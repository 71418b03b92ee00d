"""The store: content-addressed blobs, the action cache, and finished trees. Its only writer is this room.

::

    blobs/sha256/ab/abcd...    checked bytes, read-only, named by what they are
    actions/ab/abcd...         key -> small JSON result
    trees/KIND/ab/abcd...      finished folders, named by the key of what they were made from
    partial/abcd...            downloads under way, locked by who downloads
    uploads/abcd...            uploads under way, locked by who uploads
    staging/PID-RANDOM/        what is being made, locked by who makes it
    locks/NAME                 locks between processes

Everything appears under its name by one rename of something finished on the same file system, so a killed process
leaves nothing half-made, and processes that make the same thing at once leave one of them. What a power cut may
have damaged is told by its stamp (see ``boot``) and looked at before it is used.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Self

from hermetic.digest import sha256_bytes, sha256_file
from hermetic.errors import IntegrityError, UsageError
from hermetic.events import SILENT, Reporter
from hermetic.store import boot
from hermetic.store.faults import machine_faults
from hermetic.store.flock import lock_file
from hermetic.store.session import remove, session

if TYPE_CHECKING:
    from hermetic.store.upkeep import Damage, StoreInfo

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}\Z")
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# A cache: backups may leave it out, and it may be deleted.\n"


class Store:
    """A folder of checked bytes and finished work, shared by all projects and processes of a user."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: set[str] = set()  # blobs whose bytes this object has seen to be right

    @classmethod
    def open(cls, root: Path | None = None) -> Self:
        """Open the store (default: ``HERMETIC_STORE``, else the user's cache folder), made if need be.

        Reads nothing: opening takes no time whatever the store holds. Raises MachineError if it cannot be made.
        """
        folder = Path(os.path.abspath(root or default_root()))  # noqa: PTH100  resolving links would hide the user's name
        if not folder.is_dir():
            with machine_faults("make the store", folder):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "CACHEDIR.TAG").write_text(_TAG, encoding="ascii")
        return cls(folder)

    # Blobs

    def blob_path(self, sha256: str) -> Path:
        """Give the path of a blob, whether it is there or not."""
        if not _SHA256.match(sha256):
            raise UsageError(f"{sha256!r} is no sha256: it has 64 lower-case hex digits")
        return self.root / "blobs" / "sha256" / sha256[:2] / sha256

    def has_blob(self, sha256: str) -> bool:
        """Tell whether a blob is there and whole.

        One that somebody touched, or that a power cut may have damaged, is read again, and dropped if damaged.
        """
        path = self.blob_path(sha256)
        try:
            status = os.stat(path)  # noqa: PTH116  asked for every package of every build
        except OSError:
            return False
        if boot.is_trusted(status):
            return S_ISREG(status.st_mode)
        return self.check_blob(sha256)

    def sound_blob(self, sha256: str, label: str = "") -> Path:
        """Give the path of a blob whose bytes are right now what its name says: for what trees are made of.

        It is read again unless this object put it there or has read it before. Raises IntegrityError, and drops the
        blob, if the disk has changed it.
        """
        if sha256 not in self._read and not self.check_blob(sha256):
            raise IntegrityError(
                f"{label or sha256}: the store's copy was damaged on this disk, or is gone",
                remedy="it was dropped: run the command again to fetch it anew; if this happens often, check the disk",
            )
        self._read.add(sha256)
        return self.blob_path(sha256)

    def check_blob(self, sha256: str) -> bool:
        """Read a blob again; drop it, and tell False, if it is not what its name says (or not there)."""
        path = self.blob_path(sha256)
        try:
            if sha256_file(path) == sha256:
                with suppress(OSError):  # a store that we may only read: then it is read again next time
                    if path.stat().st_mode & 0o222:
                        path.chmod(0o444)
                    boot.stamp(path, boot.SETTLED)
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in {errno.EIO, errno.EISDIR}:
                raise
        self.drop_blob(sha256)
        return False

    def drop_blob(self, sha256: str) -> None:
        """Take a blob out of the store. Who has it open can read on."""
        self._read.discard(sha256)
        with machine_faults("drop a damaged file", self.root):
            self._discard(self.blob_path(sha256))

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; give their sha256."""
        digest = sha256_bytes(data)
        if not self.has_blob(digest):
            with machine_faults("store a file", self.root, needed=len(data)):
                temporary = self.temporary()
                temporary.write_bytes(data)
                self.adopt(temporary, digest)
        return digest

    def put_file(self, path: Path, *, expected: str | None = None) -> str:
        """Store a file's content; give its sha256. Raises IntegrityError if it is not the expected one.

        The bytes are hashed while they are copied, so a file that changes meanwhile cannot slip in.
        """
        from hermetic.store.intake import copy_hashed

        if expected and self.has_blob(expected) and sha256_file(path) == expected:
            return expected
        with machine_faults(f"store {path}", self.root):
            temporary = self.temporary()
            try:
                digest, size = copy_hashed(path, temporary)
                if expected and digest != expected:
                    raise IntegrityError(
                        f"{path} has sha256 {digest} ({size} bytes), not {expected}",
                        remedy="the file changed: restore it, or lock again if the change is meant",
                    )
                self.adopt(temporary, digest)
            finally:
                temporary.unlink(missing_ok=True)
        return digest

    def adopt(self, temporary: Path, sha256: str) -> None:
        """Give a file of this room, whose bytes were checked while they were written, its name as a blob."""
        path = self.blob_path(sha256)
        temporary.chmod(0o444)
        boot.stamp(temporary)
        self._rename(temporary, path)
        self._read.add(sha256)

    # Results of actions

    def get_result(self, key: str) -> dict[str, Any] | None:
        """Give the remembered result of an action, or None."""
        try:
            found = json.loads(self._action_path(key).read_bytes())
        except (OSError, ValueError):  # a file cut short by a power cut is no JSON object: as good as absent
            return None
        return found if isinstance(found, dict) else None

    def put_result(self, key: str, result: Mapping[str, Any]) -> None:
        """Remember the result of an action; an older one is replaced."""
        data = json.dumps(dict(result), sort_keys=True, separators=(",", ":")).encode()
        with machine_faults("remember a result", self.root, needed=len(data)):
            temporary = self.temporary()
            temporary.write_bytes(data)
            self._rename(temporary, self._action_path(key))

    def _action_path(self, key: str) -> Path:
        return self.root / "actions" / _checked(key)[:2] / key

    # Trees

    def tree_path(self, kind: str, key: str) -> Path:
        """Give the path of a finished tree, whether it is there or not."""
        return self.root / "trees" / _checked(kind) / _checked(key)[:2] / key

    def has_tree(self, kind: str, key: str) -> bool:
        """Tell whether a finished tree is there; one that a power cut damaged is dropped."""
        path = self.tree_path(kind, key)
        try:
            status = os.stat(path)  # noqa: PTH116  asked for every package of every build
        except OSError:
            return False
        if boot.is_trusted(status):
            return S_ISDIR(status.st_mode)
        return self.check_tree(kind, key)

    def check_tree(self, kind: str, key: str) -> bool:
        """Look at a tree's shape again; drop it, and tell False, if something is missing or cut short."""
        from hermetic.store.shape import shape

        path = self.tree_path(kind, key)
        try:
            recorded = os.readlink(_shape_path(path))  # noqa: PTH115
        except OSError:
            recorded = ""
        if recorded and path.is_dir() and recorded == shape(path):
            with suppress(OSError):
                boot.stamp(path, boot.SETTLED)
            return True
        with machine_faults("drop a damaged folder", self.root):
            self._discard(path)
        return False

    def drop_tree(self, kind: str, key: str) -> None:
        """Take a tree out of the store, so that it is made again."""
        with machine_faults("drop a damaged folder", self.root):
            self._discard(self.tree_path(kind, key))

    @contextmanager
    def new_tree(self, kind: str, key: str) -> Iterator[Path]:
        """Make a tree in an empty folder; it appears under its name when the block ends well.

        If another process was faster, its tree stays: the same key means the same bytes. On an error nothing stays.
        """
        from hermetic.store.shape import shape

        target = self.tree_path(kind, key)
        with self.staging() as tree:
            yield tree
            with machine_faults("store a folder", self.root):
                recorded = shape(tree)
                boot.stamp(tree)
                target.parent.mkdir(parents=True, exist_ok=True)
                mark = self.temporary()
                mark.symlink_to(recorded)  # so short that it lies in the inode: journalled like a name, never cut short
                mark.replace(_shape_path(target))
                try:
                    tree.rename(target)
                except OSError as error:
                    if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.EACCES} or not target.is_dir():
                        raise

    # Upkeep

    def info(self) -> StoreInfo:
        """Count what the store holds."""
        from hermetic.store.upkeep import info

        return info(self)

    def verify(self, *, reporter: Reporter = SILENT, jobs: int | None = None) -> tuple[Damage, ...]:
        """Read everything again; drop what is damaged, so that it is fetched or made anew, and give what it was."""
        from hermetic.store.upkeep import verify

        return verify(self, reporter, jobs)

    # Temporary things

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give an empty folder inside the store, on the same file system, removed afterwards."""
        with machine_faults("work in the store", self.root):
            folder = self.temporary()
            folder.mkdir()
        try:
            yield folder
        finally:
            remove(folder)

    @contextmanager
    def lock(self, name: str, *, reporter: Reporter = SILENT) -> Iterator[None]:
        """Hold a lock between processes and threads; it is freed also when the process is killed."""
        path = self.root / "locks" / _checked(name)
        with machine_faults("lock the store", self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = lock_file(path, time.sleep, lambda: reporter.say(f"waiting for another hermetic ({name})"))
        try:
            yield
        finally:
            os.close(handle)

    def temporary(self) -> Path:
        """Give a path inside the store that nobody else has; gone with this process at the latest."""
        return session(self.root / "staging").new_path()

    def _discard(self, path: Path) -> None:
        """Remove something in one step: it is gone from its name before any of it is deleted."""
        aside = self.temporary()
        with suppress(FileNotFoundError):
            path.rename(aside)
            if aside.is_dir() and not aside.is_symlink():
                remove(aside)
            else:
                aside.unlink()

    def _rename(self, temporary: Path, path: Path) -> None:
        try:
            temporary.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)


def default_root() -> Path:
    """Give where the store is unless told otherwise: ``HERMETIC_STORE``, else the user's cache folder."""
    if named := os.environ.get("HERMETIC_STORE"):
        return Path(named).expanduser()
    return cache_folder() / "store"


def cache_folder() -> Path:
    """Give hermetic's folder for what can be made again (XDG base directories, and the like elsewhere)."""
    import sys

    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "hermetic" / "Cache"
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named.startswith("/"):  # the XDG specification: a relative one is to be ignored
        return Path(named) / "hermetic"
    base = Path("Library", "Caches") if sys.platform == "darwin" else Path(".cache")
    return Path.home() / base / "hermetic"


def _checked(name: str) -> str:
    if not _KEY.match(name):
        raise UsageError(f"{name!r} is no key: letters, digits, '.', '_' and '-'")
    return name


def _shape_path(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.shape")
