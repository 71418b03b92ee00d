"""Small and read-only disks: a mount namespace of its own, whose mounts vanish with it, even if the test is killed.

Root needs nothing for it; others need user namespaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.needs import require


@dataclass(frozen=True)
class Room:
    """A mount namespace, held by a process that does nothing."""

    holder: int

    def within(self, folder: Path) -> tuple[str, ...]:
        """Give what a command starts with that runs in this room, in a folder of it."""
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        return ("nsenter", f"--target={self.holder}", *user, "--mount", "--", "env", "-C", str(folder))

    def seen(self, path: Path) -> Path:
        """Give a path of the room as others see it."""
        return Path(f"/proc/{self.holder}/root") / path.relative_to("/")

    def small(self, folder: Path, size: int, *, inodes: int = 0) -> None:
        """Put a disk of ``size`` bytes at a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes},mode=0755", "none", folder)

    def read_only(self, folder: Path) -> None:
        """Make a folder read-only, for everybody."""
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("--bind", folder, folder)
        self._mount("-o", "remount,bind,ro", folder)

    def writable(self, folder: Path) -> None:
        """Take the last mount of a folder away."""
        subprocess.run([*self.within(Path("/")), "umount", folder], check=True)

    def _mount(self, *arguments: str | Path) -> None:
        ran = subprocess.run(
            [*self.within(Path("/")), "mount", *arguments], capture_output=True, text=True, check=False
        )
        require(ran.returncode == 0, f"nothing can be mounted here: {ran.stderr.strip()}")

    def fill(self, folder: Path, *, leaving: int = 0) -> Path:
        """Fill a disk but for some bytes; give the file that fills it, for removal."""
        filler = self.seen(folder) / "filler"
        free = shutil.disk_usage(filler.parent).free
        filler.write_bytes(bytes(max(0, free - leaving) // 4096 * 4096))
        return filler


@contextmanager
def room() -> Iterator[Room]:
    """Hold a room while the block runs. Skips the test, with the reason, where there can be none."""
    require(sys.platform == "linux", "mount namespaces are Linux's")
    require(shutil.which("unshare") and shutil.which("nsenter"), "there is no unshare and nsenter")
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = ["unshare", *user, "--mount", "--propagation=private", "sh", "-c", "echo ready; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        try:
            ready = holder.stdout.readline()
            require(
                ready, f"no mount namespace can be had: {holder.stderr.read().decode().strip()}" if not ready else ""
            )
            yield Room(holder.pid)
        finally:
            holder.stdin.close()  # which ends it, and with it the room
