"""A folder of artefacts: nothing half-written, nothing overwritten, whoever else is at it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from object_contract import Contract

from hermetic.digest import sha256_bytes
from hermetic.errors import IntegrityError, MachineError
from hermetic.store.objects.folder import FolderObjects
from hermetic.store.objects.opening import open_objects
from hermetic.workspace_config import WorkspaceAddress

KILLED = """
import os, signal, sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit
from hermetic.store.objects import folder
write = folder.write_all
def cut(handle, data):
    write(handle, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
folder.write_all = cut
folder.FolderObjects(Path(sys.argv[1])).put_bytes("wheels/a", b"x" * 1000)
"""


def test_a_process_that_is_killed_leaves_no_object_and_is_swept(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    objects = FolderObjects(root)
    assert objects.size("wheels/a") is None
    assert list(objects.keys("")) == []
    (left,) = (root / ".incoming").iterdir()
    assert left.stat().st_size == 500
    assert objects.put_bytes("wheels/b", b"now")
    assert left.exists()  # it may be another machine's, which works at this very moment
    hours_ago = time.time() - 7200
    os.utime(left, (hours_ago, hours_ago))
    assert objects.put_bytes("wheels/a", b"whole")
    assert list((root / ".incoming").iterdir()) == []
    assert objects.get_bytes("wheels/a") == b"whole"


def test_a_disk_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    objects = FolderObjects(tmp_path)
    assert objects.put_bytes("a/b", b"first")
    assert not objects.put_bytes("a/b", b"second")
    assert objects.get_bytes("a/b") == b"first"


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A file-size limit stands for it: the system refuses in the middle of the file."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from hermetic.errors import MachineError\n"
        "from hermetic.store.objects.folder import FolderObjects\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "try: FolderObjects(Path(sys.argv[1])).put_bytes('a', bytes(1 << 20))\n"
        "except MachineError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "File too large" in ran.stdout
    assert "half-written" in ran.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="artefacts"):
        FolderObjects(tmp_path / "file").put_bytes("a", b"")


def test_an_object_of_another_size_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    file = tmp_path / "file"
    file.write_bytes(b"abcd")
    with pytest.raises(IntegrityError, match="3 bytes"):
        FolderObjects(tmp_path).put("a", file, sha256=sha256_bytes(b"abcd"))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o444), (0o077, 0o400)])
def test_nobody_writes_and_who_may_read_is_the_users_to_say(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        FolderObjects(tmp_path).put_bytes("a/b", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == mode


def test_the_embedded_workspace_has_a_folder_of_its_own(tmp_path: Path) -> None:
    objects = open_objects(WorkspaceAddress("w", tmp_path / "w"))
    objects.put_bytes("a", b"x")
    assert (tmp_path / "w" / "artefacts" / "a").read_bytes() == b"x"
    named = open_objects(WorkspaceAddress("w", tmp_path / "w", artefacts=str(tmp_path / "elsewhere")))
    assert named.where == str(tmp_path / "elsewhere")
    assert named.size("a") is None


def test_a_folder_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_DISK", str(tmp_path))
    assert open_objects(WorkspaceAddress("w", tmp_path / "w", artefacts="${TEAM_DISK}/objects")).where == str(
        tmp_path / "objects"
    )


class TestContract(Contract):
    """The folder as an object store like the others."""

    @pytest.fixture
    def objects(self, tmp_path: Path) -> FolderObjects:
        return FolderObjects(tmp_path / "objects")

    @pytest.fixture
    def read(self) -> Callable[[str], bytes]:
        return lambda url: Path(unquote(urlsplit(url).path)).read_bytes()
