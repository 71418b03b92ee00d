"""What an archive may hold: names that stay inside, links that lead nowhere else, sizes that fit.

The rules work on values alone: an archive's members in their order, before any is written. Since a folder that is
unpacked into starts empty and holds only what was let through here, nothing on disk needs to be asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from hermetic.errors import IntegrityError

_LONGEST_PATH = 4096
_LONGEST_NAME = 255
_MOST_STEPS = 40
"""Links followed for one path before it counts as a loop, as the kernel does."""


@dataclass(frozen=True)
class Limits:
    """How large an archive may be. ``ratio`` compares unpacked with packed bytes, above ``free`` bytes only.

    Sizes count bytes. The defaults let every known package pass (a CUDA library unpacks to some gigabytes, ten
    times its packed size) and stop a bomb before it fills a disk.
    """

    entries: int = 2_000_000
    unpacked: int = 128 << 30
    ratio: int = 250
    free: int = 256 << 20


class Guard:
    """Lets an archive's members through one by one, or refuses the archive with the reason."""

    def __init__(self, label: str, packed: int, limits: Limits) -> None:
        self._label = label
        self._most = min(limits.unpacked, max(limits.free, packed * limits.ratio))
        self._entries = limits.entries
        self._folders: set[str] = {""}
        self._files: set[str] = set()
        self._links: dict[str, str] = {}
        self._folded: dict[str, str] = {}
        self.unpacked = 0
        self.notes: list[str] = []

    def refuse(self, reason: str, member: str = "") -> NoReturn:
        """Refuse the archive. Raises IntegrityError with the archive's label and the member's name."""
        named = f" ({printable(member)})" if member else ""
        raise IntegrityError(
            f"{self._label}: {reason}{named}",
            remedy="nothing of it was kept: take another build or version, and tell the channel or index that has it",
        )

    def folder(self, name: str) -> tuple[str, list[str]]:
        """Let a folder through: its clean path (empty: the archive's root), and the new folders, parents first."""
        path = self._path(name.rstrip("/")) if name.strip("./") else ""
        if path in self._files or path in self._links:
            self.refuse("two members have one name", name)
        return path, self._parents(f"{path}/x", name) if path else []

    def file(self, name: str, size: int) -> tuple[str, list[str]]:
        """Let a file of some bytes through: its clean path, and the new folders above it, parents first."""
        path = self._new(name)
        if size < 0:
            self.refuse("a member's size is negative", name)
        self.unpacked += size
        if self.unpacked > self._most:
            self.refuse(
                f"it unpacks to more than {self._most >> 20} MiB, as archives do that want to fill a disk", name
            )
        new = self._parents(path, name)
        self._files.add(path)
        return path, new

    def link(self, name: str, target: str) -> tuple[str, list[str]]:
        """Let a symbolic link through: its clean path, and the new folders above; ``finish`` checks where it leads."""
        path = self._new(name)
        if not target or "\0" in target or len(target) > _LONGEST_PATH:
            self.refuse("a symbolic link has no sound target", name)
        if target.startswith("/") or _has_drive(target):
            self.refuse(f"a symbolic link leads out of the archive, to {printable(target)}", name)
        new = self._parents(path, name)
        self._links[path] = target
        return path, new

    def hard_link(self, name: str, target: str) -> tuple[str, str, list[str]]:
        """Let a hard link through: its clean path, that of the earlier file it shares, and the new folders above."""
        path = self._new(name)
        if target.startswith("/") or ".." in target.split("/"):
            how = "has an absolute target" if target.startswith("/") else "leads out of the archive"
            self.refuse(f"a hard link {how}, {printable(target)}", name)
        source = self._path(target)
        if source not in self._files:
            self.refuse(f"a hard link leads to {printable(target)}, which is no earlier file of the archive", name)
        new = self._parents(path, name)
        self._files.add(path)
        return path, source, new

    def finish(self) -> None:
        """Check where all symbolic links lead, each through all others."""
        for path in self._links:
            self._follow(path, path, 0)

    def _follow(self, path: str, origin: str, steps: int) -> str | None:
        """Give where a path leads inside the archive; None for a loop, which leads nowhere."""
        walked: list[str] = []
        todo = path.split("/")[::-1]
        while todo:
            part = todo.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                if not walked:
                    self.refuse(
                        f"a symbolic link leads out of the archive, to {printable(self._links[origin])}", origin
                    )
                walked.pop()
                continue
            walked.append(part)
            target = self._links.get("/".join(walked))
            if target is not None:
                steps += 1
                if steps > _MOST_STEPS:
                    return None
                walked.pop()
                todo += target.split("/")[::-1]
        return "/".join(walked)

    def _new(self, name: str) -> str:
        if name.endswith("/"):
            self.refuse("a member that is no folder is named like one", name)
        path = self._path(name)
        if path in self._files or path in self._links or path in self._folders:
            self.refuse("two members have one name", name)
        if len(self._files) + len(self._links) + len(self._folders) > self._entries:
            self.refuse(f"it has more than {self._entries:,} members")
        folded = path.casefold()
        other = self._folded.setdefault(folded, path)
        if other != path and len(self.notes) < 100:
            self.notes.append(f"{printable(other)} and {printable(path)} are one file where case does not count")
        return path

    def _path(self, name: str) -> str:
        """Give a member's path without ``.`` and doubled slashes."""
        if not name or "\0" in name:
            self.refuse("a member has no sound name", name)
        if name.startswith("/") or _has_drive(name):
            self.refuse("a member has an absolute path", name)
        parts = name.split("/")
        if ".." in parts or "" in parts or "." in parts or "\\" in name:
            if ".." in name.replace("\\", "/").split("/"):
                self.refuse("a member leads out of the archive", name)
            parts = [part for part in parts if part not in {"", "."}]
            if not parts:
                self.refuse("a member has no sound name", name)
        path = "/".join(parts)
        if len(path) > _LONGEST_PATH or max(map(len, parts)) > _LONGEST_NAME:
            self.refuse("a member's name is longer than file systems allow", name[:80])
        return path

    def _parents(self, path: str, name: str) -> list[str]:
        """Give the folders above a path that have not been there yet, parents first, and let them through."""
        parent = path.rpartition("/")[0]
        if parent in self._folders:
            return []
        new: list[str] = []
        while parent not in self._folders:
            if parent in self._links:
                self.refuse(f"a member would be written through the symbolic link {printable(parent)}", name)
            if parent in self._files:
                self.refuse(f"a member lies below {printable(parent)}, which is a file", name)
            new.append(parent)
            parent = parent.rpartition("/")[0]
        if len(self._folders) + len(new) + len(self._files) > self._entries:
            self.refuse(f"it has more than {self._entries:,} members")
        self._folders.update(new)
        return new[::-1]


def printable(name: str) -> str:
    """Give an archive's text so that it cannot confuse a terminal."""
    text = name if name.isprintable() else repr(name)[1:-1]
    return text if len(text) <= 200 else f"{text[:200]}..."


def _has_drive(name: str) -> bool:
    return name[:2] in {"\\\\", "//"} or (name[:1] == "\\") or (len(name) > 2 and name[1] == ":" and name[2] in "\\/")
