"""A real power cut: a disk image is copied while names are on it and bytes are not, and mounted again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hermetic.store import Store

KEY = "ab" * 32

PLACE = """
import os, sys, pathlib
from hermetic.store import Store
store = Store.open(pathlib.Path(sys.argv[1]) / "store")
for number in range(20):
    store.put_bytes(bytes([number]) * 100_000)
with store.new_tree("conda", sys.argv[2]) as folder:
    (folder / "file").write_bytes(b"x" * 5000)
other = os.open(pathlib.Path(sys.argv[1]) / "other", os.O_CREAT | os.O_WRONLY)
os.write(other, b"x")
os.fsync(other)  # commits the journal: all names so far, but only this file's bytes
"""

LOOK = """
import sys, pathlib
from hermetic.digest import sha256_file
from hermetic.store import Store, boot
boot.this_boot = lambda: 999  # the machine was started again
store = Store(pathlib.Path(sys.argv[1]) / "store")
blobs = sorted(store.root.glob("blobs/sha256/*/*"))
damaged = [path for path in blobs if sha256_file(path) != path.name]
trusted = [path for path in blobs if store.has_blob(path.name)]
tree = store.tree_path("conda", sys.argv[2])
short = tree.exists() and (tree / "file").stat().st_size < 5000
print(len(blobs), len(damaged), len(set(damaged) & set(trusted)), bool(short and store.has_tree("conda", sys.argv[2])))
store.put_bytes(b"it goes on")
assert store.verify() == ()
"""

SCRIPT = """
set -e
truncate -s 64M disk; mkfs.ext4 -q -F disk; mkdir before after
mount -o loop disk before
"$0" -c "$PLACE" before "$1"
cp --sparse=always disk cut
umount before
mount -o loop cut after
"$0" -c "$LOOK" after "$1"
umount after
"""


def test_what_a_power_cut_damaged_is_never_trusted(tmp_path: Path) -> None:
    if os.geteuid() or not all(shutil.which(tool) for tool in ("mkfs.ext4", "unshare", "losetup")):
        pytest.skip("only root can mount a disk image")
    probe = "truncate -s 8M probe && mkfs.ext4 -q -F probe && mkdir p && mount -o loop probe p && umount p"
    if subprocess.run(["unshare", "-m", "sh", "-c", probe], cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts no disk images")
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", SCRIPT, sys.executable, KEY],
        cwd=tmp_path,
        env={**os.environ, "PLACE": PLACE, "LOOK": LOOK},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    names, damaged, trusted, tree = run.stdout.split()
    assert int(names) == 20  # the names are there,
    assert int(damaged) > 0  # the bytes of some are not,
    assert int(trusted) == 0  # and none of those is taken for whole
    assert tree == "False"


def test_opening_a_store_of_another_boot_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = Store.open(tmp_path / "store").put_bytes(b"x")
    monkeypatch.setattr("hermetic.store.boot.this_boot", lambda: 999)
    before = Store.open(tmp_path / "store").blob_path(digest).stat().st_mtime
    assert before != 1
    assert Store.open(tmp_path / "store").has_blob(digest)
    assert Store.open(tmp_path / "store").blob_path(digest).stat().st_mtime == 1
