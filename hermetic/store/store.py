"""The store: content-addressed blobs, the action cache, and finished trees. Its only writer is this room."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from hermetic.digest import sha256_bytes, sha256_file
from hermetic.errors import IntegrityError


class Store:
    """A folder of checked bytes, shared by all projects and processes of a user."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path | None = None) -> Self:
        """Open the store (default: ``HERMETIC_STORE``, else the user's cache folder)."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(root or os.environ.get("HERMETIC_STORE") or Path(cache) / "hermetic" / "store"))

    def blob_path(self, sha256: str) -> Path:
        """Give the path of a blob, whether it is there or not."""
        return self.root / "blobs" / "sha256" / sha256[:2] / sha256

    def has_blob(self, sha256: str) -> bool:
        """Tell whether a blob is there."""
        return self.blob_path(sha256).is_file()

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; give their sha256."""
        digest = sha256_bytes(data)
        if not self.has_blob(digest):
            self._place(self.blob_path(digest), data)
        return digest

    def put_file(self, path: Path, *, expected: str | None = None) -> str:
        """Store a file's content. Raises IntegrityError if it is not the expected one."""
        digest = sha256_file(path)
        if expected and digest != expected:
            raise IntegrityError(f"{path} has sha256 {digest}, not {expected}")
        if not self.has_blob(digest):
            self._place(self.blob_path(digest), path.read_bytes())
        return digest

    def get_result(self, key: str) -> dict[str, Any] | None:
        """Give the remembered result of an action."""
        try:
            found: dict[str, Any] = json.loads((self.root / "actions" / key[:2] / key).read_text())
        except (OSError, ValueError):
            return None
        return found

    def put_result(self, key: str, result: Mapping[str, Any]) -> None:
        """Remember the result of an action."""
        self._place(self.root / "actions" / key[:2] / key, json.dumps(result).encode())

    def tree_path(self, kind: str, key: str) -> Path:
        """Give the path of a finished tree, whether it is there or not."""
        return self.root / "trees" / kind / key[:2] / key

    def has_tree(self, kind: str, key: str) -> bool:
        """Tell whether a tree is there."""
        return self.tree_path(kind, key).is_dir()

    @contextmanager
    def new_tree(self, kind: str, key: str) -> Iterator[Path]:
        """Make a tree in a staging folder; it appears under its name when the block ends well."""
        with self.staging() as folder:
            tree = folder / "tree"
            tree.mkdir()
            yield tree
            target = self.tree_path(kind, key)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                tree.rename(target)
            except OSError:
                if not target.is_dir():
                    raise

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a temporary folder inside the store."""
        base = self.root / "staging"
        base.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=base))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock between processes."""
        from filelock import FileLock

        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / name):
            yield

    def _place(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o444)
        os.replace(temporary, path)
